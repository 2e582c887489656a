"""Training on all rows at once by SciPy's L-BFGS-B, over the flat buffer."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp.fit.data import row_count
from fastbp.fit.warn import DivergenceWarning, warn
from fastbp.kernels.state import L1, L2, PENALTIES_SHARED, Data
from fastbp.methods.objective import Objective, scipy_lbfgs
from fastbp.mlp import MLP
from fastbp.sklearn.recognition import warn_unless_converged
from fastbp.sklearn.training import NOT_FINITE
from fastbp.sklearn.validation import Validation


def objective_of(net: MLP, data: Data) -> Objective:
    """Loss and gradient, with penalties that scikit-learn's solvers divide by the rows."""
    state = net.optimizer_state()._replace(settings=net.settings.copy())
    state.settings[[L1, L2]] /= data.total
    state.settings[PENALTIES_SHARED] = 0
    return Objective(net, data, row_count(data, net.layer_sizes[0]), state)


def minimize(
    estimator: Any, net: MLP, data: Data, validation: Validation | None, listener: Any
) -> None:
    """Fit an estimator; its attributes are written when that has ended.

    Raises
    ------
    ValueError
        When the parameters are not finite.
    """
    objective = objective_of(net, data)
    last = net.params.copy()

    def end_iteration(intermediate_result: Any) -> None:
        last[:] = intermediate_result.x
        net.params[:] = last
        estimator.n_iter_ += 1
        estimator.loss_ = np.float64(intermediate_result.fun)
        if validation is not None:
            estimator.validation_loss_curve_.append(np.float64(validation.loss(net)))
        stop = listener.end_epoch()
        if stop:
            raise StopIteration
        listener.begin_epoch()

    estimator.n_iter_ = 0
    listener.begin_epoch()
    limits = {"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol}
    result = scipy_lbfgs(objective, end_iteration, limits)
    listener.end_epoch()
    net.params[:] = result.x
    estimator.loss_ = np.float64(result.fun)
    if not (np.isfinite(net.params).all() and np.isfinite(estimator.loss_)):
        net.params[:] = last
        if estimator.n_iter_ == 0:
            raise ValueError(NOT_FINITE)
        warn(
            f"training diverged after iteration {estimator.n_iter_}. The parameters are the last "
            "finite ones. Scale the inputs",
            DivergenceWarning,
        )
    estimator.n_iter_ = min(int(result.nit), int(estimator.max_iter))
    warn_unless_converged(result, estimator.n_iter_, estimator.max_iter)
