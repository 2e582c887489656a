"""L2, L1, dropout and early stopping; and initial weights.

Four ways to fit less of the noise of thirty points with a net of 4,353 parameters (MC886, ID2223),
and how deep nets start from several initial weights. The errors are means over `--seeds` nets; on
new rows the noise leaves at least 0.12. The strengths are chosen by hand.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLP, SGD, Adam

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default="build/examples", help="output folder")
parser.add_argument("--seeds", type=int, default=5, help="number of nets per method")
arguments = parser.parse_args()
rng = np.random.default_rng(0)


def sample(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw points of a sine with noise of standard deviation 0.35."""
    x = rng.uniform(-1, 1, size=(rows, 1))
    return x, np.sin(4 * x) + rng.normal(scale=0.35, size=(rows, 1))


X, y = sample(30)
X_test, y_test = sample(1000)
at = np.linspace(-1, 1, 400)[:, None]
figure, panels = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
METHODS = {  # options of the net, options of fit
    "nothing": ({}, {}),
    "L2": ({"l2": 3e-3}, {}),
    "L1": ({"l1": 1e-3}, {}),
    "dropout": ({"dropout": 0.2}, {}),
    "early stopping": ({}, {"validation_fraction": 0.3, "patience": 200}),
}
print("                  error on training, new rows   sum |w|   |w| < 0.001   epochs")
for ax, (name, (options, limits)) in zip(panels.flat, METHODS.items(), strict=False):
    found = []
    for seed in range(arguments.seeds):
        net = MLP((1, 64, 64, 1), optimizer=Adam(3e-3), seed=seed, **options)
        history = net.fit(X, y, epochs=3000, batch_size=30, **limits)
        errors = [((net.predict(a) - b) ** 2).mean() for a, b in ((X, y), (X_test, y_test))]
        sizes = np.abs(np.concatenate([weights.ravel() for weights in net.weights]))
        found.append([*errors, sizes.sum(), (sizes < 1e-3).mean(), len(history)])
        ax.plot(at, net.predict(at), "C0", lw=1, alpha=1 if seed == 0 else 0.3,
                label="nets" if seed == 0 else None)  # fmt: skip
    mean = np.mean(found, axis=0)
    print("{:<18}{:17.3f}{:10.3f}{:10.0f}{:14.1%}{:9.0f}".format(name, *mean))
    ax.plot(at, np.sin(4 * at), "k--", lw=1, label="true function")
    ax.plot(X, y, "k.", ms=4, label="training data")
    ax.set(title=f"{name}: error {mean[1]:.2f} on new rows", ylim=(-1.9, 2.6))
panels[0, 0].legend(fontsize="small")

print("\ninitial weights   loss of a net of 6 hidden layers after 300 steps, one net each")
ax = panels[1, 2]
for init in ("he", "glorot", "orthogonal", "zeros"):
    net = MLP((1, *[64] * 6, 1), weight_init=init, optimizer=SGD(0.02, momentum=0.9), seed=0)
    history = net.fit(X, y, epochs=300, batch_size=30)
    print(f"{init:<18}{history.loss[-1]:.3f}")
    ax.plot(history.loss, lw=1, label=init)
ax.set(title="Initial weights: training loss", xlabel="step", ylim=(0, 0.4))
ax.legend(fontsize="small")
arguments.folder.mkdir(parents=True, exist_ok=True)
figure.savefig(arguments.folder / "15_regularization.png", dpi=68)
