"""A sweep with joblib: in threads, processes or on a Dask cluster."""

import argparse
import time
from contextlib import ExitStack
from importlib.util import find_spec

import numpy as np
from joblib import Parallel, delayed, parallel_config

from fastbp import MLP, Adam

rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, size=(3000, 2)).astype("float32")
y = np.sin(3 * X[:, 0]) * np.cos(X[:, 1])


def validation_loss(units, rate, epochs):
    """Train one net; it is the same whoever trains it."""
    net = MLP((2, units, units, 1), activation="tanh", optimizer=Adam(rate), seed=0)
    net.fit(X[:2000], y[:2000], epochs=epochs)
    return net.loss(X[2000:], y[2000:])


def main():
    """The sweep on each backend."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=30, help="number of epochs per net")
    epochs = parser.parse_args().epochs
    grid = [(units, rate) for units in (8, 32) for rate in (1e-4, 1e-3, 1e-2, 3e-2)]
    validation_loss(*grid[0], epochs=1)  # compiles into the cache, which all processes share
    found = {}
    with ExitStack() as stack:
        backends = ["threading", "loky"]  # threads suffice: training runs without the GIL
        if find_spec("distributed"):  # pip install 'dask[distributed]'
            from dask.distributed import Client, LocalCluster

            # Workers on other machines compile once each, or share a folder, FASTBP_CACHE_DIR.
            cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
            stack.enter_context(cluster)
            stack.enter_context(Client(cluster))
            backends.append("dask")
        for backend in backends:
            start = time.perf_counter()
            with parallel_config(backend=backend, n_jobs=2):
                tasks = (delayed(validation_loss)(*point, epochs) for point in grid)
                found[backend] = Parallel()(tasks)
            print(f"{backend:<10} {time.perf_counter() - start:5.2f} s for {len(grid)} nets")
    losses = found["threading"]
    print("the same losses:", all(others == losses for others in found.values()))
    best = int(np.argmin(losses))
    print(f"best: {grid[best][0]} units, rate {grid[best][1]:g}, loss {losses[best]:.4f}")
    return found


if __name__ == "__main__":  # processes import this file
    found = main()
