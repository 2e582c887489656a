"""`LearningAnimation`: a GIF whose frames are those of the epochs that it kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastbp import MLP, SGD, Adam
from fastbp.plot import LearningAnimation

RNG = np.random.default_rng(3)
X = RNG.uniform(-1, 1, size=(60, 2))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)


def net(**options):
    return MLP((2, 4, 1), loss="binary_cross_entropy", seed=0, optimizer=Adam(0.05), **options)


def animation(folder: Path, **options) -> LearningAnimation:
    return LearningAnimation(X, Y, folder / "learning.gif", resolution=20, **options)


@pytest.mark.slow
def test_a_frame_for_each_epoch_that_was_kept(tmp_path: Path, monkeypatch) -> None:
    callback, drawn = animation(tmp_path, frames=4, fps=5), []
    draw = LearningAnimation._draw

    def spy(self, left, right, twin, epoch, history):
        draw(self, left, right, twin, epoch, history)
        lines = [line.get_xydata() for line in left.lines]
        drawn.append((epoch, twin.params.copy(), lines, right.lines[1].get_ydata().tolist()))
        assert left.get_title() == f"After epoch {epoch}"
        assert right.get_xlabel() == "Epoch" and right.get_ylabel() == "Loss"

    monkeypatch.setattr(LearningAnimation, "_draw", spy)
    learner = net()
    history = learner.fit(X, Y, epochs=9, callbacks=callback)
    assert [frame[0] for frame in drawn] == callback.epochs == [0, 1, 4, 9]
    for (epoch, params, lines, losses), kept in zip(drawn, callback.params, strict=True):
        assert np.array_equal(params, kept)
        assert losses == history.loss[:epoch]
        scale = np.abs(params[:8]).max()
        for line in lines:  # a hidden unit has its 0 along it
            nets = line @ params[:8].reshape(4, 2).T + params[8:12]
            assert np.abs(nets).max(axis=0).min() < 1e-5 * max(scale, 1)
    assert np.array_equal(drawn[-1][1], learner.params)
    with Image.open(tmp_path / "learning.gif") as image:
        assert image.n_frames == 4
        assert image.info["duration"] == 200
        frames = []
        for number in range(4):
            image.seek(number)
            frames.append(np.asarray(image.convert("L"), float))
    assert all(np.abs(a - b).max() > 50 for a, b in zip(frames, frames[1:], strict=False))


def test_a_fit_that_restores_ends_with_what_is_left(tmp_path: Path) -> None:
    callback, learner = animation(tmp_path, frames=2, hidden=False), net()
    learner.fit(X, Y, epochs=6, patience=2, callbacks=callback)
    assert np.array_equal(callback.params[-1], learner.params)


def test_a_fit_that_diverges_is_drawn(tmp_path: Path) -> None:
    callback, learner = animation(tmp_path, frames=3), net()
    learner.optimizer = SGD(1e38)
    with pytest.warns(RuntimeWarning, match="diverged"):
        learner.fit(X, Y, epochs=3, callbacks=callback)
    with Image.open(tmp_path / "learning.gif") as image:
        assert image.n_frames == len(callback.epochs) == 1


def test_bad_input_is_told_before_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"path must end in \.gif"):
        LearningAnimation(X, Y, tmp_path / "learning.mp4")
    with pytest.raises(ValueError, match="two inputs"):
        LearningAnimation(X[:, :1], Y, tmp_path / "learning.gif")
    learner = net()
    before = learner.params.copy()
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        learner.fit(X, Y, callbacks=animation(tmp_path / "none"))
    assert np.array_equal(learner.params, before)
    with pytest.raises(ValueError, match="the net must have two inputs; got 3"):
        MLP((3, 1)).fit(np.ones((4, 3)), np.ones(4), callbacks=animation(tmp_path))
    assert not (tmp_path / "learning.gif").exists()
