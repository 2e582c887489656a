"""The solvers as optimisers, and what an estimator keeps of them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from fastbp import MLP, SGD, AdamW, CosineDecay
from fastbp.kernels.optimizers import LEARNING_RATE
from fastbp.sklearn import MLPClassifier, MLPRegressor
from fastbp.sklearn.optimizers import OptimizerMemory, SolverAdam, SolverSGD, optimizer_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)


def steps_of(optimizer, gradients, before=lambda net, number: None):
    """Parameters after steps of given gradients: a linear net on a row of ones."""
    net = MLP((1, 2), optimizer=optimizer, dtype="float64", weight_init="zeros", bias=False, seed=0)
    loss = []
    for number, gradient in enumerate(gradients):
        before(net, number)
        loss.append(net.step([[1.0]], net.params[np.newaxis] - gradient))
    return net.params.copy()


@pytest.mark.parametrize("epsilon", [1e-8, 1e-3, 1.0])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5)])
def test_adam_is_scikit_learns(betas, epsilon) -> None:
    gradients = np.random.default_rng(0).normal(scale=1e-3, size=(10, 2))
    params = np.zeros(2)
    theirs = AdamOptimizer([params], 0.01, *betas, epsilon)
    for gradient in gradients:
        theirs.update_params([params], [gradient])
    got = steps_of(SolverAdam(0.01, *betas, epsilon), gradients)
    np.testing.assert_allclose(got, params, rtol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_keeps_its_speed_when_the_rate_changes(momentum, nesterov) -> None:
    """scikit-learn's momentum is of steps, with the rates that they were made with."""
    gradients = np.random.default_rng(0).normal(size=(10, 2))
    rates = [0.1, 0.1, 0.02, 0.02, 0.3, 1e-5, 1e-5, 1e-200, 1e-200, 1e-200]
    params = np.zeros(2)
    theirs = SGDOptimizer([params], 0.1, "constant", momentum, nesterov)
    memory = OptimizerMemory.of(MLPClassifier(solver="sgd", momentum=momentum))

    def before(net, number) -> None:
        memory.attach(net)
        memory.set_rate(rates[number])

    for gradient, rate in zip(gradients, rates, strict=True):
        theirs.learning_rate = rate
        theirs.update_params([params], [gradient])
    got = steps_of(SolverSGD(0.1, momentum, nesterov), gradients, before)
    np.testing.assert_allclose(got, params, rtol=1e-12)
    assert memory.learning_rate == 1e-200


def test_rules_of_the_learning_rate() -> None:
    constant, adaptive, scaling = (
        OptimizerMemory.of(MLPClassifier(solver="sgd", learning_rate=rule, learning_rate_init=0.1))
        for rule in ("constant", "adaptive", "invscaling")
    )
    scaling.end_epoch(99)
    assert scaling.learning_rate == 0.1 / 100**0.5
    for memory in (constant, adaptive):
        memory.end_epoch(99)
        assert memory.learning_rate == 0.1
    assert constant.stops() == scaling.stops() == "Stopping."
    assert adaptive.stops() == "Setting learning rate to 0.020000"
    adaptive.learning_rate = 1e-6
    assert adaptive.stops() == "Learning rate too small. Stopping."
    unused = OptimizerMemory.of(MLPClassifier(learning_rate="adaptive"))
    assert unused.stops() == "Stopping."


def test_an_optimizer_of_the_core_in_place_of_a_solver() -> None:
    assert optimizer_of(MLPClassifier(optimizer="lion", weight_decay=0.1)).weight_decay == 0.1
    given = AdamW(CosineDecay(0.01, 20))
    assert optimizer_of(MLPClassifier(optimizer=given)) is given
    net = MLP((4, 5, 3), loss="cross_entropy", optimizer=given, dtype="float64", seed=3)
    ours = MLPClassifier(
        (5,), alpha=0.0, optimizer=given, batch_size=50, shuffle=False, max_iter=7, warm_start=True
    )
    ours.set_params(max_iter=1).fit(X, Y)
    ours.coefs_ = [w.copy() for w in net.weights]
    ours.intercepts_ = [b.copy() for b in net.biases]
    ours.set_params(max_iter=7).fit(X, Y)
    history = net.fit(X, Y, epochs=7, batch_size=50, shuffle=False)
    np.testing.assert_allclose(ours.loss_curve_[1:], history.loss, rtol=1e-9)
    np.testing.assert_allclose(ours.coefs_[0], net.weights[0], rtol=1e-9)
    assert ours.n_iter_ == 7
    with pytest.raises(ValueError, match="'optimizer' parameter of MLPClassifier must be"):
        MLPClassifier(optimizer="adamm").fit(X, Y)


def test_weight_decay_of_a_solver() -> None:
    options = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 1, "solver": "sgd"}
    options |= {"momentum": 0.0, "batch_size": 150, "learning_rate_init": 0.1, "alpha": 0.0}
    start = MLPClassifier(**options | {"learning_rate_init": 1e-300}).fit(X, Y).coefs_[0]
    plain, decayed = (MLPClassifier(**options, weight_decay=d).fit(X, Y) for d in (0.0, 0.5))
    np.testing.assert_allclose(
        decayed.coefs_[0], plain.coefs_[0] - 0.1 * 0.5 * start, rtol=1e-12, atol=1e-14
    )


def test_partial_fit_goes_on_with_the_optimizer_it_began_with() -> None:
    net = MLPRegressor(
        hidden_layer_sizes=(4,), solver="sgd", random_state=0, learning_rate_init=0.1
    )
    net.partial_fit(X, Y)
    net.set_params(learning_rate_init=0.5).partial_fit(X, Y)
    assert net._optimizer.learning_rate == 0.1
    assert net._net.state.scalars[LEARNING_RATE] == 0.1
    assert net._optimizer.slots is net._net.state.slots
    assert np.abs(net._optimizer.slots).max() > 0
    assert isinstance(net._optimizer.optimizer, SGD)
