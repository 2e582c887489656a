"""Backpropagation in plain loops beside the fast kernels.

The loops of fastbp/plain.py and `MLP` find equal losses, in unequal times.
"""

from time import perf_counter

import numpy as np
from numba import njit

from fastbp import MLP, Adam, plain

rng = np.random.default_rng(0)
X = rng.normal(size=(32, 64))
T = rng.normal(size=(32, 10))
fast = MLP((64, 64, 10), activation="tanh", optimizer=Adam(0.001), dtype="float64", seed=0)

sizes = np.array(fast.layer_sizes)
net = plain.Net(sizes, np.array([plain.TANH, plain.IDENTITY]), plain.SQUARED_ERROR, bias=True)
params = fast.params.copy()
work = plain.workspace(params, net, len(X))


@njit
def train(params, work, net, X, T, first, count):
    """Losses before each of `count` updates, compiled together with `plain`."""
    losses = np.empty(count)
    for i in range(count):
        losses[i] = plain.train_step(params, work, net, X, T, first + i, 0.001)
    return losses


history = fast.fit(X, T, epochs=100, batch_size=32, shuffle=False)
losses = train(params, work, net, X, T, 1, 100)
print("update     MLP          plain")
for i in (0, 1, 2, 9, 99):
    print(f"{i + 1:6}  {history.loss[i]:.9f}  {losses[i]:.9f}")
print(f"parameters differ by {np.abs(fast.params - params).max():.0e} at most")

fast_time, plain_time = np.inf, np.inf
for turn in range(5):  # the best of five, in turn
    start = perf_counter()
    fast.fit(X, T, epochs=500, batch_size=32, shuffle=False)
    fast_time = min(fast_time, perf_counter() - start)
    start = perf_counter()
    train(params, work, net, X, T, 101 + 500 * turn, 500)
    plain_time = min(plain_time, perf_counter() - start)
print(
    f"\nan update by MLP {fast_time / 500 * 1e6:.1f} us, by plain {plain_time / 500 * 1e6:.1f} us"
)
print(f"plain takes {plain_time / fast_time:.0f} times as long")
