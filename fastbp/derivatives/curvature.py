"""Products of the Hessian of the loss with vectors, without the Hessian."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp import checks
from fastbp.derivatives import given
from fastbp.fit import calls, data, evaluation
from fastbp.kernels import activations, curvature, losses
from fastbp.kernels.activations import IDENTITY
from fastbp.kernels.addresses import COUNT, FIRST, PARAMS
from fastbp.kernels.curvature import BELOW, N_TABLES, OF_DELTA, OF_R_DELTA, PLAIN, TANGENT
from fastbp.kernels.layout import (
    ACTIVATION,
    BIASES,
    DELTA,
    GRADIENT,
    GRADIENT_FROM,
    N_IN,
    N_OUT,
    OUTPUT,
    SLOPE,
    WEIGHTS,
    IntTable,
    weight_views,
)
from fastbp.kernels.state import L2, Data, Network, OptimizerState
from fastbp.kernels.table import Table
from fastbp.kernels.updates import NO_UPDATE
from fastbp.kernels.workspace import BY_TILES, STRIDE, workspace_for
from fastbp.machine import jit
from fastbp.model import net as nets
from fastbp.model.activations import traits_of
from fastbp.model.net import FloatArray, Net

KNOWN_LOSSES = {
    losses.SQUARED_ERROR, losses.BINARY_CROSS_ENTROPY, losses.CROSS_ENTROPY, losses.ABSOLUTE_ERROR,
    losses.HUBER, losses.QUANTILE, losses.HINGE, losses.POISSON, losses.GAMMA,
}  # fmt: skip
"""Codes of the losses whose second derivatives `fastbp.kernels.curvature` has."""
KNOWN_ACTIVATIONS = {traits.code for traits in activations.ACTIVATIONS.values()}


def check_known(net: Net) -> None:
    """Raise a ValueError for a net whose second derivatives nobody knows."""
    own = [a for a in net.activations if traits_of(a).code not in KNOWN_ACTIVATIONS]
    if net.spec.loss.code not in KNOWN_LOSSES:
        own.append(net.spec.loss)
    if own:
        raise ValueError(
            "the Hessian takes second derivatives, which built-in losses and activations have; got "
            f"{own[0]!r}, which returns first ones. Differences of net.loss_and_grad at other params "
            "approximate the product"
        )


def hessian_product(
    net: Net, X: Any, y: Any, v: Any, sample_weight: Any, gauss_newton: bool, params: Any
) -> FloatArray:
    """`MLP.hessian_product`."""
    data.check_trainable(net.activations)
    check_known(net)
    inputs = given.dense_rows(X, net, "hessian_product")
    vector = given.vector("v", v, net)
    at = net.params if params is None else given.vector("params", params, net, finite=False)
    newton = checks.flag("gauss_newton", gauss_newton)
    rows, count = data.rows_and_targets(inputs, y, sample_weight, net)
    kept: dict[str, HessianProduct] = net._spaces.__dict__
    product = kept.get("curvature")
    if product is None or product.capacity != capacity_for(count):
        product = kept["curvature"] = HessianProduct(net, count)
    return product(rows, count, net.optimizer_state(), at, vector, newton)


def capacity_for(rows: int) -> int:
    """Rows of a pass: more than one, since single samples are laid out otherwise."""
    return max(2, min(rows, nets.PASS_ROWS))


class HessianProduct:
    """Buffers for the products of a net, for some number of rows.

    Parameters
    ----------
    net : Net
    rows : int

    Attributes
    ----------
    capacity : int
        Rows of a pass.
    """

    def __init__(self, net: Net, rows: int) -> None:
        check_known(net)
        spec = net.spec
        self.net = net
        self.capacity = capacity_for(rows)
        plain = net.layer_table.copy()
        if spec.loss.from_logits:
            plain[-1, ACTIVATION] = IDENTITY
        double = plain.copy()  # Y and R{Y} are one matrix, as are their deltas and slopes
        double[1:, N_IN] *= 2
        double[:, N_OUT] *= 2
        # As for dropout of the inputs, which keeps those of a whole pass.
        double, work = workspace_for(
            double, self.capacity, spec.dtype, True, range(len(plain)), input_dropout=1
        )
        self.tables = _tables(plain, double, int(work.places[STRIDE]))
        self.tangent, self.stacked = (
            np.zeros(int(row[WEIGHTS] + row[N_OUT] * (row[N_IN] + 1)), spec.dtype)
            for row in self.tables[[TANGENT, BELOW], -1]
        )
        network = Network(
            params=net.params,
            layers=self.tables[PLAIN].reshape(-1),
            n_params=net.n_params,
            n_layers=len(plain),
            loss=spec.loss.code,
            loss_parameters=spec.loss.parameters(spec.layer_sizes[-1]),
        )
        self.table = Table(network, work)

    def __call__(
        self, rows: Data, count: int, optimizer: OptimizerState, params: FloatArray, v: FloatArray,
        gauss_newton: bool = False,
    ) -> FloatArray:  # fmt: skip
        """The product of the Hessian of the loss at `params`, penalties included, with v.

        Parameters
        ----------
        rows : Data
            From `fastbp.fit.data.rows_and_targets`, dense.
        count : int
        optimizer : OptimizerState
            Only its penalties matter.
        params, v : array of the net's dtype, shape (n_params,)
        gauss_newton : bool, default=False
        """
        product = np.empty_like(v)
        self._lay_out(params, v)
        table = self.table
        paused = optimizer._replace(code=NO_UPDATE)
        calls.fill(table, rows, paused, product, calls.NO_RANDOM)
        table.put(PARAMS, params)
        # Three times the work of a gradient.
        most = max(1, evaluation.rows_in_a_call(self.net, count, None) // 3)
        try:
            for first in range(0, count, most):
                table.cells[FIRST] = first
                table.cells[COUNT] = min(most, count - first)
                jit.call(
                    curvature.hessian_product, product.dtype.char, table.cells,
                    self.tables.reshape(-1), self.tangent, self.stacked, int(gauss_newton),
                )  # fmt: skip
        finally:
            table.forget()
        l2 = product.dtype.type(optimizer.settings[L2])
        if l2:
            of_product, of_v = (weight_views(x, self.net.layer_table)[0] for x in (product, v))
            for weights, their_v in zip(of_product, of_v, strict=True):
                weights += l2 * their_v
        return product

    def _lay_out(self, params: FloatArray, v: FloatArray) -> None:
        """Weights and V as the products take them."""
        for number, row in enumerate(self.tables[PLAIN]):
            n, k, start = int(row[N_OUT]), int(row[N_IN]), int(row[WEIGHTS])
            w, moves = (x[start : start + n * k].reshape(n, k) for x in (params, v))
            at = int(self.tables[TANGENT, number, WEIGHTS])
            width = k if number == 0 else 2 * k
            side_by_side = self.tangent[at : at + n * width].reshape(n, width)
            side_by_side[:, :k] = moves
            if number > 0:
                side_by_side[:, k:] = w
            if row[BIASES] >= 0:
                self.tangent[at + n * width : at + n * width + n] = v[row[BIASES] :][:n]
            at = int(self.tables[BELOW, number, WEIGHTS])
            stacked = self.stacked[at : at + 2 * n * k].reshape(2 * n, k)
            stacked[:n] = moves
            stacked[n:] = w


def _tables(plain: IntTable, double: IntTable, stride: int) -> IntTable:
    """The tables of layers that `fastbp.kernels.curvature` names, (N_TABLES, layers, columns).

    Parameters
    ----------
    plain : table of layers
        That of the net.
    double : table of layers
        Of twice as many units, with its places in the workspace.
    stride : int
        How far the features of a pass are apart there.
    """
    tables = np.stack([plain] * N_TABLES)
    tables[:, :, [OUTPUT, DELTA, SLOPE]] = double[:, [OUTPUT, DELTA, SLOPE]]
    tables[:, :, GRADIENT] = BY_TILES
    tables[:, :, GRADIENT_FROM] = 0
    half = plain[:, N_OUT] * stride
    tangent, below = tables[TANGENT], tables[BELOW]
    tangent[1:, N_IN] *= 2
    tangent[:, OUTPUT] += half
    tangent[:, ACTIVATION] = IDENTITY
    below[:, N_OUT] *= 2
    below[:, BIASES] = -1
    for table in (tangent, below):
        sizes = table[:, N_IN] * table[:, N_OUT]
        ends = np.cumsum(sizes + (table[:, BIASES] >= 0) * table[:, N_OUT])
        table[0, WEIGHTS] = 0
        table[1:, WEIGHTS] = ends[:-1]
        table[:, BIASES] = np.where(table[:, BIASES] >= 0, table[:, WEIGHTS] + sizes, -1)
    tables[OF_R_DELTA, :, DELTA] += half
    tables[OF_DELTA, :, BIASES] = -1
    return tables
