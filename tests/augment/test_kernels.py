"""Warped and shifted images against SciPy and NumPy, without and with channels."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import DTYPES
from scipy import ndimage

from fastbp.augment.kernels import ImageShape, shift_images, warp_images

SHAPES = (ImageShape(1, 1, 1), ImageShape(5, 8, 1), ImageShape(9, 4, 3))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("fill", [0.0, -2.5])
def test_shift(shape, fill, dtype) -> None:
    rng = np.random.default_rng(0)
    x = rng.random((6, *shape)).astype(dtype)
    down, right = rng.integers(-3, 4, (2, 6))
    down[0], right[0], down[1] = 0, 0, 50
    out = np.full(x.size + 5, 7, dtype)
    shift_images(out[: x.size], x.reshape(-1), shape, down, right, fill)
    assert (out[x.size :] == 7).all()
    for image, got, i, j in zip(x, out[: x.size].reshape(x.shape), down, right, strict=True):
        expected = ndimage.shift(image, (i, j, 0), order=0, mode="constant", cval=fill)
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("fill", [0.0, 1.5])
def test_warp(shape, fill, dtype) -> None:
    rng = np.random.default_rng(1)
    x = rng.random((6, *shape)).astype(dtype)
    matrices = np.eye(2).ravel() + rng.normal(scale=0.5, size=(6, 4))
    matrices[0] = [1, 0, 0, 1]
    out = np.full(x.size + 5, 7, dtype)
    warp_images(out[: x.size], x.reshape(-1), shape, matrices.reshape(-1), fill)
    assert (out[x.size :] == 7).all()
    centre = (np.array(shape[:2]) - 1) / 2
    for image, got, m in zip(x, out[: x.size].reshape(x.shape), matrices, strict=True):
        m = m.reshape(2, 2)
        for channel in range(shape.channels):
            expected = ndimage.affine_transform(
                image[..., channel].astype(np.float64), m, centre - m @ centre, order=1,
                mode="grid-constant", cval=fill,
            )  # fmt: skip
            np.testing.assert_allclose(got[..., channel], expected, atol=1e-6)
    assert np.array_equal(out[: x[0].size].reshape(x[0].shape), x[0])
