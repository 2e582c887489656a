"""Learning rates: too small, good, too large, divergent.

The effect of the learning rate on gradient descent (MC886, CS109A), and the rate that
`find_learning_rate` suggests. Its range test is Smith's (WACV 2017): train while the rate rises,
and watch where the loss falls.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np

import fastbp.plot
from fastbp import MLP, SGD, find_learning_rate

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
folder = parser.parse_args().folder
folder.mkdir(parents=True, exist_ok=True)

rng = np.random.default_rng(0)
X = rng.normal(size=(600, 3))
y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=600)


def new_net(learning_rate: float) -> MLP:
    """The same net, with the same weights, each time."""
    return MLP((3, 32, 1), activation="tanh", optimizer=SGD(learning_rate), seed=0)


found = find_learning_rate(new_net(0.01), X, y, batch_size=200)  # as in training
print(found, "\n")

rates = {
    "too small": found.suggestion / 100,
    "good": found.suggestion,
    "too large": found.rates[-1] / 2,
    "divergent": found.rates[-1],
}
histories = {}
warnings.filterwarnings("ignore", category=fastbp.DivergenceWarning)  # divergence is the point here
for name, rate in rates.items():
    history = new_net(rate).fit(X, y, epochs=100, batch_size=200)
    histories[f"{name}, {rate:.2g}"] = history
    end = f"loss {history.loss[-1]:8.4g}  {history.stop_reason}"
    print(f"{name:10}  learning rate {rate:8.2g}  {end}")

left, right = fastbp.plot.axes(ncols=2, figsize=(11, 4))
found.plot(left)
fastbp.plot.loss_curves(histories, ax=right)
right.set(title="Training at these rates", ylim=(0.1, 100))  # the divergent one leaves
left.figure.savefig(folder / "12_learning_rate.png", dpi=80)
print(f"\nwritten: {folder / '12_learning_rate.png'}")
