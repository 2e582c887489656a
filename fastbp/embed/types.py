"""The Numba type of a net: importing this file lets Numba know nets and their methods."""

from __future__ import annotations

from fastbp.embed import methods as methods
from fastbp.embed.kernels import embedded
from fastbp.embed.refusals import refusals
from fastbp.fit.calls import native_address
from fastbp.kernels.activations import ELEMENTWISE
from fastbp.kernels.layout import ACTIVATION
from fastbp.kernels.table import Table
from fastbp.machine.embedding import TYPES, NetType, Row, embedded_address
from fastbp.machine.embedding import knows as knows
from fastbp.machine.embedding import number_of as number_of
from fastbp.model.net import Net

MOST_WEIGHTS = 1 << 14
"""Up to here "auto" writes the code of a row out: beyond, it takes a second or more to compile, and
leaves the first cache."""


def type_for(net: Net, kind: str) -> NetType:
    """The type of a net, called in one of the ways of KINDS."""
    row = None
    codes = tuple(int(code) for code in net.layer_table[:, ACTIVATION])
    n_weights = sum(weights.size for weights in net.weights)
    if kind == "unrolled" or (
        kind == "auto" and n_weights <= MOST_WEIGHTS and max(codes) < ELEMENTWISE
    ):
        row = Row(net.layer_sizes, codes, net.bias)
    made = NetType(net.dtype.name, row, tuple(refusals(net).items()))
    return TYPES.setdefault(made.name, made)


def addresses_for(table: Table) -> tuple[int, int]:
    """Where the machine code stands that compiled code calls, for the dtype of a table."""
    address = native_address(table, sparse=False)
    return embedded_address(embedded, table.blank.dtype.name), address
