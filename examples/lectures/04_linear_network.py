"""One step of a linear 2-3-1 network, value by value (TJ, Neural Networks II).

Inputs 1 and 2 are x1 and x2 here, hidden units 3, 4, 5 are h1, h2, h3, and unit 6 is o1.
"""

import argparse
from pathlib import Path

from fastbp import MLP, SGD, explain

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
folder = parser.parse_args().folder

net = MLP((2, 3, 1), activation="identity", bias=False, dtype="float64", optimizer=SGD(0.1))
net.weights[0][...] = [[1, 4, 3], [3, 2, -2]]  # W13 W14 W15; W23 W24 W25
net.weights[1][...] = [[-1], [-3], [2]]  # W36 W46 W56

step = explain(net, [3, -2], 9)
print(step.to_text(decimals=6))

hidden, output = (layer.weights for layer in step.layers)
print(f"\ndE/dW36 = {output.gradient[0, 0]:g}, new W36 = {output.new[0, 0]:g}")
print(f"dE/dW13 = {hidden.gradient[0, 0]:g}, new W13 = {hidden.new[0, 0]:g}")
print("dE/dW13 is (y - t) W36 x1 with the old W36: the step changes all weights at once.")

folder.mkdir(parents=True, exist_ok=True)
step.plot().figure.savefig(folder / "04_linear_network.png")
print(f"\nin {folder}: 04_linear_network.png")
