"""Draw docs/learning.gif, the animation of the first page.

It is committed. Draw it again, after a change of `LearningAnimation`, with
``python docs/_build_tools/learning_animation.py``.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from fastbp import MLP, Adam
from fastbp.plot import LearningAnimation

PATH = Path(__file__).resolve().parents[1] / "learning.gif"
COLORS = 40  # in one palette for all frames: the file is a third as large

rng = np.random.default_rng(0)
y = np.arange(300) % 2  # two spirals
angle = rng.uniform(0.5, 6.0, size=300)
X = np.column_stack([np.cos(angle + np.pi * y), np.sin(angle + np.pi * y)]) * angle[:, None] / 4
X += rng.normal(scale=0.06, size=X.shape)

net = MLP(
    (2, 8, 8, 1), activation="tanh", loss="binary_cross_entropy", optimizer=Adam(0.01), seed=2
)
animation = LearningAnimation(X, y, PATH, frames=28, fps=6, hidden=False)
net.fit(X, y, epochs=150, callbacks=animation)

with Image.open(PATH) as drawn:
    frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(drawn)]
    duration = drawn.info["duration"]
palette = frames[-1].quantize(COLORS)
small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
durations = [duration] * (len(small) - 1) + [3000]
small[0].save(PATH, save_all=True, append_images=small[1:], duration=durations, loop=0)
print(f"{PATH.name}: {len(small)} frames, {PATH.stat().st_size / 1000:.0f} kB")
