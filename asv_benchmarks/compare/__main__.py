"""Compare fastbp with its peers on the named workloads, on one thread.

The peers are scikit-learn, PyTorch, torch.compile, JAX and NumPy by hand. They run in this one
process, pinned to one core. All first train from the same weights on the same batches; if they do
not end at the same loss, the script says so and fails. Only then are they timed, in training and
in prediction; fresh processes, one for each library, show what the first fit takes. The result is
Markdown on standard output; progress, with every library's times, goes to standard error. With
--json all figures are kept, and --from makes tables and picture of them without measuring::

    python asv_benchmarks/compare --workloads tiny,deep --peers sklearn,jax --dtype float32
    python asv_benchmarks/compare --markdown compare.md --picture compare.png --json compare.json
    python asv_benchmarks/compare --from compare.json --docs
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# Run as a folder, Python knows the folder alone; the workloads stand beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compare import one_thread

if TYPE_CHECKING:
    from compare.measure import Measured
    from compare.peers import Peer
    from compare.results import Results
    from compare.startup import Startup
    from compare.tables import Machine, Row

DTYPES = ("float32", "float64")
ENDINGS = (".png", ".svg", ".pdf")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="compare", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workloads", metavar="A,B", help="only these workloads")
    parser.add_argument(
        "--peers",
        metavar="A,B",
        help="only these peers: sklearn, torch, torch_compile, jax, numpy",
    )
    parser.add_argument("--dtype", metavar="A,B", help="only float32, or only float64")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, the best counts (default 3)")
    parser.add_argument("--core", type=int, help="core to pin to (default: the first allowed)")
    parser.add_argument(
        "--quick", action="store_true", help="one short round in float32, no fresh processes"
    )
    parser.add_argument(
        "--no-further", action="store_true", help="leave out further figures and fresh processes"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables to a file")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the ratios, as PNG, SVG")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    parser.add_argument(
        "--from", type=Path, metavar="FILE", dest="given", help="measure nothing: take this file"
    )
    parser.add_argument(
        "--docs",
        action="store_true",
        help="write docs/performance.md, the short table of README.md and their picture",
    )
    args = parser.parse_args(argv)
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    part = (args.workloads, args.peers, args.dtype, args.quick, args.no_further)
    if args.given is not None and (any(part) or args.json):
        parser.error("--from measures nothing: it takes no options of measurements")
    if args.docs:
        from compare import pages

        if any(part) or args.rounds < 3:
            parser.error("--docs takes everything, of at least 3 rounds")
        if found := pages.lacking():
            parser.error(found)
    # What would only fail at the end fails here, before minutes are spent.
    for path in (args.markdown, args.picture, args.json):
        if path is not None and not path.parent.is_dir():
            parser.error(f"{path}: there is no folder {path.parent}")
    if args.picture is not None and args.picture.suffix not in ENDINGS:
        parser.error(f"{args.picture}: a picture ends in one of {', '.join(ENDINGS)}")
    if (args.picture is not None or args.docs) and importlib.util.find_spec("matplotlib") is None:
        parser.error("the picture needs matplotlib, which is not installed")
    if args.quick:
        args.rounds = 1
        args.dtype = args.dtype or "float32"
    return args


def chosen(names: str | None, known: Sequence[str], what: str) -> list[str]:
    """Return the names asked for, or all; leave the program if one is unknown."""
    wanted = list(known) if names is None else names.split(",")
    for name in wanted:
        if name not in known:
            sys.exit(f"unknown {what} {name!r}; there are {', '.join(known)}")
    return wanted


def libraries_of(names: str | None, whole: bool) -> list[type[Peer]]:
    """Return fastbp and the peers that are asked for and installed.

    Leaves the program if `whole` is asked for and one is not installed.
    """
    from compare.peers import PEERS, FastBP

    libraries: list[type[Peer]] = [FastBP]
    for name in chosen(names, list(PEERS), "peer"):
        if PEERS[name].installed():
            libraries.append(PEERS[name])
        elif whole:
            sys.exit(f"--docs takes every peer, but {name} is not installed")
        else:
            print(f"{name}: not installed, left out", file=sys.stderr)
    return libraries


def further_goals(
    args: argparse.Namespace, seconds: float, startup: Startup | None, peers: list[str]
) -> dict[str, list[Row]]:
    """Measure further figures, by title; those of other modules are added here."""
    from compare.all_cores import all_core_rows
    from compare.further import further_rows
    from compare.streaming import streaming_rows
    from compare.tables import FURTHER, startup_rows

    rows = further_rows(args.rounds, seconds)
    goals = {FURTHER: rows if startup is None else rows + startup_rows(startup)}
    goals["A training loop of your own, one update a call: `net.step`"] = streaming_rows(
        peers, args.rounds, seconds
    )
    goals["As many threads as cores, for every library"] = all_core_rows(
        peers, args.rounds, seconds
    )
    if importlib.util.find_spec("sklearn") is not None:
        from compare.estimators import estimator_rows
        from compare.sparse import sparse_rows

        goals["`fastbp.sklearn` beside scikit-learn, in its own dtypes"] = estimator_rows(
            args.rounds, seconds
        )
        goals["`fastbp.sklearn` on sparse rows beside scikit-learn"] = sparse_rows(
            args.rounds, seconds
        )
    return goals


def machine_of(core: int | None, measured: Sequence[Measured]) -> Machine:
    """Describe the machine."""
    from llvmlite import binding

    from compare.tables import Machine
    from fastbp.machine.peak import cpu_model, fma_peak

    peaks = {dtype: fma_peak(dtype) for dtype in dict.fromkeys(m.dtype for m in measured)}
    return Machine(f"{cpu_model()} ({binding.get_host_cpu_name()})", core, peaks)


def write(args: argparse.Namespace, results: Results) -> None:
    """Print the report, and write what files are asked for."""
    from compare import pages, picture, tables
    from compare import results as files

    if args.json is not None:
        files.save(results, args.json)
    text = tables.report(results)
    print(text)
    if args.picture is not None:
        picture.save(results.measured, args.picture, tables.peers_of(results.measured))
    if args.markdown is not None:
        if args.picture is not None:
            head, _, rest = text.partition("\n\n")
            text = f"{head}\n\n{pages.image(args.markdown.parent, args.picture)}\n\n{rest}"
        args.markdown.write_text(text + "\n", encoding="utf-8")
    if args.docs:
        pages.write(results)


def measured_now(args: argparse.Namespace, core: int | None) -> Results:
    """Measure what is asked for, on this core.

    Raises
    ------
    timing.DisagreementError
        If the libraries do not do the same work.
    """
    from compare import startup as fresh
    from compare import tables
    from compare.measure import measure
    from compare.results import Results
    from workloads import WORKLOADS

    workloads = chosen(args.workloads, list(WORKLOADS), "workload")
    dtypes = chosen(args.dtype, DTYPES, "dtype")
    libraries = libraries_of(args.peers, whole=args.docs)
    seconds = 0.05 if args.quick else 0.2
    startup: Startup | None = None
    if not (args.no_further or args.quick):
        startup = fresh.measure([library.name for library in libraries], rounds=args.rounds)
        fresh.check_same_loss(startup)
    measured = [
        measure(WORKLOADS[name], dtype, libraries, rounds=args.rounds, seconds=seconds)
        for dtype in dtypes
        for name in workloads
    ]
    names = [library.name for library in libraries[1:]]
    further = {} if args.no_further else further_goals(args, seconds, startup, names)
    head = tables.heading(machine_of(core, measured), libraries, args.rounds)
    return Results(head, measured, startup, further)


def read(args: argparse.Namespace) -> Results:
    """Read a file of figures; leave the program if it has not what is asked for."""
    from compare import pages
    from compare.results import read as read_file

    try:
        results = read_file(args.given)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    if args.docs and (found := pages.incomplete(results)):
        sys.exit(f"--docs takes everything, but in {args.given} {found}")
    return results


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; return the exit status."""
    args = parse(argv)
    if args.given is not None:
        write(args, read(args))
        return 0
    core = one_thread(args.core)  # before NumPy is imported

    from compare.timing import DisagreementError

    try:
        results = measured_now(args, core)
    except DisagreementError as error:
        print(error, file=sys.stderr)
        return 1
    write(args, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
