"""AND, OR and NOT by one unit each, XOR by two layers.

The output of a McCulloch-Pitts unit is 1 on one side of a line and 0 on the other (ECE448, ID2223).
No line has (0,1) and (1,0) on one side and (0,0) and (1,1) on the other, so XOR needs a second
layer. All weights are set by hand here.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLP, Perceptron

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
folder = parser.parse_args().folder
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])

conjunction = Perceptron.from_weights([1, 1], -1.5)
disjunction = Perceptron.from_weights([1, 1], -0.5)
negation = Perceptron.from_weights([-1], 0.5)
print("x1 x2       ", *(f"{a}{b}" for a, b in X))
print("x1 AND x2   ", *(f"{y:2.0f}" for y in conjunction.predict(X)[:, 0]))
print("x1 OR x2    ", *(f"{y:2.0f}" for y in disjunction.predict(X)[:, 0]))
print("NOT 0, NOT 1", *(f"{y:2.0f}" for y in negation.predict([[0], [1]])[:, 0]))

hidden = Perceptron.from_weights([[1, 1], [1, 1]], [-1.5, -0.5])  # AND and OR, as above
xor = MLP((2, 2, 1), activation="step", output_activation="step")
xor.weights[0][...] = hidden.weights[0]
xor.biases[0][...] = hidden.biases[0]
xor.weights[1][...] = [[-1], [1]]
xor.biases[1][...] = -0.5  # OR and not AND
print("\nXOR: hidden net inputs  ", *(f"({a:g}, {b:g})" for a, b in hidden.net_inputs(X)))
output = Perceptron.from_weights(xor.weights[1], xor.biases[1])
print("     output's net inputs", *output.net_inputs(hidden.predict(X))[:, 0])
print("     outputs            ", *xor.predict(X)[:, 0])

panels = {"AND: one line": conjunction, "OR: one line": disjunction, "XOR: two lines": xor}
figure, axes = plt.subplots(ncols=3, figsize=(9, 3.4), layout="constrained")
grid = np.linspace(-0.5, 1.5, 201)
plane = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
for ax, (title, net) in zip(axes, panels.items(), strict=True):
    ax.contourf(grid, grid, net.predict(plane).reshape(201, 201), levels=[-0.5, 0.5, 1.5],
                colors=["#fdd49e", "#c6dbef"])  # fmt: skip
    first = net if isinstance(net, Perceptron) else hidden
    for (w1, w2), bias in zip(first.weights[0].T, first.biases[0], strict=True):
        ax.axline((0, -bias / w2), slope=-w1 / w2, color="black")
    for point, on in zip(X, net.predict(X)[:, 0], strict=True):
        ax.plot(*point, "o", markersize=12, color="tab:blue" if on else "tab:orange",
                markeredgecolor="black")  # fmt: skip
        ax.annotate(f"{on:.0f}", point, (9, 7), textcoords="offset points")
    ax.set(title=title, xlabel="x1", ylabel="x2", xlim=(-0.5, 1.5), ylim=(-0.5, 1.5), aspect=1)
folder.mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "01_threshold_units.png")
print(f"\nin {folder}: 01_threshold_units.png")
