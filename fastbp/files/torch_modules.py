"""Activations that PyTorch has no module for. Importing this file imports torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fastbp.files.graphs import ONE_ARGUMENT, Functions, value_of
from fastbp.saving.recipe import expression_of

BY_NAME: dict[str, Any] = {name: getattr(torch, name) for name in (*ONE_ARGUMENT, "maximum")}


class Exp(nn.Module):
    """exp(z), with z cut off to where the result is a normal number, as in fastbp."""

    def forward(self, z: Tensor) -> Tensor:
        """Outputs, of the dtype and shape of z."""
        if z.dtype == torch.float64:
            return torch.exp(z.clamp(-708.3964185322641, 709.0))
        return torch.exp(z.clamp(-87.33654, 88.0))


class Step(nn.Module):
    """1 where z > 0, else 0. Its derivative is 0: nothing in front of it is trained."""

    def forward(self, z: Tensor) -> Tensor:
        """Outputs, of the dtype and shape of z."""
        return (z > 0).to(z.dtype)


class Graph(nn.Module):
    """A graph of one variable (`fastbp.graph`), computed in float64 as in fastbp.

    Parameters
    ----------
    nodes : list
        As `fastbp.saving.recipe.nodes_of` makes them.
    """

    def __init__(self, nodes: list[list[Any]]) -> None:
        super().__init__()
        self.nodes = nodes

    def extra_repr(self) -> str:
        """The formula."""
        return repr(expression_of(self.nodes))

    def forward(self, z: Tensor) -> Tensor:
        """Outputs, of the dtype and shape of z."""
        x = z.double()
        return value_of(self.nodes, x, Functions(x.new_tensor, BY_NAME)).to(z.dtype)
