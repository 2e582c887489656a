"""One step of a sigmoid network, then 10,000.

Every value of M. Mazur's example (MC886, ID2223): w1 ... w4 lead to h1 and h2, w5 ... w8 to o1 and
o2, biases are frozen, and E is half the sum of the squared errors.
"""

import argparse
from pathlib import Path

import numpy as np

from fastbp import MLP, SGD, explain

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
folder = parser.parse_args().folder

x = [0.05, 0.10]
target = [0.01, 0.99]
net = MLP(
    (2, 2, 2), activation="sigmoid", output_activation="sigmoid", dtype="float64",
    optimizer=SGD(0.5),
)  # fmt: skip
net.weights[0][...] = np.transpose([[0.15, 0.20], [0.25, 0.30]])  # w1 w2, w3 w4
net.weights[1][...] = np.transpose([[0.40, 0.45], [0.50, 0.55]])  # w5 w6, w7 w8
net.biases[0][...] = 0.35
net.biases[1][...] = 0.60
net.freeze(weights=False, biases=True)

step = explain(net, x, target)
print(step.to_text(decimals=9))
new = np.concatenate([layer.weights.new.T.ravel() for layer in step.layers])
print("\nafter one step:", *(f"w{i} = {w:.9f}" for i, w in enumerate(new, 1)), sep="\n  ")
print(f"  E = {step.losses.after:.9f}")

net.fit([x], [target], epochs=10_000, batch_size=1)
print(f"\nafter 10,000 steps: E = {net.loss([x], [target]):.4g}, outputs", end=" ")
print(*net.predict([x])[0].round(5))

folder.mkdir(parents=True, exist_ok=True)
step.plot().figure.savefig(folder / "05_sigmoid_network.png", dpi=110)
print(f"\nin {folder}: 05_sigmoid_network.png")
