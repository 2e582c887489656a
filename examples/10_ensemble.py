"""An ensemble of nets, trained at once, that knows how sure it is."""

import numpy as np

from fastbp import MLP, Adam, fit_many

rng = np.random.default_rng(0)
X = np.concatenate([rng.uniform(-4, -1, 100), rng.uniform(1, 4, 100)]).reshape(-1, 1)
y = np.sin(X[:, 0]) + 0.1 * rng.normal(size=200)

nets = [MLP((1, 32, 32, 1), optimizer=Adam(0.01), seed=seed) for seed in range(40)]
drawn = [rng.integers(len(X), size=len(X)) for _ in nets]  # the bootstrap: rows may come twice
fit_many(nets, [X[rows] for rows in drawn], [y[rows] for rows in drawn], epochs=200, threads="auto")

grid = np.linspace(-6, 6, 13).reshape(-1, 1)
outputs = np.stack([net.predict(grid)[:, 0] for net in nets])
mean, spread = outputs.mean(axis=0), outputs.std(axis=0)
for x, m, s in zip(grid[:, 0], mean, spread, strict=True):
    data = "data" if 1 <= abs(x) <= 4 else "none"
    print(f"x = {x:4.0f} ({data} here): {m:6.2f} +- {s:4.2f}, in truth {np.sin(x):5.2f}")
