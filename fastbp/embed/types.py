"""The Numba type of a net: importing this file lets Numba know nets and their methods."""

from __future__ import annotations

from fastbp.derivatives.differentiable import Differentiable
from fastbp.embed import methods as methods
from fastbp.embed import words
from fastbp.embed.compiled import Compiled, refusals
from fastbp.kernels.layout import ACTIVATION
from fastbp.machine.embedding import NetType, Row, knows

MOST_WEIGHTS = 1 << 14
"""Up to here "auto" writes the code of a row out: beyond, it takes a second or more to compile, and
leaves the first cache."""


def type_for(net: Differentiable, kind: str) -> NetType:
    """The type of a net, called in one of the ways of KINDS."""
    row = None
    n_weights = sum(weights.size for weights in net.weights)
    if kind == "unrolled" or (kind == "auto" and n_weights <= MOST_WEIGHTS):
        codes = tuple(int(code) for code in net.layer_table[:, ACTIVATION])
        row = Row(net.layer_sizes, codes, net.bias)
    return NetType(net.dtype.name, row, tuple(refusals(net).items()))


knows(Compiled, words.A_GLOBAL)
