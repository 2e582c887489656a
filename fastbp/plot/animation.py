"""`LearningAnimation`: a callback that writes an animation of how a classifier learns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fastbp import checks, whole_files
from fastbp.axes import pyplot, readable_log_ticks
from fastbp.fit.callbacks import Fit
from fastbp.inspection import twin_of
from fastbp.plot.boundary import classes_of, decision_boundary
from fastbp.plot.recording import Recorder

COLORS = 64
"""Colours of the palette that the frames share: they are few, and dithering would blur them."""
DPI = 72
LAST = 2000
"""Milliseconds for which the last frame stays."""


class LearningAnimation(Recorder):
    """Write an animated GIF of the decision boundary, the lines of the hidden units and the loss.

    ``net.fit(X, y, callbacks=fastbp.plot.LearningAnimation(X, y, "learning.gif"))``. The
    parameters are kept while the net learns and drawn when the fit has ended, even by Ctrl-C.

    Parameters
    ----------
    X, y : array-like
        The data to draw, as in `decision_boundary`: two inputs, and classes.
    path : str or path
        Ends in .gif; its folder must exist.
    frames : int, default=60
        The largest number of frames, at least 2; see `Recorder`.
    fps : int, default=12
        Frames per second.
    hidden : bool, default=True
        Draw the lines of the units of the first hidden layer.
    resolution : int, default=120
        As in `decision_boundary`.

    Attributes
    ----------
    epochs, params
        As in `Recorder`; there is one frame for each.

    Raises
    ------
    ImportError
        At the beginning of a fit, without matplotlib.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, plot
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
    >>> net = MLP((2, 8, 1), loss="binary_cross_entropy", seed=0)
    >>> animation = plot.LearningAnimation(X, y, "learning.gif", frames=2, resolution=20)
    >>> history = net.fit(X, y, epochs=10, callbacks=animation)
    >>> animation.epochs
    [0, 10]
    """

    def __init__(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        path: str | os.PathLike[str],
        frames: int = 60,
        fps: int = 12,
        hidden: bool = True,
        resolution: int = 120,
    ) -> None:
        super().__init__(frames)
        self.X = np.array(checks.matrix("X", X, 2, np.float64, "two inputs"))
        checks.finite("X", self.X, X)
        checks.refuse_masked("y", y)
        self.y = np.array(y)
        classes_of(self.y, len(self.X))
        self.path = Path(path)
        self.fps = checks.count("fps", fps)
        if self.path.suffix.lower() != ".gif":
            raise ValueError(f"path must end in .gif; got {str(path)!r}")
        self.hidden = checks.flag("hidden", hidden)
        self.resolution = resolution
        checks.count("resolution", resolution, 2)

    def on_fit_begin(self, fit: Fit) -> None:
        """Check matplotlib, the folder and the net's inputs; start afresh."""
        pyplot()
        if not self.path.parent.is_dir():
            raise FileNotFoundError(
                f"there is no folder {str(self.path.parent)!r} for {self.path.name!r}"
            )
        if fit.net.layer_sizes[0] != 2:
            raise ValueError(f"the net must have two inputs; got {fit.net.layer_sizes[0]}")
        super().on_fit_begin(fit)

    def on_fit_end(self, fit: Fit) -> None:
        """Draw the frames and write the file."""
        if fit.restored_epoch and self.epochs:  # the last frame is the net that is left
            self._keep(fit)
            self.epochs[-1] = fit.restored_epoch
        figure, canvas = _figure_and_canvas()
        left, right = figure.subplots(ncols=2, width_ratios=(3, 2))
        twin = twin_of(fit.net)
        frames = []
        for epoch, params in zip(self.epochs, self._params, strict=True):
            twin.params[:] = params
            self._draw(left, right, twin, epoch, fit.history)
            canvas.draw()
            frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
            figure.set_layout_engine("none")  # keep the layout of the first frame
        _write(self.path, frames, round(1000 / self.fps))

    def _draw(self, left: Any, right: Any, twin: Any, epoch: int, history: Any) -> None:
        """One frame."""
        left.clear()
        right.clear()
        decision_boundary(
            twin, self.X, self.y, hidden=self.hidden, resolution=self.resolution, ax=left
        )
        left.set_title(f"After epoch {epoch}")
        handles, labels = left.get_legend_handles_labels()
        left.legend(
            handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=len(labels),
            frameon=False,
        )  # below the data  # fmt: skip
        done = np.arange(1, len(history) + 1)
        right.plot(done, history.loss, color="0.8")
        right.plot(done[:epoch], history.loss[:epoch], color="C0")
        positive = min(history.loss, default=0.0) > 0
        right.set(
            xlabel="Epoch", ylabel="Loss", title="Training", yscale="log" if positive else "linear"
        )
        readable_log_ticks(right.yaxis)


def _figure_and_canvas() -> tuple[Any, Any]:
    """A figure that pyplot does not show, and what draws it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.2), layout="constrained", dpi=DPI)
    return figure, FigureCanvasAgg(figure)


def _write(path: Path, frames: list[npt.NDArray[np.uint8]], milliseconds: int) -> None:
    """Write the frames, (height, width, 3) each, as a GIF that begins again at its end."""
    from PIL import Image

    some = np.concatenate([frames[0], frames[len(frames) // 2], frames[-1]])
    palette = Image.fromarray(some).quantize(COLORS, dither=Image.Dither.NONE)
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    times = [*[milliseconds] * (len(images) - 1), max(milliseconds, LAST)]

    def fill(file: BinaryIO) -> None:
        images[0].save(
            file, format="GIF", save_all=True, append_images=images[1:], duration=times, loop=0,
            optimize=True,
        )  # fmt: skip

    whole_files.write(path, fill)
