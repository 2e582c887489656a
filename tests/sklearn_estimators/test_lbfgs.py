"""L-BFGS-B over the flat buffer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.datasets import load_iris, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as Theirs

from fastbp import DivergenceWarning
from fastbp.sklearn import MLPClassifier, MLPRegressor
from fastbp.sklearn.lbfgs import objective_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)


@pytest.mark.parametrize("weights", [None, np.linspace(0.0, 2.0, 150)])
def test_objective(weights) -> None:
    estimator = MLPClassifier((5,), "tanh", solver="lbfgs", alpha=20.0, random_state=0)
    problem = estimator._prepare(X, Y, weights, False, True, None)
    objective = objective_of(problem.net, problem.data)
    start = problem.net.params.astype(np.float64)

    def at(params):
        objective.params[:] = params
        return objective(), objective.grad.copy()

    assert check_grad(lambda p: at(p)[0], lambda p: at(p)[1], start) < 1e-5
    value = at(start)[0]
    proba = estimator.predict_proba(X)
    total = 150.0 if weights is None else weights.sum()
    penalty = 10.0 / total * sum((w**2).sum() for w in estimator.coefs_)
    expected = np.average(-np.log(proba[np.arange(150), Y]), weights=weights) + penalty
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
def test_it_differs_as_scikit_learn_does_from_itself() -> None:
    """A thousand iterations amplify rounding; a hundred do not."""
    data, signs = make_moons(noise=0.3, random_state=0)
    data = (data - data.mean(axis=0)) / data.std(axis=0)
    own = []
    between = []
    for alpha in np.logspace(-1, 1, 5):  # scikit-learn's example plot_mlp_alpha
        options = {"solver": "lbfgs", "alpha": alpha, "random_state": 1, "max_iter": 2000}
        theirs = Theirs((10, 10), **options).fit(data, signs)
        again = Theirs((10, 10), **options).fit(data * (1 + 1e-15), signs)
        ours = MLPClassifier((10, 10), **options).fit(data, signs)
        own.append(np.abs(again.coefs_[0] - theirs.coefs_[0]).max())
        between.append(np.abs(ours.coefs_[0] - theirs.coefs_[0]).max())
        if theirs.n_iter_ < 100:
            assert ours.n_iter_ == theirs.n_iter_
            assert between[-1] < 1e-7
    assert max(own) > 1e-3
    assert max(between) < 30 * max(own)


def test_l1_makes_weights_small() -> None:
    options = {"solver": "lbfgs", "alpha": 30.0, "random_state": 0, "max_iter": 500}
    ridge, lasso = (MLPClassifier((8,), **options, l1_ratio=r).fit(X, Y) for r in (0.0, 1.0))
    shares = [np.mean(np.abs(e.coefs_[0]) < 1e-3) for e in (ridge, lasso)]
    assert shares[0] + 0.2 < shares[1]


def test_float32_stays_float32(recwarn) -> None:
    """In scikit-learn it becomes float64."""
    options = {"solver": "lbfgs", "random_state": 0, "max_iter": 8}
    single = X.astype(np.float32)
    ours, theirs = (kind((5,), **options).fit(single, Y) for kind in (MLPClassifier, Theirs))
    assert {a.dtype.name for a in ours.coefs_ + ours.intercepts_} == {"float32"}
    assert theirs.coefs_[0].dtype == np.float64
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=0.05, atol=0.02)


def test_attributes_and_limits(capsys) -> None:
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 4 iteration"):
        net = MLPClassifier((5,), solver="lbfgs", max_iter=4, verbose=True).fit(X, Y)
    assert net.n_iter_ == 4
    assert capsys.readouterr().out == "", "scikit-learn prints nothing"
    assert not hasattr(net, "loss_curve_")
    assert not hasattr(net, "_optimizer")
    assert net.t_ == 0


def test_what_is_not_finite() -> None:
    net = MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", random_state=0)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="Solver produced non-finite"):
        net.fit(1e200 * X, 1e200 * Y)
    assert not hasattr(net, "coefs_")


def test_the_last_finite_parameters_are_kept() -> None:
    count = []

    def loss(z, y):
        count.append(None)
        value = float("nan") if len(count) > 12 else 0.5 * float(((z - y) ** 2).mean())
        return value, (z - y) / len(z)

    net = MLPRegressor(loss, (4,), solver="lbfgs", random_state=0, alpha=0.0)
    with pytest.warns((DivergenceWarning, ConvergenceWarning)) as caught:
        net.fit(X, Y)
    assert all(w.filename == __file__ for w in caught if w.category is DivergenceWarning)
    assert net.n_iter_ >= 1
    assert all(np.isfinite(a).all() for a in net.coefs_)
