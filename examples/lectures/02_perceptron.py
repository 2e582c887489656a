"""The perceptron learns AND and OR, but never XOR.

The rule after each row is w <- w - eta (y_hat - y) x, which changes nothing if y_hat is right. It
finds a line between two classes if there is one (ECE448, ID2223); for XOR there is none.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLP, SGD, Perceptron

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
folder = parser.parse_args().folder
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
targets = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]}

figure, axes = plt.subplots(2, 3, figsize=(9, 5.6), layout="constrained", height_ratios=(3, 2))
for (name, y), (above, below) in zip(targets.items(), axes.T, strict=True):
    unit = Perceptron(2, weight_init="glorot", seed=2)
    unit.biases[0][...] = 0.5  # starts off the grid, so that no line passes through a point
    history = unit.fit(X, y, epochs=35)
    (w1, w2), bias = unit.weights[0][:, 0], unit.biases[0][0]
    print(
        f"{name:3}  {w1:.3g} x1 {w2:+.3g} x2 {bias:+g} > 0   predicts",
        *unit.predict(X)[:, 0],
        end="  ",
    )
    print(history.stop_reason or f"{len(history)} epochs, none without a mistake")

    for point, on in zip(X, y, strict=True):
        above.plot(*point, "o", markersize=12, color="tab:blue" if on else "tab:orange",
                   markeredgecolor="black")  # fmt: skip
        above.annotate(f"{on}", point, (9, 7), textcoords="offset points")  # the target
    normal = np.array([w1, w2])  # of the line where the net input is 0
    foot = -bias * normal / (normal @ normal)
    above.axline(foot, foot + [-w2, w1], color="black", ls="-" if history.stop_reason else "--")
    above.set(xlabel="x1", ylabel="x2", xlim=(-0.5, 1.5), ylim=(-0.5, 1.5), aspect=1)
    above.set_title(f"{name}: separated" if history.stop_reason else f"{name}: no line separates")
    below.bar(np.arange(1, len(history) + 1), history["mistakes"])
    below.set(xlabel="epoch", ylabel="mistakes", xlim=(0, 36), ylim=(0, 4.2), yticks=range(5))

both = Perceptron(2, 2, seed=0)  # two units, side by side
both.fit(X, np.transpose([targets["AND"], targets["OR"]]))
print("\nAND and OR at once:", both.predict(X).tolist())

line = MLP((2, 1), dtype="float64", optimizer=SGD(0.5), seed=0)  # the best linear fit
line.fit(X, targets["XOR"], epochs=2000, batch_size=4)
w1, w2 = line.weights[0][:, 0]
print(f"least squares for XOR: w = ({abs(w1):.6f}, {abs(w2):.6f}), b = {line.biases[0][0]:.6f}")
print("                      outputs", *line.predict(X)[:, 0].round(6))

folder.mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "02_perceptron.png", dpi=80)
print(f"\nin {folder}: 02_perceptron.png")
