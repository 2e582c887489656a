"""Train on the ranks of MPI, from a checkpoint if there is one.

Each rank has rows of its own, and all have the same parameters after each update. Run it by
``mpirun -n 4 python -m mpi4py examples/14_mpi.py``.
"""

import argparse
from pathlib import Path

import numpy as np
from mpi4py import MPI

import fastbp
from fastbp import MLP, Adam
from fastbp.distributed import mpi

parser = argparse.ArgumentParser()
parser.add_argument(
    "--checkpoint", type=Path, default=Path("build/examples/mpi.safetensors"),
    help="file to begin from, if it exists, and to save to",
)  # fmt: skip
parser.add_argument("--epochs", type=int, default=5, help="number of epochs in all")
options = parser.parse_args()
options.checkpoint.parent.mkdir(parents=True, exist_ok=True)

ranks = MPI.COMM_WORLD
rng = np.random.default_rng(ranks.rank)  # each rank has rows of its own
X = rng.normal(size=(4000 + 100 * ranks.rank, 64)).astype("float32")
y = np.tanh(X[:, :10])

if options.checkpoint.exists():
    net = fastbp.load(options.checkpoint)
    if ranks.rank == 0:
        print(f"from {options.checkpoint}, where {len(net.history)} epochs are done")
else:
    net = MLP((64, 256, 256, 10), optimizer=Adam(1e-3), seed=0)
history = mpi.fit(
    net, X, y, epochs=options.epochs, batch_size=256, checkpoint=options.checkpoint, resume=True
)
alike = len(set(ranks.allgather(net.params.tobytes()))) == 1
if ranks.rank == 0:
    print(history)
    print(f"{ranks.size} ranks, the same parameters on all of them: {alike}")
