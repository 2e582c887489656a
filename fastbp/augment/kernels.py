"""Shifting, rotating and scaling the images in the rows of a batch.

Legend: x rows of flat images, height by width by channels, channels last; y the changed images.
Pixels from outside the image have the value `fill`.
"""

import math
from typing import NamedTuple

from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, load, pointer, store


class ImageShape(NamedTuple):
    """Height, width and channels of an image.

    Attributes
    ----------
    height, width, channels : int
    """

    height: int
    width: int
    channels: int


@kernel
def pixel(x, shape, i, j, channel, fill):
    """The value at row i, column j of an image; `fill` outside."""
    if i < 0 or i >= shape.height or j < 0 or j >= shape.width:
        return fill
    return load(x, (i * shape.width + j) * shape.channels + channel)


@kernel
def shift_image(y, x, shape, down, right, fill):
    """y[i, j] = x[i - down, j - right]."""
    at = 0
    for i in range(shape.height):
        for j in range(shape.width):
            for channel in range(shape.channels):
                store(y, at, pixel(x, shape, i - down, j - right, channel, fill))
                at += 1


@kernel(cached=True)
def shift_images(y, x, shape, down, right, fill):
    """Shift each row's image by its own whole numbers of pixels; y is not x."""
    size = shape.height * shape.width * shape.channels
    for row in range(down.shape[0]):
        at = row * size
        shift_image(pointer(y, at), pointer(x, at), shape, down[row], right[row], fill)


@kernel
def between(x, shape, i, j, channel, fill):
    """The value at a point between pixels, interpolated from the four around it."""
    top, left = math.floor(i), math.floor(j)
    a = i - top
    b = j - left
    i0 = int(top)
    j0 = int(left)
    if 0 <= i0 < shape.height - 1 and 0 <= j0 < shape.width - 1:
        right = shape.channels
        down = shape.channels * shape.width
        p = advance(x, (i0 * shape.width + j0) * shape.channels + channel)
        above = (1.0 - b) * load(p, 0) + b * load(p, right)
        return (1.0 - a) * above + a * ((1.0 - b) * load(p, down) + b * load(p, down + right))
    above = (1.0 - b) * pixel(x, shape, i0, j0, channel, fill)
    above += b * pixel(x, shape, i0, j0 + 1, channel, fill)
    below = (1.0 - b) * pixel(x, shape, i0 + 1, j0, channel, fill)
    below += b * pixel(x, shape, i0 + 1, j0 + 1, channel, fill)
    return (1.0 - a) * above + a * below


@kernel
def warp_image(y, x, shape, m, fill):
    """y[c + d] = x[c + M d], c the centre, d an offset from it, M the 2 x 2 matrix m."""
    at = 0
    middle = 0.5 * (shape.height - 1)
    centre = 0.5 * (shape.width - 1)
    for i in range(shape.height):
        for j in range(shape.width):
            down = i - middle
            right = j - centre
            row = middle + load(m, 0) * down + load(m, 1) * right
            column = centre + load(m, 2) * down + load(m, 3) * right
            for channel in range(shape.channels):
                store(y, at, between(x, shape, row, column, channel, fill))
                at += 1


@kernel(cached=True)
def warp_images(y, x, shape, matrices, fill):
    """Warp each row's image about its centre by its own 2 x 2 matrix; y is not x."""
    size = shape.height * shape.width * shape.channels
    for row in range(matrices.shape[0] // 4):
        at = row * size
        warp_image(pointer(y, at), pointer(x, at), shape, pointer(matrices, 4 * row), fill)
