"""Ready-made functions for ``fit(..., augment=...)``: artificial expansion of the training data.

Each takes a batch X, (rows, n_in), and a NumPy generator, draws new random numbers for each row,
and returns a new array with the shape and dtype of X. A list of them is applied from left to
right: ``augment=[ImageRotation((28, 28)), ImageShift((28, 28)), GaussianNoise(0.1)]``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.augment import kernels
from fastbp.augment.kernels import ImageShape
from fastbp.machine import jit

Batch = npt.NDArray[np.floating]


@dataclass(frozen=True)
class _ImageFunction:
    """The common part of the functions on images.

    Parameters
    ----------
    shape : (height, width) or (height, width, channels)
        Shape of the image that a row holds, flat and in C order; channels are the last axis.
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        given: Any = self.shape
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise TypeError(f"shape must be a tuple such as (28, 28) or (32, 32, 3); got {given!r}")
        shape = tuple(checks.count(f"shape[{i}]", size) for i, size in enumerate(given))
        if len(shape) not in (2, 3):
            raise ValueError(
                f"shape must be (height, width) or (height, width, channels); got {shape}"
            )
        object.__setattr__(self, "shape", shape)

    def _flat(self, X: Any) -> tuple[Batch, ImageShape]:
        """A batch as a C-contiguous float array, and the shape of its images."""
        array = checks.numbers("X", X)
        size = math.prod(self.shape)
        dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.dtype(np.float64)
        what = f"images of shape {self.shape}"
        flat = checks.matrix("X", array, size, dtype, what)
        return flat, ImageShape(*self.shape, *([1] if len(self.shape) == 2 else []))


@checks.explained_class
@dataclass(frozen=True)
class ImageShift(_ImageFunction):
    """Shift each image by a random whole number of pixels, down and right.

    Parameters
    ----------
    shape : (height, width) or (height, width, channels)
        Shape of the image that a row holds, flat and in C order; channels are the last axis.
    pixels : int, default=1
        The farthest shift in each direction, at least 0; all shifts are equally likely.
    fill : float, default=0.0
        The value of pixels from outside the image.

    Notes
    -----
    Nielsen, Neural Networks and Deep Learning, 2015, chapter 3, shifts digits by one pixel.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import ImageShift
    >>> images = np.array([[0, 0, 0, 0, 1, 0, 0, 0, 0]])  # the middle of 3 x 3 pixels
    >>> shifted = ImageShift((3, 3), pixels=1)(images, np.random.default_rng(0))
    >>> shifted.shape, shifted.sum().item()
    ((1, 9), 1.0)

    While a net is trained, each batch is shifted anew:

    >>> from fastbp import MLP
    >>> net = MLP((9, 8, 2), loss="cross_entropy", seed=0)
    >>> history = net.fit(images, [1], augment=ImageShift((3, 3)))
    """

    pixels: int = 1
    fill: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("pixels", self.pixels, 0)
        _check_fill(self.fill)

    def __call__(self, X: npt.ArrayLike, rng: np.random.Generator) -> Batch:
        """Shifted images, a new array."""
        flat, shape = self._flat(X)
        down, right = rng.integers(-self.pixels, self.pixels, (2, len(flat)), endpoint=True)
        return _new_images(kernels.shift_images, flat, shape, down, right, float(self.fill))


@checks.explained_class
@dataclass(frozen=True)
class ImageRotation(_ImageFunction):
    """Rotate each image about its centre by a random angle, with bilinear interpolation.

    Parameters
    ----------
    shape : (height, width) or (height, width, channels)
        Shape of the image that a row holds, flat and in C order; channels are the last axis.
    degrees : float, default=10.0
        The largest angle to either side, at least 0; all angles are equally likely.
    fill : float, default=0.0
        The value of pixels from outside the image.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import ImageRotation
    >>> images = np.array([[0, 0, 0, 0, 1, 0, 0, 0, 0]])  # the middle of 3 x 3 pixels
    >>> rotated = ImageRotation((3, 3), degrees=15)(images, np.random.default_rng(0))
    >>> rotated.shape, rotated[0, 4].item()
    ((1, 9), 1.0)
    """

    degrees: float = 10.0
    fill: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least_zero("degrees", self.degrees)
        _check_fill(self.fill)

    def __call__(self, X: npt.ArrayLike, rng: np.random.Generator) -> Batch:
        """Rotated images, a new array."""
        flat, shape = self._flat(X)
        angles = np.deg2rad(rng.uniform(-self.degrees, self.degrees, len(flat)))
        cosine, sine = np.cos(angles), np.sin(angles)
        matrices = np.stack([cosine, -sine, sine, cosine], axis=1)
        return _new_images(kernels.warp_images, flat, shape, matrices.reshape(-1), float(self.fill))


@checks.explained_class
@dataclass(frozen=True)
class ImageZoom(_ImageFunction):
    """Enlarge or shrink each image about its centre, with bilinear interpolation.

    Parameters
    ----------
    shape : (height, width) or (height, width, channels)
        Shape of the image that a row holds, flat and in C order; channels are the last axis.
    factor : float, default=1.1
        At least 1. Height and width are each multiplied by a random number between 1 / factor and
        factor, log-uniformly distributed.
    fill : float, default=0.0
        The value of pixels from outside the image.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import ImageZoom
    >>> images = np.array([[0, 0, 0, 0, 1, 0, 0, 0, 0]])  # the middle of 3 x 3 pixels
    >>> zoomed = ImageZoom((3, 3), factor=1.2)(images, np.random.default_rng(0))
    >>> zoomed.shape, zoomed[0, 4].item()
    ((1, 9), 1.0)
    """

    factor: float = 1.1
    fill: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("factor", self.factor, "a finite number of at least 1", lambda x: x >= 1)
        _check_fill(self.fill)

    def __call__(self, X: npt.ArrayLike, rng: np.random.Generator) -> Batch:
        """Zoomed images, a new array."""
        flat, shape = self._flat(X)
        most = math.log(self.factor)
        matrices = np.zeros((len(flat), 4))
        matrices[:, ::3] = np.exp(rng.uniform(-most, most, (len(flat), 2)))
        return _new_images(kernels.warp_images, flat, shape, matrices.reshape(-1), float(self.fill))


@checks.explained_class
@dataclass(frozen=True)
class GaussianNoise:
    """Add independent normal noise of mean 0 to all inputs.

    Parameters
    ----------
    scale : float, default=0.1
        Standard deviation of the noise, at least 0.

    Notes
    -----
    Small noise acts as a penalty on the derivatives: Bishop, Neural Computation 7, 1995.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import GaussianNoise
    >>> noisy = GaussianNoise(0.1)(np.zeros((1000, 4)), np.random.default_rng(0))
    >>> noisy.shape, noisy.std().round(1).item()
    ((1000, 4), 0.1)
    """

    scale: float = 0.1

    def __post_init__(self) -> None:
        checks.at_least_zero("scale", self.scale)

    def __call__(self, X: npt.ArrayLike, rng: np.random.Generator) -> Batch:
        """Noisy inputs, a new array."""
        array = checks.numbers("X", X)
        dtype = np.float32 if array.dtype == np.float32 else np.float64
        noise: Batch = rng.standard_normal(array.shape, dtype)
        noise *= self.scale
        noise += array
        return noise


def _check_fill(value: Any) -> None:
    checks.number("fill", value, "a finite number", lambda _: True)


def _new_images(function: Any, flat: Batch, shape: ImageShape, *arguments: Any) -> Batch:
    out = np.empty_like(flat)
    jit.call(function, flat.dtype.char, out.reshape(-1), flat.reshape(-1), shape, *arguments)
    return out
