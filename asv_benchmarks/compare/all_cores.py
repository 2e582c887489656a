"""Every library on all cores, in a process that the comparison starts for that.

``python asv_benchmarks/compare/all_cores.py`` prints what was measured, as JSON. The libraries look
at their numbers of threads when they are imported, so the comparison, which has one thread, starts
this file as a program. First all train from the same weights on the same batches.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compare import THREADS

#: Nets and batches with enough to share.
SHARED = ("default", "mnist", "deep", "wide")


def all_threads() -> int:
    """Let every library imported from now on have a thread for each core."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(cores))
    for library in THREADS:
        os.environ[f"{library}_NUM_THREADS"] = str(cores)
    os.environ["XLA_FLAGS"] = ""
    os.environ["JAX_PLATFORMS"] = "cpu"
    return cores


def all_core_rows(peers: Sequence[str], rounds: int, seconds: float) -> list:
    """Measure in another process.

    Parameters
    ----------
    peers : sequence of str
        Names of PEERS.
    rounds, seconds
        As in `timing.rounds_of_calls`.

    Raises
    ------
    DisagreementError
        If that process fails, as it does when the nets differ after the same batches.
    """
    from compare.peers import PEERS
    from compare.tables import NO_GOAL, Row
    from compare.timing import DisagreementError
    from workloads import WORKLOADS

    command = [sys.executable, __file__, str(rounds), str(seconds), *peers]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise DisagreementError(f"all cores: exit status {done.returncode}; see what it wrote")
    found = json.loads(done.stdout)
    rows = []
    for name, times in found["steps"].items():
        workload = WORKLOADS[name]
        sizes = "-".join(map(str, workload.layer_sizes))
        own = times["fastbp"]
        others = ", ".join(f"{times[peer] / own:.3g}x {PEERS[peer].title}" for peer in peers)
        measured = f"{own * 1e6:.4g} µs, {times['alone'] / own:.2f}x one thread"
        rows.append(
            Row(
                f"{name} {sizes}, {workload.batch_size}: {found['cores']} threads",
                measured + (f"; {others}" if others else ""),
                NO_GOAL,
                True,
            )
        )
    return rows


def main() -> None:
    """Measure, and print the seconds of a step of each library, by workload."""
    cores = all_threads()
    rounds, seconds, names = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]

    from compare.peers import PEERS, FastBP
    from compare.timing import check_same_work, rounds_of_steps
    from workloads import WORKLOADS

    steps = {}
    for name in SHARED:
        workload = WORKLOADS[name]
        peers = {"fastbp": FastBP(workload), "alone": FastBP(workload)}
        peers["fastbp"].threads = cores
        for peer in names:
            PEERS[peer].threads = cores
            peers[peer] = PEERS[peer](workload)
        for made in peers.values():
            made.reset()
        check_same_work(peers)
        found = rounds_of_steps(peers, rounds=rounds, seconds=seconds)
        steps[name] = {library: min(times) for library, times in found.items()}
    print(json.dumps({"cores": cores, "steps": steps}))


if __name__ == "__main__":
    main()
