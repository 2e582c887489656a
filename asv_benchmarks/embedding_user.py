"""A user's program with a function that Numba caches: prints what its first call takes.

``python embedding_user.py KIND HIDDEN`` prints, in milliseconds of the processor: the imports,
`net.compiled()`, another cached function's first call, the first call of the one that gets the net;
and the hits of its cache. `embedding.py` runs it in new processes.
"""

from __future__ import annotations

import sys
from time import process_time

start = process_time()

import numba  # noqa: E402
import numpy as np  # noqa: E402

from fastbp import MLP  # noqa: E402


@numba.njit(cache=True)
def nothing(x):
    """What Numba loads for the first function of a process."""
    return x + 1


@numba.njit(cache=True)
def integrate(f, y, h, n):
    """Euler's method for the net's equation."""
    dy = y.copy()
    for _ in range(n):
        f.predict(y, dy)
        for j in range(y.size):
            y[j] += h * dy[j]


def main(kind: str, hidden: int) -> None:
    """Print the figures."""
    times = [process_time()]
    f = MLP((10, hidden, hidden, 10), activation="tanh", seed=hidden).compiled(kind=kind)
    times.append(process_time())
    nothing(1)
    times.append(process_time())
    y = np.full(10, 0.5, np.float32)
    integrate(f, y, np.float32(0.1), 1)
    times.append(process_time())
    expected = 0.5 + 0.1 * f.net.predict(np.full((1, 10), 0.5, np.float32))[0]
    assert np.allclose(y, expected, rtol=1e-5)
    print(*(1e3 * (b - a) for a, b in zip([start, *times], times, strict=False)))
    print(sum(integrate.stats.cache_hits.values()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
