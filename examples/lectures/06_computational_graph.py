"""Computational graphs: derivatives forward and backward.

First f = (x + y) z (MC886), then the cross-entropy of a logistic unit (CS109A), in one branch and
in full, as tables and pictures; finally a net that trains on the same graph. No derivative is
written by hand.
"""

import argparse
from pathlib import Path

import numpy as np

from fastbp import MLP, SGD, graph

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
folder = parser.parse_args().folder
folder.mkdir(parents=True, exist_ok=True)


def save(expression: graph.Expression, point: dict, name: str) -> None:
    """Draw a graph with its values and derivatives."""
    expression.draw(point).figure.savefig(folder / f"06_{name}.png", dpi=80)


x, y, z = graph.variables("x y z")
q = (x + y).named("q")
f = (q * z).named("f")
at = {"x": -2, "y": 5, "z": -4}
print(f"f = (x + y) z = {f.value(at):g}, gradient {f.gradient(at, wrt=['x', 'y', 'z', 'q'])}\n")
save(f, at, "product")

W, X, y = graph.variables("W X y")
xi1 = (-W * X).named("xi1")
xi2 = graph.exp(xi1).named("xi2")
xi3 = (1 + xi2).named("xi3")
xi4 = (1 / xi3).named("xi4")
xi5 = graph.log(xi4).named("xi5")
L = (-y * xi5).named("L")
at = {"W": 3, "X": 3, "y": 1}
print("forward mode, derivatives by W:", L.forward_table("W", at), sep="\n")
print("\nbackward mode, derivatives of L:", L.backward_table(at), sep="\n")
save(L, at, "one_branch")

xi6 = graph.log(1 - xi4).named("xi6")  # one more step, and nothing to derive
full = (-y * xi5 - (1 - y) * xi6).named("full")
for label in (1, 0):
    slope = full.gradient({**at, "y": label})["W"]
    print(f"\nfull cross-entropy, y = {label}: dL/dW = {slope:.9g}", end="")
save(full, {**at, "y": 0}, "cross_entropy")

p, t = graph.variables("y_pred y")
loss = -t * graph.log(p) - (1 - t) * graph.log(1 - p)
data = np.random.default_rng(0).normal(size=(200, 1)), np.arange(200) % 2
data[0][:, 0] += 2 * data[1]
net = MLP((1, 1), output_activation="sigmoid", loss=loss, optimizer=SGD(0.5), seed=0)
losses = net.fit(*data, epochs=30).loss
print(f"\n\na net that trains on the graph: loss {losses[0]:.3f} -> {losses[-1]:.3f}")
