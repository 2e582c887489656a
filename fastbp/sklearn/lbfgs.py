"""Training on all rows at once by SciPy's L-BFGS-B, over the flat buffer."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
from sklearn.utils.optimize import _check_optimize_result

from fastbp import fitting
from fastbp.fitting import DivergenceWarning
from fastbp.kernels.network import Data
from fastbp.kernels.updates import L1, L2
from fastbp.mlp import MLP
from fastbp.sklearn.training import NOT_FINITE
from fastbp.sklearn.validation import Validation


class Objective:
    """Loss and gradient at any parameters.

    Parameters
    ----------
    net : MLP
        Its parameters become those that were last asked for.
    data : Data
    """

    def __init__(self, net: MLP, data: Data) -> None:
        self.net, self.data = net, data
        self.rows = data.inputs.size // net.layer_sizes[0]
        self.grad = np.empty_like(net.params)
        self.state = net._state()._replace(rules=net._rules.copy())
        self.state.rules[[L1, L2]] /= data.total

    def __call__(self, params: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        """Loss, and its gradient in float64: SciPy computes in it, whatever the net's dtype."""
        self.net.params[:] = params
        loss = fitting.evaluate(self.net, self.data, self.rows, self.state, self.grad)
        return loss, self.grad.astype(np.float64)


def minimize(
    estimator: Any, net: MLP, data: Data, validation: Validation | None, listener: Any
) -> None:
    """Fit an estimator; its attributes are written when that has ended.

    Raises
    ------
    ValueError
        When the parameters are not finite.
    """
    objective, last = Objective(net, data), net.params.copy()

    def end_iteration(intermediate_result: Any) -> None:
        last[:] = intermediate_result.x
        net.params[:] = last
        estimator.n_iter_ += 1
        estimator.loss_ = float(intermediate_result.fun)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        if validation is not None:
            estimator.validation_loss_curve_.append(validation.loss(net))
        stop = listener.end_epoch()
        if stop:
            raise StopIteration
        listener.begin_epoch()

    estimator.n_iter_ = 0
    listener.begin_epoch()
    result = scipy.optimize.minimize(
        objective,
        net.params.astype(np.float64),
        method="L-BFGS-B",
        jac=True,
        callback=end_iteration,
        options={"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol},
    )
    listener.end_epoch()
    net.params[:] = result.x
    estimator.loss_ = float(result.fun)
    if not (np.isfinite(net.params).all() and np.isfinite(estimator.loss_)):
        net.params[:] = last
        if estimator.n_iter_ == 0:
            raise ValueError(NOT_FINITE)
        warnings.warn(
            f"training diverged after iteration {estimator.n_iter_}. The parameters are the last "
            "finite ones. Scale the inputs",
            DivergenceWarning,
            stacklevel=6,
        )
    estimator.n_iter_ = _check_optimize_result("lbfgs", result, estimator.max_iter)
