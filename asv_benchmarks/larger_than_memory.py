"""Rows from a Parquet file beside the same rows in memory.

``python asv_benchmarks/larger_than_memory.py --gigabytes 1`` prints how long an epoch takes from
both. The file is written to a folder of its own, which is removed, and read before: it comes from
the system's memory, as from a disk that keeps up. Reading takes a second core. The first window of
an epoch is read before anything is trained on, so small files pay most.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from fastbp import MLP, Parquet
from fastbp.tables import as_lines

N_IN = 100
HIDDEN = (64, 64), (128, 128), (256, 256)
BATCH = 128
ROW_GROUP = 20_000
ROUNDS = 3
#: How many times as long an epoch from the file may take, where reading keeps up.
GOAL = 1.1


def write(path: Path, rows: int) -> dict[str, Any]:
    """Write random rows to a file; they are returned as the arguments of `fit`, too."""
    X = np.random.default_rng(0).standard_normal((rows, N_IN), dtype="float32")
    y = X[:, 0] * X[:, 1]
    columns = {f"x{i}": X[:, i] for i in range(N_IN)} | {"y": y}
    parquet.write_table(pyarrow.table(columns), path, row_group_size=ROW_GROUP)
    return {"X": X, "y": y}


def epoch_seconds(hidden: tuple[int, ...], data: dict[str, Any]) -> float:
    """Time one epoch."""
    net = MLP((N_IN, *hidden, 1), seed=0)
    start = time.perf_counter()
    net.fit(**data, epochs=1, batch_size=BATCH)
    return time.perf_counter() - start


def read_seconds(path: Path) -> float:
    """Time reading alone."""
    start = time.perf_counter()
    with parquet.ParquetFile(path) as file:
        for _ in file.iter_batches(ROW_GROUP):
            pass
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of inputs in memory")
    args = parser.parse_args()
    rows = [["net", "in memory", "Parquet", "times as long", "goal"]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        in_memory = write(path, max(1, int(args.gigabytes * 1e9 / (4 * N_IN))))
        on_disk = {"X": Parquet(path, y="y")}
        print(f"reading alone takes {read_seconds(path):.2f} s")
        for hidden in HIDDEN:
            epoch_seconds(hidden, {"X": in_memory["X"][:BATCH], "y": in_memory["y"][:BATCH]})
            best = [float("inf")] * 2
            for _ in range(ROUNDS):
                for i, data in enumerate((in_memory, on_disk)):
                    best[i] = min(best[i], epoch_seconds(hidden, data))
            sizes = "-".join(map(str, (N_IN, *hidden, 1)))
            times = [f"{seconds:.2f} s" for seconds in best]
            rows.append([sizes, *times, f"{best[1] / best[0]:.2f}", f"<= {GOAL}"])
    print("\n".join(as_lines(rows)))


if __name__ == "__main__":
    main()
