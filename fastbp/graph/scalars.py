"""Graphs of single numbers as loops over runs of whole vectors, called by address.

As in `fastbp.kernels.elementwise`, but that the function is a graph: its code is written by a walk
through it.
"""

import numpy as np

from fastbp.graph.walk import Walk
from fastbp.machine.jit import compiles, kernel, when_needed
from fastbp.machine.simd import is_same, lanes, load, store


def _value(nodes, numbers, code):
    """The output."""
    return (Walk(nodes, numbers, code).value(),)


def _value_and_slope(nodes, numbers, code):
    """The output and its derivative by the first number."""
    return Walk(nodes, numbers, code).value_and_slope()


def _written(walk, count):
    """What kernels call: the code of a walk that returns so many numbers."""

    def make():
        from fastbp.machine.tapes import written

        return written(walk, count)

    return when_needed(make)


if compiles():
    value_at = _written(_value, 1)
    value_and_slope_at = _written(_value_and_slope, 2)
else:

    class AtOnce:
        """Numbers of Python, to which kernels are applied at once."""

        def number(self, value):
            """A constant."""
            return np.float64(value)

        def apply(self, kernel, *numbers):
            """What a kernel returns of numbers."""
            return np.float64(kernel(*numbers))

    def value_at(nodes, *numbers):
        """The value for some inputs."""
        return _value(nodes, [np.float64(x) for x in numbers], AtOnce())[0]

    def value_and_slope_at(nodes, *numbers):
        """The value and its derivative by the first input."""
        return _value_and_slope(nodes, [np.float64(x) for x in numbers], AtOnce())


@kernel
def activation_loop(graph, z, slope, _, __, count):
    """``z, slope <- f(z)``; where `slope` is z itself, only the outputs are wanted."""
    count = count // lanes(z) * lanes(z)  # as in kernels/elementwise.py
    if is_same(z, slope):
        for i in range(count):
            x = load(z, i)
            store(z, i, value_at(graph, x, x))
    else:
        for i in range(count):
            x = load(z, i)
            y, dy = value_and_slope_at(graph, x, x)
            store(slope, i, dy)
            store(z, i, y)


@kernel
def loss_loop(graph, y, t, values, slopes, count):
    """``values, slopes <- f(y, t)``."""
    count = count // lanes(y) * lanes(y)
    for i in range(count):
        value, slope = value_and_slope_at(graph, load(y, i), load(t, i))
        store(values, i, value)
        store(slopes, i, slope)


LOOPS = {"activation": activation_loop, "loss": loss_loop}
"""By the use of a graph in a net."""
