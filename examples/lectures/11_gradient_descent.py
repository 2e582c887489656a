"""Paths of gradient descent: batches, rates, momentum.

A line is fitted to points, so the loss is a bowl over two parameters, slope and intercept (MC886,
CS109A).
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLP, SGD

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default="build/examples", help="output folder")
folder = parser.parse_args().folder
rng = np.random.default_rng(0)
x = rng.normal(loc=1.0, size=(40, 1))  # off centre, so that the bowl becomes a valley
y = 2 * x + 1 + rng.normal(scale=0.5, size=(40, 1))


def descend(batch_size: int, rate: float, epochs: int, momentum: float = 0.0) -> np.ndarray:
    """Fit a line; return slope and intercept at the start and after each update."""
    net = MLP((1, 1), optimizer=SGD(rate, momentum), dtype="float64", seed=0)
    net.params[:] = -0.7, 2.0
    path = [net.params.copy()]
    for _ in range(epochs):
        for rows in np.split(rng.permutation(40), range(batch_size, 40, batch_size)):
            net.step(x[rows], y[rows])
            path.append(net.params.copy())
    return np.array(path)


RUNS = {  # batch size, learning rate, epochs, momentum
    "batch size, 3 epochs": {
        "1: stochastic": (1, 0.15, 3), "8: mini-batch": (8, 0.15, 3), "40: full": (40, 0.15, 3),
    },
    "learning rate, 9 updates": {
        "1: diverges, 2 updates shown": (40, 1.0, 9), "0.5: good": (40, 0.5, 9),
        "0.02: too small": (40, 0.02, 9),
    },
    "momentum, 40 updates": {"momentum 0.8": (40, 0.1, 40, 0.8), "none": (40, 0.1, 40)},
}  # fmt: skip
grid = np.meshgrid(np.linspace(-1.5, 4.5, 60), np.linspace(-1, 4, 60))
net = MLP((1, 1), dtype="float64")
heights = np.zeros((60, 60))
for at in np.ndindex(60, 60):
    net.params[:] = grid[0][at], grid[1][at]
    heights[at] = net.loss(x, y)
figure, panels = plt.subplots(1, 3, figsize=(11, 4), sharey=True, layout="constrained")
for axes, (title, runs) in zip(panels, RUNS.items(), strict=True):
    axes.contourf(*grid, np.log(heights), 8, cmap="Greys", alpha=0.5)
    axes.plot(
        *np.polyfit(x[:, 0], y[:, 0], 1), "k*", ms=10, zorder=3, label="minimum (light: low loss)"
    )
    for name, run in runs.items():
        path = descend(*run)
        net.params[:] = path[-1]
        shown = path[:3] if "diverges" in name else path  # then it leaves the picture
        axes.plot(*shown.T, ".-", lw=1, ms=4, label=name)
        print(f"{title:<26} {name:<28} {len(path) - 1:3} updates  loss {net.loss(x, y):8.5f}")
    axes.set(title=title, xlabel="slope", xlim=(-1.5, 4.5), ylim=(-1, 4))
    axes.legend(loc="lower left", fontsize="small")
panels[0].set_ylabel("intercept")
folder.mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "11_gradient_descent.png", dpi=80)
