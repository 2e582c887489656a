"""From gradient descent to Levenberg-Marquardt, on one problem.

CS109A, Lecture 12 covers the line search and conjugate gradients, ID2223 full-batch, stochastic and
mini-batch descent. The unit of work is one full-batch gradient evaluation: an epoch of mini-batches
counts as one, an iteration with a line search as many as it makes. One of Levenberg-Marquardt
counts its trial steps; its J^T J comes on top, here the work of one or two gradients. The loss of
mini-batches jumps up and down, so the least loss so far is shown.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLP, SGD, Adam
from fastbp.methods import METHODS

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
parser.add_argument(
    "--evaluations", type=int, default=1000, help="number of full-batch gradient evaluations"
)
options = parser.parse_args()

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(500, 2))
y = np.sin(3 * X[:, 0]) * X[:, 1]


def net(optimizer: str | SGD | Adam = "adam") -> MLP:
    """Make the same untrained net each time."""
    return MLP((2, 20, 1), activation="tanh", optimizer=optimizer, dtype="float64", seed=0)


start = net().loss(X, y)
curves = {}
for name, optimizer in (("SGD, batches of 25", SGD(0.2)), ("Adam, batches of 25", Adam(1e-2))):
    trained = net(optimizer)
    losses = [start]
    for _ in range(options.evaluations):
        trained.fit(X, y, epochs=1, batch_size=25)
        losses.append(trained.loss(X, y))
    curves[name] = (np.arange(len(losses)), np.minimum.accumulate(losses))  # the best so far
for method in METHODS:  # by name
    history = net().fit(X, y, epochs=options.evaluations, method=method)
    evaluations, losses = (np.array(history[name]) for name in ("evaluations", "loss"))
    inside = evaluations <= options.evaluations
    curves[method] = (np.r_[0, evaluations[inside]], np.r_[start, losses[inside]])

print(f"{'loss after n gradients, n =':28} {10:>9} {100:>9} {options.evaluations:>9}")
figure, ax = plt.subplots(figsize=(8, 4.6), layout="constrained")
for name, (evaluations, losses) in curves.items():
    shown = [losses[evaluations <= count][-1] for count in (10, 100, options.evaluations)]
    print(f"{name:28} " + " ".join(f"{loss:9.1e}" for loss in shown))
    ax.plot(evaluations, losses, "--" if "batches" in name else "-", label=name, linewidth=1.3)
ax.set(xlabel="full-batch gradient evaluations", xlim=(0, options.evaluations))
ax.set_xscale("symlog", linthresh=1)  # from 0, where all of them have the same loss
ax.set(ylabel="least loss of all rows so far", yscale="log")
ax.set_title("Fitting sin(3 x1) x2 by a 2-20-1 net of tanh units")
ax.legend(loc="lower left")
options.folder.mkdir(parents=True, exist_ok=True)
figure.savefig(options.folder / "13_optimization_methods.png", dpi=80)
