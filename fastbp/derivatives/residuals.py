"""The residuals of a net, half of whose sum of squares is its loss, and their Jacobian."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastbp.checks import SparseRows
from fastbp.derivatives import given
from fastbp.fit import data as dataset
from fastbp.fit import evaluation
from fastbp.kernels.state import L1, L2, Data, OptimizerState
from fastbp.kernels.workspace import CAPACITY
from fastbp.methods.jacobian import Jacobian
from fastbp.methods.least_squares import check_squares, penalty_diagonal
from fastbp.model.net import FloatArray, Net

Matrix = npt.NDArray[np.float64]


class Residuals:
    """Residuals of a net on checked rows, at parameters that stand in an array.

    ``(residuals() ** 2).sum() / 2`` is the loss: first, row by row, each output's error times the
    square root of its share in the loss, which is its weight by the total; then, with l2, each
    weight that it holds times its square root.

    Parameters
    ----------
    net : Net
    rows : Data
        From `fastbp.fit.data.rows_and_targets`.
    count : int
        How many rows there are.
    optimizer : OptimizerState
        Only its penalties matter.
    params : array of the net's dtype, shape (n_params,)
        Where the parameters stand.
    frozen : array of int64
        Indices of parameters by which the derivatives count as 0.
    """

    def __init__(
        self, net: Net, rows: Data, count: int, optimizer: OptimizerState, params: FloatArray,
        frozen: npt.NDArray[np.int64],
    ) -> None:  # fmt: skip
        check_squares(net, "least squares take", "Minimise the objective itself with its gradient")
        if optimizer.settings[L1] > 0:
            raise ValueError(
                f"least squares take squared penalties; got l1={optimizer.settings[L1]:g}. Take l2"
            )
        self._net = net
        self._params = params
        n_out = net.layer_sizes[-1]
        if rows.entries is None:
            self._X: FloatArray | SparseRows = rows.inputs.reshape(count, -1)
        else:
            self._X = SparseRows(*rows.entries, net.layer_sizes[0])
        self._targets = rows.targets.reshape(count, n_out)
        weights = dataset.weights_of(rows)
        shares = np.ones(1) if weights is None else weights
        self._roots = np.sqrt(shares / rows.total).reshape(-1, max(1, rows.n_weights))
        sparse = rows.entries is not None
        capacity = int(net.workspace(count, False, sparse=sparse).work.places[CAPACITY])
        self._table = given.at(net.new_workspace(capacity, False, sparse=sparse), params)
        self._out = np.empty((count, n_out), net.dtype)
        held = penalty_diagonal(net, float(optimizer.settings[L2]))
        self._held = np.flatnonzero(held)
        self._root_of_penalty = np.sqrt(held[self._held])
        free = np.ones(net.n_params, np.bool_)
        free[frozen] = False
        self._free = free
        self._at_once = net.dtype == np.float64 and not frozen.size
        self._jacobian = Jacobian(net, rows, count, free, params=params)
        # Those of the penalties are constant.
        self._of_penalty = np.zeros((len(self._held), net.n_params))
        self._of_penalty[np.arange(len(self._held)), self._held] = self._root_of_penalty
        self._of_penalty[:, frozen] = 0.0

    def __call__(self) -> Matrix:
        """The residuals, (rows * n_out + n_held,)."""
        n_errors = self._out.size
        found = np.empty(n_errors + len(self._held))
        with np.errstate(over="ignore", invalid="ignore"):
            self._predict()
            errors = found[:n_errors].reshape(self._out.shape)
            np.subtract(self._out, self._targets, out=errors, dtype=np.float64)
            errors *= self._roots
            found[n_errors:] = self._params[self._held] * self._root_of_penalty
        return found

    def _predict(self) -> None:
        """Outputs of all rows."""
        most = self._net.rows_in_a_call
        for _, some, out in evaluation.pieces(most, self._X, self._out):
            evaluation.predict_piece(self._net, self._table, some, out)

    def jacobian(self) -> Matrix:
        """Their derivatives by the parameters, (rows * n_out + n_held, n_params)."""
        n_errors, n_params = self._out.size, self._net.n_params
        found = np.empty((n_errors + len(self._held), n_params))
        of_errors = found[:n_errors].reshape(*self._out.shape, n_params)
        if self._at_once:
            self._jacobian.whole(of_errors)
        else:
            of_errors[..., ~self._free] = 0.0
            for first, block in self._jacobian.blocks() if self._jacobian.size else ():
                of_errors[first : first + len(block), :, self._free] = block
        found[n_errors:] = self._of_penalty
        return found
