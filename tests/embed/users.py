"""A user's module: functions that Numba caches and that get a net as an argument."""

import sys

import numba
import numpy as np

from fastbp import MLP


@numba.njit(cache=True)
def integrate(f, y, h, n):
    dy = y.copy()
    for _ in range(n):
        f.predict(y, dy)
        for j in range(y.size):
            y[j] += h * dy[j]
    return y


@numba.njit(cache=True)
def integrate_by_rows(f, y, h, n):
    dy = y.copy()
    for _ in range(n):
        f.predict(y, dy)
        y += h * dy
    return y


def main(kind: str, hidden: int) -> None:
    """Integrate a net's equation, and check it against net.predict; print the hits of the cache."""
    net = MLP((3, hidden, 3), activation="tanh", seed=hidden)
    f = net.compiled(kind=kind)
    y = np.full(3, 0.5, np.float32)
    want = y.copy()
    for _ in range(4):
        want += np.float32(0.1) * net.predict(want[np.newaxis])[0]
    assert np.allclose(integrate(f, y, np.float32(0.1), 4), want, rtol=1e-5)
    print(sum(integrate.stats.cache_hits.values()), sum(integrate.stats.cache_misses.values()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
