"""`MLP.summary`: what a net consists of, as a table of its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastbp import checks, tables
from fastbp.kernels.layout import weight_views
from fastbp.kernels.workspace import CAPACITY
from fastbp.model.net import Net

HEADER = ("layer", "input shape", "output shape", "activation", "parameters", "frozen")


@dataclass(frozen=True)
class LayerSummary:
    """A layer.

    Attributes
    ----------
    n_in, n_out : int
        Of inputs (rows, n_in) it makes outputs (rows, n_out).
    activation : str
    n_params, n_frozen : int
        Weights and biases, and how many of them training leaves alone.
    """

    n_in: int
    n_out: int
    activation: str
    n_params: int
    n_frozen: int


@dataclass(frozen=True, repr=False)
class Summary:
    """What a net consists of; it prints, and is shown in notebooks, as a table of the layers.

    Attributes
    ----------
    layers : tuple of LayerSummary
        In the order of ``net.weights``, counted from 0 as in `freeze`.
    n_params, n_frozen : int
        All parameters, and how many of them training leaves alone.
    dtype : str
        Dtype of the parameters and all arithmetic.
    loss, optimizer : str
        With their hyper-parameters.
    regularization : dict of str to object
        The options of `MLP` that limit training, such as "l2" and "dropout", where they are on.
    batch_size : int
        Rows of the batches that `workspace_bytes` is for.
    parameter_bytes, optimizer_bytes, workspace_bytes : int
        What the parameters take; what the optimiser keeps for each of them; the buffers in which
        a thread trains on batches: inputs, outputs and deltas of a batch, or of a part of it where
        it is large, and the whole gradient if that is needed.

    Examples
    --------
    >>> from fastbp import MLP
    >>> summary = MLP((4, 8, 3), seed=0).summary()
    >>> summary.n_params, [layer.n_params for layer in summary.layers]
    (67, [40, 27])
    """

    layers: tuple[LayerSummary, ...]
    n_params: int
    n_frozen: int
    dtype: str
    loss: str
    optimizer: str
    regularization: dict[str, Any]
    batch_size: int
    parameter_bytes: int
    optimizer_bytes: int
    workspace_bytes: int

    def _title(self) -> str:
        units = (self.layers[0].n_in, *(layer.n_out for layer in self.layers))
        return f"MLP {'-'.join(map(str, units))}, {self.dtype}"

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [
            (
                str(number), f"(rows, {layer.n_in})", f"(rows, {layer.n_out})", layer.activation,
                f"{layer.n_params:,}", f"{layer.n_frozen:,}",
            )
            for number, layer in enumerate(self.layers)
        ]  # fmt: skip
        return [*rows, ("total", "", "", "", f"{self.n_params:,}", f"{self.n_frozen:,}")]

    def _notes(self) -> list[str]:
        limits = ", ".join(f"{name}={value!r}" for name, value in self.regularization.items())
        whole = self.parameter_bytes + self.optimizer_bytes + self.workspace_bytes
        return [
            f"loss: {self.loss}" + (f", {limits}" if limits else ""),
            f"optimizer: {self.optimizer}",
            f"memory: {whole:,} bytes; parameters {self.parameter_bytes:,}, optimizer "
            f"{self.optimizer_bytes:,}, workspace of {self.batch_size:,} rows "
            f"{self.workspace_bytes:,}",
        ]

    def __repr__(self) -> str:
        table = tables.as_lines([HEADER, *self._rows()])
        return "\n".join([self._title(), *table, *self._notes()])

    def _repr_html_(self) -> str:
        """The table for a notebook."""
        return tables.as_html(HEADER, self._rows(), [self._title(), *self._notes()])


def summary_of(net: Net, batch_size: int) -> Summary:
    """The summary of a net.

    Parameters
    ----------
    net : Net
    batch_size : int
    """
    batch_size = checks.count("batch_size", batch_size)
    spec = net.spec
    masks = weight_views(net.frozen, net.layer_table)
    layers = []
    for layer, unit in enumerate(spec.activations):
        n_in, n_out = net.weights[layer].shape
        frozen = sum(int(mask[layer].sum()) for mask in masks if mask)
        count = (n_in + spec.bias) * n_out
        layers.append(LayerSummary(n_in, n_out, str(unit), count, frozen))
    work = net.workspace(batch_size, training=True).work
    workspace = work.values.nbytes + work.offsets.nbytes
    if net.needs_gradient(batch_size, int(work.places[CAPACITY])):
        workspace += net.params.nbytes
    return Summary(
        layers=tuple(layers),
        n_params=net.n_params,
        n_frozen=int(net.frozen.sum()),
        dtype=spec.dtype.name,
        loss=str(spec.loss.short()),
        optimizer=repr(net.optimizer),
        regularization=spec.regularization.given(),
        batch_size=batch_size,
        parameter_bytes=net.params.nbytes,
        optimizer_bytes=net.state.slots.nbytes,
        workspace_bytes=workspace,
    )
