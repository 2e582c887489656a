"""Watch a net learn: an animation, its loss surface, its layers.

ECE448 and ID2223: what hidden units do; MC886 and CS109A: descent on the loss surface.
"""

import argparse
from pathlib import Path

import numpy as np

import fastbp.plot
from fastbp import MLP, Adam

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default=Path("build/examples"), help="output folder")
parser.add_argument("--frames", type=int, default=24, help="number of animation frames")
options = parser.parse_args()
options.folder.mkdir(parents=True, exist_ok=True)

rng = np.random.default_rng(0)
angle = rng.uniform(0, 2 * np.pi, 300)
turn = rng.integers(2, size=300)
X = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (0.45 + 0.65 * turn)[:, None]
X += rng.normal(0, 0.12, size=X.shape)
y = turn  # a ring within a ring: no line separates them

net = MLP((2, 6, 1), activation="tanh", loss="binary_cross_entropy", optimizer=Adam(0.02), seed=3)
animation = fastbp.plot.LearningAnimation(X, y, options.folder / "14_animation.gif", options.frames)
path = fastbp.plot.Recorder()
print(repr(net.fit(X, y, epochs=150, callbacks=[animation, path])))
accuracy = net.score(X, y)
epochs = animation.epochs
print(f"accuracy {accuracy:.3f}; animation: {len(epochs)} frames, epochs {epochs[:5]} ... 150")

left, right = fastbp.plot.axes(ncols=2, figsize=(11, 4.5), dpi=64)
fastbp.plot.loss_surface(net, X, y, path=path, ax=left)
left.set_title("The path of descent, in its plane")
fastbp.plot.loss_surface(net, X, y, ax=right)
right.set_title("Around the trained net, random directions")
left.figure.savefig(options.folder / "14_loss_surface.png")

deep = MLP((2, 16, 16, 16, 1), activation="sigmoid", loss="binary_cross_entropy", seed=0)
rows = fastbp.plot.axes(nrows=2, ncols=4, figsize=(12, 6), dpi=72)
rows[0, 0].figure.suptitle(
    "An untrained net of sigmoid units: outputs above, derivatives of the loss below. "
    "Gradients shrink towards the inputs."
)
fastbp.plot.activation_histograms(deep, X, axes=rows[0])
fastbp.plot.gradient_histograms(deep, X, y, axes=rows[1])
rows[0, 0].figure.savefig(options.folder / "14_histograms.png")
norms = [ax.get_title().split()[-1] for ax in rows[1]]
print(f"three layers of sigmoid units, norms of their gradients: {', '.join(norms)}")
print(f"in {options.folder}: 14_animation.gif, 14_loss_surface.png, 14_histograms.png")
