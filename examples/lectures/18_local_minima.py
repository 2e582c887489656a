"""Local minima: many starts, and the best of them.

Gradient descent goes down to a minimum near its start, and that need not be the lowest. The
smallest net for XOR shows it: two hidden units of ReLU are enough, but from most initial weights
they settle where some answers stay wrong, however long they train. The gradient does not tell: it
is zero there, too. The cure is to start again from other weights and to keep the best net, which
`fastbp.restarts` does. If one start succeeds with probability p, the best of k starts succeeds with
1 - (1 - p)^k. More units are another cure (ECE448, ID2223).
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLP, Adam, restarts

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
parser.add_argument("--starts", type=int, default=300, help="number of initial weights per net")
options = parser.parse_args()

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([0, 1, 1, 0])
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
found = {}
k = np.arange(1, 31)
for hidden in (2, 4, 8):
    net = MLP((2, hidden, 1), optimizer=Adam(0.05), seed=0)
    found[hidden] = restarts(
        net, X, y, options.starts, validation_fraction=None, epochs=2000, batch_size=4
    )
    share = (found[hidden].losses < 0.01).mean()
    print(f"{hidden} hidden units: {share:.0%} of {options.starts} starts learn XOR")
    right.plot(k, 1 - (1 - share) ** k, ".-", label=f"{hidden} hidden units")

print("\nwhere the nets of 2 hidden units end: loss, starts, the answers of one of them")
small = found[2]
levels = (small.losses + 1e-4).round(3)
for level, count in zip(*np.unique(levels, return_counts=True), strict=True):
    example = small.nets[int(np.argmax(levels == level))]
    answers = " ".join(f"{answer:.2f}" for answer in example.predict(X)[:, 0] + 0.0)
    print(f"{level:.3f} {count:4}   {answers}")
print("the best of them answers", *(small.net.predict(X)[:, 0] + 0.0).round(3))

left.hist(small.losses, bins=np.arange(-0.004, 0.14, 0.01))
left.plot(small.losses.min(), 0, "*", color="tab:red", markersize=13, clip_on=False, label="best")
left.set(title=f"{options.starts} starts with 2 hidden units", xlabel="loss at the end",
         ylabel="starts")  # fmt: skip
left.legend()
right.set(title="The best of k starts", xlabel="k", ylabel="probability that it learns XOR")
right.set_ylim(0, 1.03)
right.legend()
options.folder.mkdir(parents=True, exist_ok=True)
figure.savefig(options.folder / "18_local_minima.png", dpi=80)
