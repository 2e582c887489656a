"""Train on Parquet files that need not fit into memory."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from fastbp import MLP, Adam, Parquet

parser = argparse.ArgumentParser()
parser.add_argument("--rows", type=int, default=200_000, help="number of rows")
count = parser.parse_args().rows

rng = np.random.default_rng(0)
columns = {f"x{i}": rng.normal(size=count).astype("float32") for i in range(8)}
columns["price"] = columns["x0"] * columns["x1"] + np.sin(columns["x2"])
columns["weight"] = rng.uniform(0.5, 1.5, size=count)

with TemporaryDirectory() as folder:
    for part in range(4):  # a folder of files is one table
        table = pa.table({name: column[part::4] for name, column in columns.items()})
        parquet.write_table(table, Path(folder) / f"part-{part}.parquet", row_group_size=20_000)
    rows = Parquet(folder, y="price", sample_weight="weight")
    print(rows)
    net = MLP((8, 64, 64, 1), optimizer=Adam(1e-3), seed=0)
    history = net.fit(rows, epochs=3, batch_size=64)
    print(history)
    # An array of Zarr or HDF5, or a map of a file of NumPy, is passed as X itself: net.fit(X, y).
    twin = MLP((8, 64, 64, 1), optimizer=Adam(1e-3), seed=0)
    part = [parquet.read_table(path) for path in rows.paths]
    X = np.concatenate([np.stack([t[name] for name in rows.X], axis=1) for t in part])
    y, weight = (np.concatenate([t[n] for t in part]) for n in ("price", "weight"))
    twin.fit(X, y, sample_weight=weight, epochs=1, batch_size=64, shuffle=False)
    net = MLP((8, 64, 64, 1), optimizer=Adam(1e-3), seed=0)
    net.fit(rows, epochs=1, batch_size=64, shuffle=False)
    print(f"as from memory, up to rounding: {np.allclose(net.params, twin.params)}")
