"""One step of a linear network, value by value.

Inputs 1 and 2 of the lecture (TJ, Neural Networks II) are x1 and x2 here, hidden units 3, 4, 5 are
h1, h2, h3, and unit 6 is o1. The step changes every weight by its gradient times a learning rate of
0.1. That is too much here: all weights change at once, the output jumps over its target, and the
loss rises from 8 to 15488. The gradient is right all the same: it says which way is down, not how
far. With a hundredth of that rate the same step lowers the loss.
"""

import argparse
from pathlib import Path

import numpy as np

import fastbp.plot
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

rates = np.geomspace(1e-5, 0.1, 81)
after = []
for rate in rates:
    net.optimizer = SGD(rate)
    after.append(explain(net, [3, -2], 9).losses.after)
print("\nlearning rate    0.1    0.01   0.001  0.0001")
print("loss after   ", *(f"{after[i]:7.5g}" for i in (80, 60, 40, 20)), " (before: 8)")

left, right = fastbp.plot.axes(ncols=2, figsize=(11, 4.2), width_ratios=(3, 2))
step.plot(ax=left)
right.loglog(rates, after)
right.axhline(8, color="gray", linestyle=":", label="before the step: 8")
right.plot(0.1, after[-1], "o", color="tab:red", label=f"at rate 0.1: {after[-1]:.0f}")
best = int(np.argmin(after))
right.plot(rates[best], after[best], "o", color="tab:green", label=f"least, at {rates[best]:.1g}")
right.set(title="The same step at other learning rates", xlabel="learning rate",
          ylabel="loss after the step")  # fmt: skip
right.legend()
folder.mkdir(parents=True, exist_ok=True)
left.figure.savefig(folder / "04_linear_network.png", dpi=80)
print(f"\nin {folder}: 04_linear_network.png")
