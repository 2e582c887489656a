"""Train on the workers of a Dask cluster, and average the nets."""

import argparse

import dask.array
from dask.distributed import Client, LocalCluster

from fastbp import MLP, Adam
from fastbp.distributed import dask as on_dask


def main():
    """Some rounds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=8, help="number of rounds")
    rounds = parser.parse_args().rounds
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster):
            # The rows are made on the workers, a chunk at a time, and stay there.
            rng = dask.array.random.default_rng(0)
            X = rng.normal(size=(20_000, 32), chunks=(5000, 32)).astype("float32").persist()
            y = dask.array.tanh(X[:, :4])
            net = MLP((32, 64, 64, 4), optimizer=Adam(1e-3), seed=0)
            history = on_dask.fit(net, X, y, rounds=rounds, local_epochs=2, batch_size=64)
    print(history)
    print("rounds:", len(history))


if __name__ == "__main__":  # worker processes import this file
    main()
