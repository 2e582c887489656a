"""Reverse mode on one Python object a number, in the manner of micrograd: what a tape replaces.

After A. Karpathy's micrograd (MIT licence), https://github.com/karpathy/micrograd: each operation
makes an object that knows its children and a closure which hands its gradient on to them;
`backward` sorts the objects and calls the closures.
"""

from __future__ import annotations

import math


class Value:
    """A number, its gradient, and what it was made of."""

    __slots__ = ("_backward", "_prev", "data", "grad")

    def __init__(self, data, children=()):
        self.data = data
        self.grad = 0.0
        self._backward = _nothing
        self._prev = children

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def backward():
            self.grad += out.grad
            other.grad += out.grad

        out._backward = backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = backward
        return out

    def tanh(self):
        t = math.tanh(self.data)
        out = Value(t, (self,))

        def backward():
            self.grad += (1.0 - t * t) * out.grad

        out._backward = backward
        return out

    def sorted_nodes(self):
        """All nodes, children first; without micrograd's recursion, which ends at 1,000 levels."""
        order = []
        seen = set()
        stack = [(self, False)]
        while stack:
            node, is_done = stack.pop()
            if is_done:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                stack.append((node, True))
                stack.extend((child, False) for child in node._prev if child not in seen)
        return order

    def backward(self):
        """Gradients of all nodes."""
        self.grad = 1.0
        for node in reversed(self.sorted_nodes()):
            node._backward()


def _nothing():
    pass
