"""A first regression: scaling, early stopping, a score, a file.

The data are made here: a price that depends on four columns of very different sizes. Columns are
scaled to mean 0 and standard deviation 1, as nets want them, and the price is, too.
"""

import argparse
from pathlib import Path

import numpy as np

import fastbp

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
folder = parser.parse_args().folder

rng = np.random.default_rng(0)
X = np.column_stack(
    [
        rng.uniform(20, 200, 3000),  # square metres
        rng.integers(1, 7, 3000),  # rooms
        rng.uniform(0, 80, 3000),  # years
        rng.uniform(0.2, 30, 3000),  # kilometres to the centre
    ]
)
price = 2000 * X[:, 0] * (1 + np.exp(-X[:, 3] / 5)) * (1 - 0.004 * X[:, 2]) + 9000 * X[:, 1]
price *= rng.normal(1, 0.05, 3000)
train, test = np.split(rng.permutation(3000), [2500])

mean, std = X[train].mean(axis=0), X[train].std(axis=0)
centre, spread = price[train].mean(), price[train].std()
inputs, targets = (X - mean) / std, (price - centre) / spread

net = fastbp.MLP((4, 32, 32, 1), seed=0)
history = net.fit(
    inputs[train], targets[train], epochs=500, batch_size=32, validation_fraction=0.2, patience=20
)
print(f"{len(history)} epochs, {history.stop_reason}; those of epoch {history.best_epoch} are kept")
print(f"R^2 of {len(test)} rows not trained on: {net.score(inputs[test], targets[test]):.3f}")
predicted = net.predict(inputs[test])[:, 0] * spread + centre
error = np.mean(abs(predicted / price[test] - 1))
print(f"mean error {error:.1%} of the price; the noise alone makes {0.05 * (2 / np.pi) ** 0.5:.1%}")

folder.mkdir(parents=True, exist_ok=True)
net.save(folder / "price.safetensors")
again = fastbp.load(folder / "price.safetensors")
same = np.array_equal(again.predict(inputs), net.predict(inputs))
print("the same predictions after loading:", same)
