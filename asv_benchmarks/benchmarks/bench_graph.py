"""A computational graph of 1,000 nodes: value and gradient, beside a Python object a node."""

from __future__ import annotations

import numpy as np

from measured import Measured, check_close, now

try:
    from fastbp import graph
except ImportError:  # a commit from before there were graphs
    graph = None
from compare.micrograd_style import Value
from compare.timing import repeated

INPUTS = 20
NODES = 1_000
#: Turns of each side, and repetitions in one, about 10 ms.
TURNS = 9
OURS = 250
THEIRS = 3


def expression(x, tanh):
    """Return a sum after rounds of tanh(a b + c): a third each products, sums and tanh."""
    units = list(x)
    count = len(x)
    while count + 3 * len(units) < NODES:
        around = [*units[1:], units[0]]
        far = [*units[7:], *units[:7]]
        units = [tanh(a * b + c) for a, b, c in zip(units, around, far, strict=True)]
        count += 3 * len(units)
    total = units[0]
    for unit in units[1:]:
        total = total + unit
    return total


class Graph(Measured):
    """One value and gradient of a graph that was built before, from a dictionary of values."""

    def setup(self):
        if graph is None:
            raise NotImplementedError("this commit has no graphs")
        names = [f"x{i}" for i in range(INPUTS)]
        values = np.random.default_rng(1).uniform(-1, 1, INPUTS).tolist()
        self.f = expression(graph.variables(names), graph.tanh)
        self.point = dict(zip(names, values, strict=True))
        self.values = values
        value, gradient = self.f.value_and_gradient(self.point)
        inputs, out = self.built()
        out.backward()
        check_close("the value", value, out.data, 1e-13)
        found = [gradient[name] for name in names]
        check_close("the gradient", found, [x.grad for x in inputs], 1e-12)
        self.measure(repeated(self.f.value_and_gradient, self.point), flops=1, cost=4e6)

    def built(self):
        """Return the objects of the inputs and of the output."""
        inputs = [Value(value) for value in self.values]
        return inputs, expression(inputs, Value.tanh)

    def time_value_and_gradient(self):
        self.again()

    def times_faster(self, theirs):
        """Return the median over turns of the ratio of both times, one beside the other."""
        ratios = []
        for _ in range(TURNS):
            begin = now()
            self.work(OURS)
            middle = now()
            for _ in range(THEIRS):
                theirs()
            ratios.append((now() - middle) / THEIRS / ((middle - begin) / OURS))
        return float(np.median(ratios))

    def track_times_faster(self):
        """Against what micrograd does for a value and gradient: objects anew, and `backward`."""
        return self.times_faster(lambda: self.built()[1].backward())

    def track_times_faster_than_backward(self):
        """Against `backward` alone, on objects that are there: it computes no value."""
        out = self.built()[1]
        order = out.sorted_nodes()

        def theirs():
            for node in order:
                node.grad = 0.0
            out.backward()

        return self.times_faster(theirs)

    track_times_faster.unit = "x faster"
    track_times_faster_than_backward.unit = "x faster"
