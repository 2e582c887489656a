"""Why deep nets of sigmoid units learn slowly, and what cures it.

Backpropagation multiplies the error by a weight and by the slope of a unit in each layer that it
passes. The slope of a sigmoid is at most 1/4, so of the error little is left after a few layers:
the first layers hardly learn, and what they pass on stays as random as at the start. The slope of
tanh is 1 at 0, that of ReLU is 1 for all positive net inputs. With initial weights to match
(Glorot's for tanh, He's for ReLU) the gradient is as large in the first layer as in the last.
Cross-entropy instead of squared error cures something else: the slope of the sigmoid output, which
is small where the net is badly wrong. After M. Nielsen's chapters 3 and 5, to which MC886 refers,
and ID2223.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLP, SGD
from fastbp.inspection import layer_gradients

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
parser.add_argument("--epochs", type=int, default=300, help="number of epochs per net")
options = parser.parse_args()

rng = np.random.default_rng(0)
y = np.arange(500) % 2  # two interleaved spirals
angle = rng.uniform(0.5, 6, size=500)
X = np.stack([angle * np.cos(angle + np.pi * y), angle * np.sin(angle + np.pi * y)], axis=1) / 3

ENTROPY = "binary_cross_entropy"
NETS = {  # activation, initial weights, loss
    "sigmoid, squared error": ("sigmoid", "glorot", "squared_error"),
    "sigmoid, cross-entropy": ("sigmoid", "glorot", ENTROPY),
    "tanh, cross-entropy": ("tanh", "glorot", ENTROPY),
    "ReLU, He, cross-entropy": ("relu", "he", ENTROPY),
}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
print("norm of the gradient before training      layer 0      layer 3   ratio   loss at the end")
for name, (activation, init, loss) in NETS.items():
    net = MLP(
        (2, *[20] * 4, 1), activation=activation, output_activation="sigmoid", loss=loss,
        weight_init=init, optimizer=SGD(0.1, momentum=0.9), seed=0,
    )  # fmt: skip
    norms = [np.linalg.norm(weights) for weights in layer_gradients(net, X, y)[0][:-1]]
    left.plot(norms, "o-", label=name)
    constant = 0.125 if loss == "squared_error" else np.log(2)  # the loss of 1/2 for each row
    losses = np.array(net.fit(X, y, epochs=options.epochs, batch_size=25).loss) / constant
    right.plot(np.arange(1, len(losses) + 1), losses, label=name)
    print(
        f"{name:36}{norms[0]:13.5f}{norms[-1]:13.5f}{norms[-1] / norms[0]:8.0f}{losses[-1]:13.3f}"
    )
left.set(title="Gradient of each hidden layer before training", xlabel="layer, from the inputs",
         ylabel="norm of the gradient by the weights", yscale="log", xticks=range(4))  # fmt: skip
right.set(title="Training", xlabel="epoch", ylabel="loss / loss of always answering 1/2")
left.legend(fontsize="small")
options.folder.mkdir(parents=True, exist_ok=True)
figure.savefig(options.folder / "17_vanishing_gradients.png", dpi=80)
