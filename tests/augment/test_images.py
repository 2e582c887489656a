"""Ready augmentations: what they draw, what they return, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from fastbp import GaussianNoise, ImageRotation, ImageShift, ImageZoom

ALL = (
    ImageShift((6, 5), 2), ImageRotation((6, 5), 30), ImageZoom((6, 5), 1.3), GaussianNoise(0.2)
)  # fmt: skip


@pytest.mark.parametrize("augmentation", ALL, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_new_rows_of_the_same_shape_and_dtype(augmentation, dtype) -> None:
    X = np.random.default_rng(0).random((40, 30)).astype(dtype)
    before = X.copy()
    first, again, other = (augmentation(X, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(X, before)
    assert first.dtype == X.dtype
    assert first.shape == X.shape
    assert np.array_equal(first, again)
    changed = (first != other).any(axis=1)
    assert changed.mean() > 0.8  # rows have draws of their own
    assert augmentation(X[::2, ::-1], np.random.default_rng(1)).shape == (20, 30)
    whole = augmentation((X * 10).astype(int), np.random.default_rng(1))
    assert whole.dtype == np.float64


def test_shift_reaches_each_place_equally_often() -> None:
    image = np.zeros((5, 5))
    image[2, 2] = 1
    X = np.tile(image.ravel(), (5000, 1))
    moved = ImageShift((5, 5), pixels=1, fill=0.0)(X, np.random.default_rng(0))
    assert (moved.sum(axis=1) == 1).all()
    shares = moved.mean(axis=0).reshape(5, 5)
    np.testing.assert_allclose(shares[1:4, 1:4], 1 / 9, atol=0.02)
    assert shares.sum() == pytest.approx(1)
    still = ImageShift((5, 5), pixels=0)(X[:3], np.random.default_rng(0))
    assert np.array_equal(still, X[:3])


def test_rotation_is_scipys() -> None:
    X = np.random.default_rng(0).random((8, 63))
    got = ImageRotation((7, 9), degrees=40.0, fill=0.5)(X, np.random.default_rng(3))
    angles = np.random.default_rng(3).uniform(-40, 40, 8)
    for x, image, angle in zip(X, got, angles, strict=True):
        expected = ndimage.rotate(
            x.reshape(7, 9), -angle, reshape=False, order=1, mode="grid-constant", cval=0.5
        )
        np.testing.assert_allclose(image.reshape(7, 9), expected, atol=1e-12)


def test_zoom_keeps_the_centre_and_its_range() -> None:
    ramp = np.broadcast_to(np.arange(-10.0, 11), (21, 21))
    X = np.tile(np.ravel(ramp), (300, 1))
    zoomed = ImageZoom((21, 21), factor=1.5)(X, np.random.default_rng(0)).reshape(-1, 21, 21)
    np.testing.assert_allclose(zoomed[:, 10, 10], 0, atol=1e-12)
    widths = zoomed[:, 10, 11]  # how many pixels of before make one now
    assert widths.min() >= 1 / 1.5 - 1e-12
    assert widths.max() <= 1.5 + 1e-12
    assert widths.std() > 0.2
    tall = np.ascontiguousarray(X.reshape(-1, 21, 21).swapaxes(1, 2)).reshape(-1, 441)
    heights = ImageZoom((21, 21), factor=1.5)(tall, np.random.default_rng(0))
    assert np.abs(heights.reshape(-1, 21, 21)[:, 11, 10] - widths).max() > 0.1  # of their own


def test_noise() -> None:
    X = np.ones((200, 100), np.float32)
    noise = GaussianNoise(0.3)(X, np.random.default_rng(0)) - 1
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(0.3, rel=0.03)
    assert np.array_equal(GaussianNoise(0.0)(X, np.random.default_rng(0)), X)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ImageShift(28), r"shape must be a tuple such as \(28, 28\).*got 28"),
        (lambda: ImageShift("28"), r"shape must be a tuple such as"),
        (lambda: ImageShift((28,)), r"shape must be \(height, width\) or .*got \(28,\)"),
        (lambda: ImageZoom((28, 0)), r"shape\[1\] must be at least 1"),
        (lambda: ImageShift((2, 2), 1.5), "pixels must be a whole number"),
        (lambda: ImageShift((2, 2), fill=np.nan), "fill must be a finite number"),
        (lambda: ImageRotation((2, 2), -1), "degrees must be a finite number of at least 0"),
        (lambda: ImageZoom((2, 2), 0.9), "factor must be a finite number of at least 1"),
        (lambda: GaussianNoise(-1), "scale must be a finite number of at least 0"),
        (
            lambda: ImageShift((2, 3))(np.ones((4, 5)), np.random.default_rng(0)),
            r"X must have shape \(rows, 6\), images of shape \(2, 3\); got shape \(4, 5\)",
        ),
    ],
)
def test_what_they_refuse(make, message) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()
