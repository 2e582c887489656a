"""What data-parallel training would do on many cores: a model of a step, fitted to this machine.

A step of P ranks on a batch of B rows takes

    T(P) = fixed + row B / P + 2 ceil(log2 P) latency + 2 (P - 1) / P bytes / bandwidth

with the time of a rank's own work, ``fixed + row b``, and that of Rabenseifner's allreduce
(Thakur, Rabenseifner and Gropp, IJHPCA 2005). Updates on one rank give the first two constants, an
allreduce between two ranks of this machine the others. Every figure is the best of many short
turns, so that what else the machine does counts little. It needs mpirun, mpi4py and matplotlib:

    python asv_benchmarks/scaling.py --picture docs/scaling.png
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

#: The nets of workloads.py that are worth sharing out.
NETS = {"deep": (64, 256, 256, 256, 10), "wide": (784, 512, 512, 10)}
#: Rows of a rank in an update.
ROWS = (16, 64, 256)
#: Bytes of an allreduce.
BYTES = (1 << 10, 1 << 13, 1 << 16, 1 << 18, 1 << 20, 1 << 22)
#: Batches of the picture, on all ranks together.
BATCHES = (1024, 8192, 65536)


class Work(NamedTuple):
    """The time of a rank's own work in a step: ``fixed + row b`` seconds for b rows."""

    fixed: float
    row: float


class Network(NamedTuple):
    """The time of messages: `latency` seconds each, and bytes a second."""

    latency: float
    bandwidth: float


#: What one pays for between machines of today: RDMA at 100 Gb/s, and plain Ethernet at 10 Gb/s.
ASSUMED = {"100 Gb/s, 2 µs": Network(2e-6, 12.5e9), "10 Gb/s, 25 µs": Network(25e-6, 1.25e9)}


def fitted(x: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """The line ``a + b x`` with the least relative errors; neither is negative."""
    times = np.array(seconds)
    table = np.stack([np.ones(len(times)), np.array(x, float)], axis=1) / times[:, None]
    a, b = np.linalg.lstsq(table, np.ones(len(times)), rcond=None)[0].tolist()
    if a < 0:
        return 0.0, float(table[:, 1].sum() / (table[:, 1] ** 2).sum())
    return a, max(b, 0.0)


def work_of(seconds: dict[int, float]) -> Work:
    """A rank's work, from the seconds of an update by its rows."""
    return Work(*fitted(list(seconds), list(seconds.values())))


def network_of(seconds: dict[int, float], ranks: int = 2) -> Network:
    """Messages, from the seconds of an allreduce by its bytes."""
    a, b = fitted(list(seconds), list(seconds.values()))
    latency = a / (2 * math.ceil(math.log2(ranks)))
    return Network(latency, 2 * (ranks - 1) / ranks / b)


def allreduce(network: Network, size: int, ranks: int) -> float:
    """Seconds to add up `size` bytes over all ranks."""
    if ranks == 1:
        return 0.0
    latency = 2 * math.ceil(math.log2(ranks)) * network.latency
    return latency + 2 * (ranks - 1) / ranks * size / network.bandwidth


def step(work: Work, network: Network, size: int, batch: int, ranks: int) -> float:
    """Seconds of an update of `ranks` on a batch."""
    return work.fixed + work.row * batch / ranks + allreduce(network, size, ranks)


def speedup(work: Work, network: Network, size: int, batch: int, ranks: int) -> float:
    """How many times faster than on one core an update is."""
    alone = step(work, network, size, batch, 1)
    return alone / step(work, network, size, batch, ranks)


def most_that_pay(work: Work, network: Network, size: int, batch: int, share: float = 0.5) -> int:
    """The largest power of two of ranks each of which still does `share` of its work alone."""
    ranks = 1
    while 2 * ranks <= batch:
        if speedup(work, network, size, batch, 2 * ranks) < share * 2 * ranks:
            break
        ranks *= 2
    return ranks


def table(
    works: dict[str, Work],
    sizes: dict[str, int],
    networks: dict[str, Network],
    batches: Iterable[int],
) -> list[str]:
    """Rows of Markdown: how many cores pay, and what they bring."""
    lines = [
        "| net, batch | one core | network | cores that pay | faster | on 1,000 cores |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for net, work in works.items():
        for batch in batches:
            for name, network in networks.items():
                ranks = most_that_pay(work, network, sizes[net], batch)
                alone = step(work, network, sizes[net], batch, 1)
                gain = speedup(work, network, sizes[net], batch, ranks)
                many = speedup(work, network, sizes[net], batch, 1000)
                lines.append(
                    f"| {net}, {batch:,} | {1e3 * alone:.3g} ms | {name} | {ranks:,} | {gain:.3g}x "
                    f"| {many:.3g}x |"
                )
    return lines


# ---- measuring ----------------------------------------------------------------------------------


def measure(turns: int) -> dict[str, object] | None:
    """On each of two ranks: updates alone and together, and allreduces; rank 0 returns them."""
    import time

    from mpi4py import MPI

    from fastbp import MLP, Adam

    comm = MPI.COMM_WORLD
    rng = np.random.default_rng(0)

    def best(action: Callable[[], object], ranks: MPI.Intracomm) -> float:
        """Seconds of the fastest turn, each as long as that of the slower rank."""
        fastest = math.inf
        for _ in range(turns):
            ranks.Barrier()
            start = time.perf_counter()
            action()
            fastest = min(fastest, ranks.allreduce(time.perf_counter() - start, MPI.MAX))
        return fastest

    def update(sizes: tuple[int, ...], rows: int, ranks: MPI.Intracomm) -> float:
        """What `mpi.fit` does in an update."""
        X = rng.normal(size=(rows, sizes[0])).astype("float32")
        y = rng.normal(size=(rows, sizes[-1])).astype("float32")
        net = MLP(sizes, optimizer=Adam(1e-4), seed=0)
        grad = np.empty_like(net.params)

        def action() -> None:
            net.loss_and_grad(X, y, out=grad, reduction="sum")
            if ranks.size > 1:
                ranks.Allreduce(MPI.IN_PLACE, grad)
            assert np.isfinite(grad).all()
            net.apply_gradient(np.divide(grad, ranks.size * rows, out=grad), penalties=True)

        action()  # compiles
        return best(action, ranks)

    found: dict[str, object] = {}
    for name, sizes in NETS.items():
        alone = comm.rank == 0
        found[name] = {rows: update(sizes, rows, MPI.COMM_SELF) for rows in ROWS if alone}
        comm.Barrier()
        found[f"{name} on both"] = {rows: update(sizes, rows, comm) for rows in ROWS}
    arrays = [np.zeros(size // 4, np.float32) for size in BYTES]
    found["allreduce"] = {
        a.nbytes: best(lambda a=a: comm.Allreduce(MPI.IN_PLACE, a), comm) for a in arrays
    }
    return found if comm.rank == 0 else None


def measured(turns: int) -> dict[str, dict[int, float]]:
    """What two ranks of this machine measure."""
    command = ["mpirun", "-n", "2", "--oversubscribe"]
    if os.geteuid() == 0:
        command.append("--allow-run-as-root")
    environment = os.environ | {"OMPI_MCA_mpi_yield_when_idle": "1"}
    program = [sys.executable, "-m", "mpi4py", __file__, "--as-rank", "--turns", str(turns)]
    done = subprocess.run(
        [*command, *program], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    return {
        name: {int(x): float(t) for x, t in times.items()}
        for name, times in json.loads(line).items()
    }


def parameters(sizes: tuple[int, ...]) -> int:
    """Bytes of a gradient in float32."""
    return 4 * sum((a + 1) * b for a, b in zip(sizes, sizes[1:], strict=False))


def draw(path: str, works: dict[str, Work], sizes: dict[str, int]) -> None:
    """Speed-up by cores, a panel for each net."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ranks = [2**i for i in range(11)]
    figure, panels = plt.subplots(1, len(works), figsize=(9, 3.6), sharey=True, squeeze=False)
    for panel, (net, work) in zip(panels[0], works.items(), strict=True):
        panel.plot(ranks, ranks, color="0.8", lw=1)
        for batch, color in zip(BATCHES, ("#D55E00", "#0072B2", "#009E73"), strict=True):
            for (name, network), style in zip(ASSUMED.items(), ("-", "--"), strict=True):
                gains = [speedup(work, network, sizes[net], batch, p) for p in ranks]
                panel.plot(ranks, gains, style, color=color, label=f"batch {batch:,}, {name}")
        panel.set(
            xscale="log", yscale="log", xlabel="cores", title=f"{net}, {sizes[net] / 1e3:.0f} kB"
        )
        panel.set(xlim=(1, 1024), ylim=(0.5, 1024))
    panels[0][0].set_ylabel("times faster than one core")
    panels[0][0].legend(fontsize=7, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, fit, print the tables and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", help="where to draw the curve")
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--as-rank", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_rank:
        found = measure(options.turns)
        if found is not None:
            print(json.dumps(found))
        return
    times = measured(options.turns)
    works = {net: work_of(times[net]) for net in NETS}
    sizes = {net: parameters(layers) for net, layers in NETS.items()}
    here = network_of(times["allreduce"])
    print("| net | gradient | fixed | a row | error of the fit | two ranks here, of the model |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for net, work in works.items():
        errors = [abs((work.fixed + work.row * b) / t - 1) for b, t in times[net].items()]
        both = [
            t / step(work, here, sizes[net], 2 * b, 2) for b, t in times[f"{net} on both"].items()
        ]
        print(
            f"| {net} | {sizes[net] / 1e3:.0f} kB | {1e6 * work.fixed:.0f} µs | "
            f"{1e6 * work.row:.2f} µs | {100 * max(errors):.0f} % | "
            f"{min(both):.2f} to {max(both):.2f} |"
        )
    print(f"\nallreduce here: {1e6 * here.latency:.1f} µs, {here.bandwidth / 1e9:.1f} GB/s\n")
    print("\n".join(table(works, sizes, ASSUMED, BATCHES)))
    if options.picture:
        draw(options.picture, works, sizes)


if __name__ == "__main__":
    main()
