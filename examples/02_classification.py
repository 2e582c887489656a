"""A first classifier: two spirals, an accuracy and a picture."""

import argparse
from pathlib import Path

import numpy as np

import fastbp.plot
from fastbp import MLP, Adam

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
folder = parser.parse_args().folder

rng = np.random.default_rng(0)
y = np.arange(1000) % 2  # which spiral
angle = rng.uniform(0.5, 9.5, size=1000)
direction = np.column_stack([np.cos(angle + np.pi * y), np.sin(angle + np.pi * y)])
X = angle[:, None] / 5 * direction + rng.normal(scale=0.05, size=(1000, 2))
X_test, y_test = X[800:], y[800:]
X, y = X[:800], y[:800]

net = MLP((2, 64, 64, 2), loss="cross_entropy", optimizer=Adam(learning_rate=3e-3), seed=0)
history = net.fit(X, y, epochs=150, batch_size=32)
print(net)
print(history)

held_out = net.evaluate(X_test, y_test, metrics="accuracy")
print(f"loss on held-out rows      {held_out['loss']:.4f}")
print(f"accuracy on held-out rows  {held_out['accuracy']:.1%}")
print("classes of the first five ", net.predict(X_test[:5]).argmax(axis=1))
print("and what they ought to be ", y_test[:5])

ax = fastbp.plot.decision_boundary(net, X_test, y_test)
ax.set_title("Held-out rows, and the class that the net chooses")
folder.mkdir(parents=True, exist_ok=True)
ax.figure.savefig(folder / "02_classification.png", dpi=80)
print(f"\nin {folder}: 02_classification.png")
