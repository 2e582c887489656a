"""Shifted and rotated copies make more of 1,000 digits.

Nielsen's chapter 3, to which MC886 refers, shifts digits by a pixel. Here each batch is changed at
random before the net trains on it; the table shows means over several seeds.
"""

import argparse
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLP, GaussianNoise, ImageRotation, ImageShift
from fastbp.files.idx import mnist

parser = argparse.ArgumentParser(description=__doc__)
folder = Path(os.environ.get("FASTBP_DATA", "data"))
parser.add_argument(
    "--data", type=Path, default=folder, help="folder with the files t10k-*-ubyte.gz"
)
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
parser.add_argument("--seeds", type=int, default=3, help="number of nets per row of the table")
parser.add_argument("--epochs", type=int, default=50, help="number of epochs per net")
options = parser.parse_args()

try:
    X, y = mnist(options.data)
except FileNotFoundError as error:
    raise SystemExit(f"{error} with --data or FASTBP_DATA") from None
order = np.random.default_rng(0).permutation(len(X))
train = order[:1_000]
test = order[8_500:]

shape = (28, 28)
kinds = {
    "original": [],
    "noise": [GaussianNoise(0.1)],
    "shifted": [ImageShift(shape, pixels=1)],
    "rotated": [ImageRotation(shape, degrees=15)],
    "all of these": [ImageRotation(shape, 15), ImageShift(shape, 1), GaussianNoise(0.1)],
}
figure, axes = plt.subplots(len(kinds), 9, figsize=(6.5, 3.9), layout="constrained")
for row, (name, augment) in zip(axes, kinds.items(), strict=True):
    accuracies = []
    for seed in range(options.seeds):
        net = MLP((784, 100, 10), loss="cross_entropy", seed=seed)
        net.fit(X[train], y[train], epochs=options.epochs, augment=augment)
        accuracies.append(net.score(X[test], y[test]))
    seeds = " ".join(f"{accuracy:.2%}" for accuracy in accuracies)
    print(f"1,000 digits {name:14}{np.mean(accuracies):7.2%}  ({seeds})", flush=True)
    changed = X[train[: len(row)]].copy()
    rng = np.random.default_rng(0)
    for function in augment:
        changed = function(changed, rng)
    for ax, image in zip(row, changed, strict=True):
        ax.imshow(image.reshape(shape), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
options.folder.mkdir(parents=True, exist_ok=True)
figure.savefig(options.folder / "18_augmentation.png", dpi=72)
