"""Compare fastbp with its peers on the named workloads, on one thread.

The peers are scikit-learn, PyTorch, torch.compile, JAX and NumPy by hand. They run in this one
process, pinned to one core. All first train from the same weights on the same batches; if they do
not end at the same loss, the script says so and fails. Only then are they timed, in training and
in prediction; fresh processes, one for each library, show what the first fit takes. The result is
Markdown on standard output; progress, with every library's times, goes to standard error::

    python asv_benchmarks/compare --workloads tiny,deep --peers sklearn,jax --dtype float32
    python asv_benchmarks/compare --markdown compare.md --picture compare.png
    python asv_benchmarks/compare --readme
"""

from __future__ import annotations

import argparse
import importlib.util
import os
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
    from compare.startup import Startup
    from compare.tables import Machine, Row

SUITE = Path(__file__).resolve().parents[1]
README = SUITE.parent / "README.md"
PICTURE = SUITE / "compare.png"
BEGIN = "<!-- compare:begin -->"
END = "<!-- compare:end -->"
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
        "--no-further", action="store_true", help="leave out further goals and fresh processes"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables to a file")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the ratios, as PNG, SVG")
    parser.add_argument(
        "--readme", action="store_true", help="write tables and picture into README.md"
    )
    args = parser.parse_args(argv)
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    if args.readme:
        part = (args.workloads, args.peers, args.dtype, args.quick, args.no_further)
        if any(part) or args.rounds < 3 or args.picture or args.markdown:
            parser.error("--readme takes everything, of at least 3 rounds, and names no files")
        text = README.read_text(encoding="utf-8")
        if not 0 <= text.find(BEGIN) < text.find(END):
            parser.error(f"{README.name} has no {BEGIN} ... {END}")
        args.picture = PICTURE
    # What would only fail at the end fails here, before minutes are spent.
    for path in (args.markdown, args.picture):
        if path is not None and not path.parent.is_dir():
            parser.error(f"{path}: there is no folder {path.parent}")
    if args.picture is not None:
        if args.picture.suffix not in ENDINGS:
            parser.error(f"{args.picture}: a picture ends in one of {', '.join(ENDINGS)}")
        if importlib.util.find_spec("matplotlib") is None:
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
            sys.exit(f"--readme takes every peer, but {name} is not installed")
        else:
            print(f"{name}: not installed, left out", file=sys.stderr)
    return libraries


def further_goals(
    args: argparse.Namespace, seconds: float, startup: Startup | None, peers: list[str]
) -> dict[str, list[Row]]:
    """Measure further tables of goals, by title; those of other modules are added here."""
    from compare.all_cores import all_core_rows
    from compare.further import further_rows
    from compare.streaming import streaming_rows
    from compare.tables import startup_rows

    rows = further_rows(args.rounds, seconds)
    goals = {"Further goals": rows if startup is None else rows + startup_rows(startup)}
    goals["A loop of one's own: `net.step`, one update a call"] = streaming_rows(
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


def with_picture(report: str, picture: Path | None, folder: Path) -> str:
    """Put the picture, by its path from the folder of the text, below the heading."""
    if picture is None:
        return report
    head, _, rest = report.partition("\n\n")
    path = os.path.relpath(picture.resolve(), folder.resolve()).replace(os.sep, "/")
    return f"{head}\n\n![How many times faster fastbp is]({path})\n\n{rest}"


def write_readme(report: str) -> None:
    """Put the report between the two markers of the README."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{report}\n{END}{after}", encoding="utf-8")


def write(args: argparse.Namespace, report: str, measured: Sequence[Measured]) -> None:
    """Print the report, and write what files are asked for."""
    print(with_picture(report, args.picture, Path.cwd()))
    if args.picture is not None:
        from compare import picture

        picture.save(measured, args.picture)
    if args.markdown is not None:
        text = with_picture(report, args.picture, args.markdown.parent)
        args.markdown.write_text(text + "\n", encoding="utf-8")
    if args.readme:
        write_readme(with_picture(report, args.picture, README.parent))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; return the exit status."""
    args = parse(argv)
    core = one_thread(args.core)

    from compare import startup as fresh
    from compare import tables
    from compare.measure import measure
    from compare.timing import DisagreementError
    from workloads import WORKLOADS

    workloads = chosen(args.workloads, list(WORKLOADS), "workload")
    dtypes = chosen(args.dtype, DTYPES, "dtype")
    libraries = libraries_of(args.peers, whole=args.readme)
    seconds = 0.05 if args.quick else 0.2
    startup: Startup | None = None
    try:
        if not (args.no_further or args.quick):
            startup = fresh.measure([library.name for library in libraries], rounds=args.rounds)
            fresh.check_same_loss(startup)
        measured = [
            measure(WORKLOADS[name], dtype, libraries, rounds=args.rounds, seconds=seconds)
            for dtype in dtypes
            for name in workloads
        ]
        names = [library.name for library in libraries[1:]]
        goals = {} if args.no_further else further_goals(args, seconds, startup, names)
    except DisagreementError as error:
        print(error, file=sys.stderr)
        return 1
    head = tables.heading(machine_of(core, measured), libraries, args.rounds)
    write(args, tables.report(head, measured, startup, goals), measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
