"""Units add up to any function: steps, bumps, towers.

A sigmoid unit with a large weight is a step, and its bias says where. Two steps, one added and one
taken away, make a bump. A row of bumps, each as high as the curve, follows it: the more, the
closer, without limit. Training goes on from there, with slopes instead of steps, and comes nearer.
In two dimensions, steps add up to ridges, and a unit of the next layer that fires only where two
ridges cross makes a tower (MC886; M. Nielsen's chapter 4).
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLP

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
folder = parser.parse_args().folder
x = np.linspace(0, 1, 500)[:, None]
curve = (0.2 + 0.4 * x**2 + 0.3 * x * np.sin(15 * x) + 0.05 * np.cos(50 * x))[:, 0]  # Nielsen's
axis = np.linspace(0, 1, 120)
plane = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
hills = (0.5 + 0.5 * np.sin(5 * plane[:, 0]) * np.cos(4 * plane[:, 1])).reshape(120, 120)


def by_bumps(edges, heights, steepness=1e4):
    """A net whose units, in pairs, step up at one edge and down at the next."""
    net = MLP((1, 2 * len(heights), 1), activation="sigmoid", dtype="float64", seed=0)
    net.weights[0][...] = steepness
    net.biases[0][...] = -steepness * np.concatenate([edges[:-1], edges[1:]])
    net.weights[1][:, 0] = np.concatenate([heights, -heights])
    return net


def by_towers(n):
    """A net of n x n towers: steps at the edges of columns and rows, a unit for each square."""
    net = MLP((2, 2 * n + 2, n * n, 1), activation="sigmoid", dtype="float64", seed=0)
    net.weights[0][...] = 1e4 * np.kron(np.eye(2), np.ones(n + 1))
    net.biases[0][...] = -1e4 * np.tile(np.linspace(-0.001, 1.001, n + 1), 2)
    ridge = np.eye(n + 1, n) - np.eye(n + 1, n, -1)  # up at one edge, down at the next
    net.weights[1][:] = 100 * np.vstack([np.kron(ridge, np.ones(n)), np.kron(np.ones(n), ridge)])
    net.biases[1][...] = -150  # it takes both ridges
    net.weights[2][:, 0] = hills[60 // n :: 120 // n, 60 // n :: 120 // n].ravel()
    return net


figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
for weight in (10, 40, 10_000):
    left.plot(x, by_bumps(np.array([0.3, 0.7]), np.ones(1), weight).predict(x), label=weight)
middle.plot(x, curve, color="black", lw=5, alpha=0.3, label="the curve")
RUNS = ("10 bumps", 10, 1e4, 0), ("50 bumps", 50, 1e4, 0), ("10 bumps, trained", 10, 20, 300)
for name, n, steepness, epochs in RUNS:
    net = by_bumps(np.linspace(-0.001, 1.001, n + 1), curve[250 // n :: 500 // n], steepness)
    net.fit(x, curve, method="lm", epochs=epochs)
    middle.plot(x, net.predict(x), lw=1, label=name, ls="--" if epochs else "-")
    error = np.abs(net.predict(x)[:, 0] - curve).mean()
    print(f"{name:17} {net.layer_sizes[1]:4} units  error {error:.5f}")
for n in (6, 24, 12):
    made = by_towers(n).predict(plane).reshape(120, 120)
    print(f"{n} x {n} towers  error {np.abs(made - hills).mean():.4f}")
right.imshow(made.T, origin="lower", extent=(0, 1, 0, 1))
right.contour(axis, axis, hills.T, colors="white", linewidths=0.8)
left.set_ylim(-0.05, 1.6)
left.legend(title="Two steps make a bump, by weights", fontsize="small", loc="upper center")
middle.legend(title="Bumps make a curve", fontsize="small")
right.set_title("12 x 12 towers; the function in white")
folder.mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "16_any_function.png", dpi=80)
