"""The loss of a net on given rows as a function of its parameters, for any optimiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastbp.derivatives import curvature, given
from fastbp.fit import calls, data, evaluation
from fastbp.kernels import entry
from fastbp.kernels.addresses import COUNT, FIRST, ROWS
from fastbp.kernels.workspace import CAPACITY
from fastbp.model.net import Net

if TYPE_CHECKING:
    from fastbp.derivatives.residuals import Residuals


class Objective:
    """Loss and gradient of a net on the same rows, at parameters that are passed.

    `MLP.objective` makes it. X, y and the weights are checked once, when it is made; they are not
    copied where `fit` would not copy them. A call leaves the net as it is. One thread at a time may
    call it.

    Parameters
    ----------
    net : MLP
        The net whose loss it is.
    X : array-like or sparse matrix, shape (rows, n_in)
    y : array-like
    sample_weight : array-like, shape (rows,) or (rows, n_out), optional
        As in `MLP.loss_and_grad`.

    Attributes
    ----------
    evaluations : int
        How often it was called.
    products : int
        How often `hessp` was.

    Notes
    -----
    For ``loss="squared_error"`` there are `residuals` and `jacobian`, too, as least squares take
    them. Calls of these are not counted.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP
    >>> net = MLP((1, 1), weight_init="zeros")
    >>> objective = net.objective([[1.0], [2.0]], [2.0, 4.0])
    >>> loss, grad = objective([2.0, 0.0])  # w = 2 and b = 0 fit these rows
    >>> loss, grad.tolist(), net.params.tolist()
    (0.0, [0.0, 0.0], [0.0, 0.0])
    """

    def __init__(self, net: Net, X: Any, y: Any, sample_weight: Any = None) -> None:
        data.check_trainable(net.activations)
        self._net = net
        self._rows, self._count = data.rows_and_targets(X, y, sample_weight, net)
        sparse = self._rows.entries is not None
        optimizer = net.optimizer_state()
        self._optimizer = optimizer._replace(settings=optimizer.settings.copy())
        self._frozen = np.flatnonzero(net.frozen)
        self._params = net.params.copy()
        self._wide = net.dtype == np.float64
        self._grad = np.empty_like(self._params)
        capacity = int(net.workspace(self._count, True, sparse=sparse).work.places[CAPACITY])
        self._table = given.at(net.new_workspace(capacity, True, sparse=sparse), self._params)
        self._most = evaluation.rows_in_a_call(net, self._count, self._rows.entries)
        self._hessian: curvature.HessianProduct | None = None
        self._least_squares: Residuals | None = None
        self.evaluations = 0
        self.products = 0
        if net.in_python is None:
            calls.fill(self._table, self._rows, self._optimizer, self._grad, calls.NO_RANDOM)
            self._table.cells[FIRST] = 0
            self._table.cells[COUNT] = self._table.cells[ROWS] = self._count
            calls.ready(self._table, sparse)
        plain = net.in_python is None and net.explaining is None
        self._direct = plain and self._count <= self._most and not sparse

    def __call__(self, params: npt.ArrayLike) -> tuple[float, npt.NDArray[np.float64]]:
        """Loss and gradient at these parameters, penalties included.

        Parameters
        ----------
        params : array-like, shape (n_params,)
            Laid out like ``net.params``.

        Returns
        -------
        loss : float
        grad : array of float64, shape (n_params,)
            A new array. It is 0 for parameters that were frozen when this object was made, so that
            optimisers leave them alone.
        """
        self._take(params)
        self.evaluations += 1
        table = self._table
        if self._direct:
            blank = table.blank
            loss: float = entry.train_and_predict(table.cells, entry.EVALUATE, blank, blank)
        elif self._net.in_python is not None or self._net.explaining is not None:
            loss = evaluation.evaluate(
                self._net, self._rows, self._count, self._optimizer, self._grad, table
            )
        else:
            loss = 0.0
            for first in range(0, self._count, self._most):
                some = min(self._most, self._count - first)
                loss += calls.evaluate_again(table, self._rows, first, some, self._count)
        grad = self._grad.astype(np.float64)
        if self._frozen.size:
            grad[self._frozen] = 0.0
        return loss, grad

    def hessp(self, params: npt.ArrayLike, v: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The Hessian at these parameters times a vector, as `MLP.hessian_product`.

        Parameters
        ----------
        params, v : array-like, shape (n_params,)

        Returns
        -------
        array of float64, shape (n_params,)
            A new array; rows and columns of frozen parameters count as 0.
        """
        self._take(params)
        self.products += 1
        if self._hessian is None:
            if self._rows.entries is not None:
                given.refuse_sparse("hessp")
            self._hessian = curvature.HessianProduct(self._net, self._count)
        vector = given.vector("v", v, self._net)
        if self._frozen.size:
            vector = vector.copy()
            vector[self._frozen] = 0.0
        product = self._hessian(self._rows, self._count, self._optimizer, self._params, vector)
        wide = product.astype(np.float64)
        if self._frozen.size:
            wide[self._frozen] = 0.0
        return wide

    def residuals(self, params: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Residuals r at these parameters, with ``(r @ r) / 2`` the loss, penalties included.

        For ``scipy.optimize.least_squares(objective.residuals, net.params, objective.jacobian)``,
        whose `cost` is then ``objective(params)[0]``.

        Parameters
        ----------
        params : array-like, shape (n_params,)

        Returns
        -------
        array of float64, shape (rows * n_out + n_held,)
            A new array. First, row by row, ``sqrt(weight / total) * (predict(X) - y)`` of each
            output, `total` being the sum of the weights; then, with l2, ``sqrt(l2)`` times each of
            the `n_held` weights, biases left out.

        Raises
        ------
        ValueError
            For another loss than squared_error, and with l1.
        """
        self._take(params)
        return self._squares()()

    def jacobian(self, params: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The derivatives of `residuals` by the parameters.

        Parameters
        ----------
        params : array-like, shape (n_params,)

        Returns
        -------
        array of float64, shape (rows * n_out + n_held, n_params)
            A new array. Columns of parameters that were frozen when this object was made are 0:
            then pass ``method="lm"`` to SciPy, whose default may move them by rounding.

        Raises
        ------
        ValueError
            As `residuals`.
        """
        self._take(params)
        return self._squares().jacobian()

    def _squares(self) -> Residuals:
        if self._least_squares is None:
            from fastbp.derivatives.residuals import Residuals

            self._least_squares = Residuals(
                self._net, self._rows, self._count, self._optimizer, self._params, self._frozen
            )
        return self._least_squares

    def _take(self, params: Any) -> None:
        """Copy the parameters to where compiled code looks for them."""
        kind = type(params) is np.ndarray and params.dtype.kind
        if kind != "f" or params.shape != self._params.shape:
            params = given.vector("params", params, self._net, finite=False)
        if self._wide:
            self._params[:] = params
            return
        with np.errstate(over="ignore"):  # what float32 does not hold is infinite, as is the loss
            self._params[:] = params
