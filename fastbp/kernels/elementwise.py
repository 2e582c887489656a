"""A user's functions of single numbers as loops over runs of whole vectors, called by address.

The loops are compiled anew around each function, and nothing else is: see machine/elementwise.py.
Which arguments a loop has no use for is told by its names.
"""

from fastbp.kernels.scalars import REPLACEMENTS
from fastbp.machine.elementwise import Kind
from fastbp.machine.jit import kernel
from fastbp.machine.simd import is_same, lanes, load, store


@kernel
def activation_loop(function, z, slope, _, __, count):
    """``z, slope <- f(z)``; where `slope` is z itself, only the outputs are wanted."""
    count = count // lanes(z) * lanes(z)  # which it is: LLVM then knows that nothing is left over
    if is_same(z, slope):
        for i in range(count):
            y, dy = function(load(z, i))
            store(z, i, y)
    else:
        for i in range(count):
            y, dy = function(load(z, i))
            store(slope, i, dy)
            store(z, i, y)


@kernel
def loss_loop(function, y, t, values, slopes, count):
    """``values, slopes <- f(y, t)``."""
    count = count // lanes(y) * lanes(y)
    for i in range(count):
        value, slope = function(load(y, i), load(t, i))
        store(values, i, value)
        store(slopes, i, slope)


ACTIVATION = Kind(activation_loop, ("z",), ("y", "slope"), REPLACEMENTS)
LOSS = Kind(loss_loop, ("y", "t"), ("value", "slope"), REPLACEMENTS)
