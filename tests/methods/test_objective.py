"""Loss and gradient as a function of the parameters."""

from __future__ import annotations

import numpy as np
import pytest

from fastbp import MLP
from fastbp.fit import data as dataset
from fastbp.methods.objective import Objective, scipy_lbfgs


def objective(**options):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    net = MLP((3, 4, 1), activation="tanh", dtype="float64", l2=0.1, seed=0)
    data, rows = dataset.rows_and_targets(X, y, None, net)
    return Objective(net, data, rows, net.optimizer_state(), **options), (X, y)


def test_it_is_the_nets_loss_and_gradient() -> None:
    of, rows = objective()
    of.params[3] += 1
    loss, grad = of.net.loss_and_grad(*rows)
    assert of() == of.loss == loss
    assert np.array_equal(of.grad, grad)
    assert of.evaluations == 1
    of.net.freeze(layers=[1])
    of()
    assert not of.grad[of.net.frozen].any()
    assert np.array_equal(of.grad[~of.net.frozen], grad[~of.net.frozen])
    assert of.evaluations == 2


def test_what_is_called_before_each_evaluation_may_end_it() -> None:
    def stop() -> None:
        raise TimeoutError

    of, _ = objective(before_each=stop)
    with pytest.raises(TimeoutError):
        of()
    assert of.evaluations == 0


def test_lbfgs_is_ended_by_stop_iteration() -> None:
    of, _ = objective()
    losses = []

    def end(result) -> None:
        losses.append(result.fun)
        if len(losses) == 3:
            raise StopIteration

    scipy_lbfgs(of, end, {"maxiter": 50})
    assert len(losses) == 3
    assert losses == sorted(losses, reverse=True)
