"""Handwritten digits by three nets, each better than the one before.

Of 10,000 digits of MNIST 8,500 are for training and 1,500 for testing. The book that MC886 refers
to (Nielsen, Neural Networks and Deep Learning) trains a 784-30-10 net by stochastic gradient
descent, then adds regularisation and artificial data. All settings were chosen beforehand on 1,500
of the 8,500 digits; the test digits are used once, at the end.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from fastbp import MLP, SGD, Adam, CosineDecay, ImageRotation, ImageShift
from fastbp.files.idx import mnist

parser = argparse.ArgumentParser(description=__doc__)
folder = Path(os.environ.get("FASTBP_DATA", "data"))
parser.add_argument(
    "--data", type=Path, default=folder, help="folder with the files t10k-*-ubyte.gz"
)
parser.add_argument(
    "--openml", action="store_true", help="download the digits with scikit-learn instead"
)
parser.add_argument("--quick", action="store_true", help="fewer digits and epochs")
parser.add_argument(
    "--seed", type=int, default=0, help="random seed of the nets (not of the split)"
)
options = parser.parse_args()

if options.openml:
    from sklearn.datasets import fetch_openml

    pixels, names = fetch_openml("mnist_784", return_X_y=True, as_frame=False)
    X = np.float32(pixels[-10_000:] / 255)
    y = names[-10_000:].astype(int)
else:
    try:
        X, y = mnist(options.data)
    except FileNotFoundError as error:
        raise SystemExit(f"{error} with --data or FASTBP_DATA; --openml downloads it") from None
order = np.random.default_rng(0).permutation(len(X))
train = order[: 1_500 if options.quick else 8_500]
test = order[8_500:]


def show(name: str, net: MLP, epochs: int, **how: object) -> None:
    """Train, and print the accuracy on the test digits."""
    epochs = 3 if options.quick else epochs
    history = net.fit(X[train], y[train], epochs=epochs, **how)
    accuracy = net.score(X[test], y[test])
    print(f"{name:42} {accuracy:7.2%} in {sum(history.seconds):.1f} s", flush=True)


rates = CosineDecay(1.0, period=20 * 850)  # 20 epochs of 850 updates
sigmoid = {"activation": "sigmoid", "optimizer": SGD(rates), "l2": 3e-4}
net = MLP((784, 30, 10), loss="cross_entropy", seed=options.seed, **sigmoid)
show("784-30-10, sigmoid, SGD", net, epochs=20, batch_size=10)

net = MLP((784, 100, 10), loss="cross_entropy", optimizer=Adam(1e-3), seed=options.seed)
show("784-100-10, ReLU, Adam", net, epochs=10)

rates = CosineDecay(3e-3, period=20 * 170)  # 20 epochs of 170 updates
regularised = {"optimizer": Adam(rates), "dropout": 0.1, "l2": 1e-5}
net = MLP((784, 200, 10), loss="cross_entropy", seed=options.seed, **regularised)
expand = [ImageRotation((28, 28), degrees=10), ImageShift((28, 28), pixels=1)]
show("784-200-10, augmented, dropout and L2", net, epochs=20, batch_size=50, augment=expand)
