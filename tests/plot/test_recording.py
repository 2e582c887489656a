"""`Recorder`: which epochs it keeps, and that it keeps their parameters."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import At

from fastbp import MLP, SGD
from fastbp.plot import Recorder
from fastbp.plot.recording import chosen_epochs

X, Y = np.linspace(-1, 1, 20).reshape(-1, 1), np.linspace(1, 3, 20)


def stop(fit) -> None:
    fit.stop()


def test_parameters_of_the_chosen_epochs() -> None:
    recorder, net = Recorder(), MLP((1, 3, 1), seed=0, optimizer=SGD(0.1))
    twin = MLP((1, 3, 1), seed=0, optimizer=SGD(0.1))
    net.fit(X, Y, epochs=4, batch_size=20, callbacks=recorder)
    assert recorder.epochs == [0, 1, 2, 3, 4]
    for params in recorder.params:
        assert np.array_equal(params, twin.params)
        twin.step(X, Y)
    assert recorder.params.shape == (5, net.params.size)


def test_a_new_fit_starts_afresh_and_its_last_epoch_is_kept() -> None:
    recorder, net = Recorder(frames=3), MLP((1, 3, 1), seed=0)
    net.fit(X, Y, epochs=2, callbacks=recorder)
    net.fit(X, Y, epochs=100, callbacks=[At(5, stop), recorder])
    assert recorder.epochs == [0, 5]
    assert np.array_equal(recorder.params[-1], net.params)


@pytest.mark.parametrize(("epochs", "frames"), [(1, 2), (5, 6), (10, 11), (100, 2), (100, 60),
                                                (60, 60), (10_000, 50), (7, 100)])  # fmt: skip
def test_chosen_epochs(epochs: int, frames: int) -> None:
    chosen = chosen_epochs(epochs, frames)
    steps = np.diff(chosen)
    assert (chosen[0], chosen[-1]) == (0, epochs)
    assert len(chosen) == min(frames, epochs + 1)
    assert (steps > 0).all()
    assert steps[: len(steps) // 2].sum() <= steps[-(len(steps) // 2) or 1 :].sum()


def test_frames_are_checked() -> None:
    with pytest.raises(ValueError, match="frames must be at least 2; got 1"):
        Recorder(1)
