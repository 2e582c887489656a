"""Compare fastbp with scikit-learn, PyTorch and JAX on the named workloads, on one thread.

Everything runs in this one process, pinned to one core. The libraries first train from the same
weights on the same batches; if they do not end at the same loss, the script says so and fails.
Only then are they timed. The result is Markdown on standard output; progress, with every
library's time, goes to standard error::

    python asv_benchmarks/compare.py --workloads tiny,deep --peers sklearn,jax
    python asv_benchmarks/compare.py --readme
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from further import Row
    from peers import Peer
    from startup import Startup
    from workloads import Workload

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- compare:begin -->", "<!-- compare:end -->"
MISSED = " ✗"
THREADS = ("OMP", "MKL", "OPENBLAS", "VECLIB_MAXIMUM", "NUMEXPR", "NUMBA")


def one_thread(core: int | None) -> None:
    """Pin this process to one core, and every library imported from now on to one thread.

    Parameters
    ----------
    core : int or None
        The core; by default the first that the process may use. Ignored where the system cannot
        pin.
    """
    for library in THREADS:
        os.environ[f"{library}_NUM_THREADS"] = "1"
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    os.environ["JAX_PLATFORMS"] = "cpu"
    if hasattr(os, "sched_setaffinity"):
        chosen = min(os.sched_getaffinity(0)) if core is None else core
        os.sched_setaffinity(0, {chosen})


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workloads", metavar="A,B", help="only these workloads")
    parser.add_argument("--peers", metavar="A,B", help="only these peers: sklearn, torch, jax")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, the best counts (default 3)")
    parser.add_argument("--core", type=int, help="core to pin to (default: the first allowed)")
    parser.add_argument("--quick", action="store_true", help="one short round: a rough look")
    parser.add_argument("--no-further", action="store_true", help="leave out the further goals")
    parser.add_argument("--readme", action="store_true", help="write the tables into README.md")
    args = parser.parse_args(argv)
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    if args.readme:
        if args.workloads or args.peers or args.quick or args.no_further or args.rounds < 3:
            parser.error("--readme takes the whole table, of at least 3 rounds")
        text = README.read_text(encoding="utf-8")
        if not 0 <= text.find(BEGIN) < text.find(END):
            parser.error(f"{README.name} has no {BEGIN} ... {END}")
    if args.quick:
        args.rounds = 1
    return args


def chosen(names: str | None, known: Sequence[str], what: str) -> list[str]:
    """Return the names asked for, or all; leave the program if one is unknown."""
    wanted = list(known) if names is None else names.split(",")
    for name in wanted:
        if name not in known:
            sys.exit(f"unknown {what} {name!r}; there are {', '.join(known)}")
    return wanted


def cpu_name() -> str:
    """Name the CPU, and the microarchitecture that Numba compiles for."""
    from llvmlite import binding

    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name} ({binding.get_host_cpu_name()})"


def heading(libraries: Sequence[type[Peer]], rounds: int) -> str:
    """Return the line above the table: the machine and the versions."""
    from importlib.metadata import version

    from fastbp.hardware import fma_peak

    versions = [f"Python {platform.python_version()}"]
    versions += [f"{title} {version(title.lower())}" for title in ("NumPy", "Numba")]
    versions += [library.version() for library in libraries]
    times = "best of one round" if rounds == 1 else f"best of {rounds} rounds"
    return (
        f"One thread of {cpu_name()}, float32, FMA peak {fma_peak():.0f} GFLOP/s; {times}; "
        f"{', '.join(versions)}."
    )


def measure(
    workload: Workload, libraries: Sequence[type[Peer]], rounds: int, seconds: float
) -> tuple[dict[str, float], float]:
    """Check one workload, then time it.

    Returns
    -------
    times : dict of str to float
        Seconds per update by library.
    share : float
        Of the FMA peak that fastbp attains.
    """
    from timing import PEAKS, check_same_work, rounds_of_calls, share_of_peak, with_peak

    peers = {library.name: library(workload) for library in libraries}
    check_same_work(peers)
    found = rounds_of_calls(
        with_peak("fastbp", {name: peer.train for name, peer in peers.items()}),
        rounds=rounds,
        seconds=seconds,
        before=lambda name: name in PEAKS or peers[name].reset(),
    )
    share = share_of_peak(found, "fastbp", workload.step_flops * workload.steps)
    times = {name: min(found[name]) / workload.steps for name in peers}
    shown = ", ".join(f"{name} {1e6 * time:.2f}" for name, time in times.items())
    print(f"{workload.name}: {shown} us/step; {share:.1%} of peak", file=sys.stderr, flush=True)
    return times, share


def against(goal: float | None, value: float, form: str, *, scale: float = 1.0) -> str:
    """Write a figure with its goal in brackets, and a mark if the goal is not met."""
    written = form.format(value * scale)
    if goal is None:
        return written
    return f"{written} ({form.format(goal * scale)}){MISSED if value < goal else ''}"


def workload_line(workload: Workload, times: dict[str, float], share: float) -> str:
    """Return the line of one workload in the table."""
    from peers import PEERS

    goals = workload.goals
    sizes = "-".join(map(str, workload.layer_sizes))
    batch = "full" if workload.batch_size == workload.rows else str(workload.batch_size)
    step = times["fastbp"]
    cells = [f"{workload.name} {sizes}, {batch}", f"{1e6 * step:.{0 if step >= 1e-4 else 2}f}"]
    for name in PEERS:
        if name in times:
            ratio = times[name] / step
            form = "{:.0f}x" if ratio >= 20 else "{:.3g}x"
            cells.append(against(getattr(goals, name, None), ratio, form))
        else:
            cells.append("-")
    cells.append(against(goals.peak if goals else None, share, "{:.0f} %", scale=100.0))
    return f"| {' | '.join(cells)} |"


def further_table(rows: Sequence[Row]) -> str:
    """Return the second table."""
    lines = ["Further goals:", "", "| what | measured | goal |", "| --- | --- | --- |"]
    lines += [
        f"| {row.what} | {row.measured}{'' if row.met else MISSED} | {row.goal} |" for row in rows
    ]
    return "\n".join(lines)


def write_readme(report: str) -> None:
    """Put the report between the two markers of the README."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{report}\n{END}{after}", encoding="utf-8")


def report(args: argparse.Namespace, startup: Startup | None) -> str:
    """Measure everything asked for and return the Markdown."""
    from peers import PEERS, FastBP
    from workloads import WORKLOADS

    names = chosen(args.workloads, list(WORKLOADS), "workload")
    libraries: list[type[Peer]] = [FastBP]
    for name in chosen(args.peers, list(PEERS), "peer"):
        if PEERS[name].installed():
            libraries.append(PEERS[name])
        else:
            print(f"{name}: not installed, left out", file=sys.stderr)

    seconds = 0.05 if args.quick else 0.2
    lines = [
        workload_line(WORKLOADS[name], *measure(WORKLOADS[name], libraries, args.rounds, seconds))
        for name in names
    ]

    titles = [f"x {peer.title} (goal)" for peer in PEERS.values()]
    columns = ["workload, batch", "fastbp µs/step", *titles, "of FMA peak (goal)"]
    rule = "| --- |" + " ---: |" * (len(columns) - 1)
    table = [heading(libraries, args.rounds), "", f"| {' | '.join(columns)} |", rule, *lines]
    result = "\n".join(table)
    if not args.no_further:
        from further import further_rows

        result += "\n\n" + further_table(further_rows(args.rounds, seconds, startup))
    if MISSED in result:
        result += f"\n\n{MISSED.strip()} a goal that is not met."
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; return the exit status."""
    args = parse(argv)
    one_thread(args.core)

    startup = None
    if not (args.no_further or args.quick):
        import importlib.util

        from startup import measure as measure_startup  # before anything large is loaded

        with_sklearn = importlib.util.find_spec("sklearn") is not None
        startup = measure_startup(rounds=max(args.rounds, 3), with_sklearn=with_sklearn)

    from timing import DisagreementError

    try:
        result = report(args, startup)
    except DisagreementError as error:
        print(error, file=sys.stderr)
        return 1
    print(result)
    if args.readme:
        write_readme(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
