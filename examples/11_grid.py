"""A grid of hyper-parameters, all nets in one call."""

from itertools import product

import numpy as np

from fastbp import MLP, Adam, fit_many

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (600, 2))
y = np.sin(4 * X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=600)

grid = list(product((4, 16, 64), ("tanh", "relu"), (1e-3, 1e-2, 1e-1), (0.0, 1e-3)))
nets = [
    MLP((2, units, 1), activation=activation, optimizer=Adam(rate), l2=l2, seed=0)
    for units, activation, rate, l2 in grid
]
fit_many(nets, X[:400], y[:400], epochs=100, threads="auto")
scores = [net.score(X[400:], y[400:]) for net in nets]
for best in np.argsort(scores)[:-6:-1]:
    print(f"R^2 {scores[best]:.3f}: units, activation, learning rate, l2 = {grid[best]}")
