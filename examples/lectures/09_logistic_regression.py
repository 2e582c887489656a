"""Heart disease by maximum heart rate: logistic regression.

First logistic regression, then a net of two hidden units (CS109A). `--data heart.csv` reads the
file of the lecture, with the columns MaxHR and AHD; without it, scikit-learn fetches data of the
same patients (heart-c) from OpenML.
"""

import argparse
import csv
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLP, SGD


def load(path: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Read the maximum heart rate (beats per minute) and the diagnosis of each patient."""
    if path is not None:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return np.array([float(r["MaxHR"]) for r in rows]), np.array([r["AHD"] for r in rows])
    from sklearn.datasets import fetch_openml

    try:
        found = fetch_openml("heart-c", version=1, as_frame=False, parser="liac-arff")
    except OSError as error:
        raise SystemExit(f"No network ({error}): pass a file with --data heart.csv") from error
    disease = np.array([{"<50": "No", ">50_1": "Yes"}[kind] for kind in found.target])
    return found.data[:, found.feature_names.index("thalach")].astype(float), disease


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--data", type=Path, help="path of heart.csv; without it, scikit-learn fetches the data"
)
parser.add_argument("--folder", type=Path, default="build/examples", help="output folder")
arguments = parser.parse_args()
rate, disease = load(arguments.data)
y = disease == "Yes"
mean = rate.mean()
scale = rate.std()
X = ((rate - mean) / scale)[:, None]
at = np.linspace(rate.min() - 10, rate.max() + 10, 300)
figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
axes.plot(rate[~y], np.zeros((~y).sum()), "|", color="tab:blue", ms=12, label="no heart disease")
axes.plot(rate[y], np.ones(y.sum()), "|", color="tab:red", ms=12, label="heart disease")

kind = {"activation": "sigmoid", "loss": "binary_cross_entropy", "dtype": "float64", "seed": 0}
line = MLP((1, 1), optimizer=SGD(1.0), **kind)
line.fit(X, y, epochs=300, batch_size=len(y))  # all rows in each step: gradient descent
curve = MLP((1, 2, 1), optimizer=SGD(0.5, momentum=0.9), **kind)
curve.fit(X, y, epochs=10_000, batch_size=len(y))

slope = line.weights[0][0, 0] / scale
print(f"log odds of heart disease = {line.biases[0][0] - slope * mean:.4f} {slope:+.5f} MaxHR")
for net, name, style in ((line, "logistic regression", "k-"), (curve, "2 hidden units", "k--")):
    grad = np.abs(net.loss_and_grad(X, y)[1]).max()
    print(f"{name:<20} log loss {net.loss(X, y):.5f}  largest partial derivative {grad:.0e}")
    axes.plot(at, net.predict((at - mean)[:, None] / scale), style, label=name)
axes.set(xlabel="MaxHR, beats per minute", ylabel="probability of heart disease")
axes.legend(loc="center right", fontsize="small")
arguments.folder.mkdir(parents=True, exist_ok=True)
figure.savefig(arguments.folder / "09_logistic_regression.png", dpi=90)
