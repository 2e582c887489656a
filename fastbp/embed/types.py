"""The Numba type of a net: importing this file lets Numba know nets and their methods."""

from __future__ import annotations

from fastbp.embed import methods as methods
from fastbp.embed.compiled import Compiled
from fastbp.machine.embedding import NetType, knows
from fastbp.model.net import Net


def type_for(net: Net, kind: str) -> NetType:
    """The type of a net, called in one of the ways of KINDS."""
    return NetType(net.dtype.name)


knows(Compiled)
