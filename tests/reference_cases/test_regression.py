"""Case 5: regression and logistic regression as networks without hidden layers (CS109A)."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import long_uncompiled
from reference_data import heart, needs

from fastbp import MLP, SGD, gradcheck

SEED = 5
needs_heart = needs("heart.csv")


def logistic(sizes=(1, 1), **options):
    defaults = {"activation": "sigmoid", "optimizer": SGD(1.0), "dtype": "float64", "seed": 0}
    return MLP(sizes, loss="binary_cross_entropy", **(defaults | options))


def standardized():
    rates, disease = heart()
    return ((rates - rates.mean()) / rates.std())[:, None], disease


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_case_5_linear_regression_reaches_the_closed_form(dtype):
    rng = np.random.default_rng(SEED)
    x = rng.uniform(-1, 3, size=60)
    y = 1.5 - 0.7 * x + rng.normal(scale=0.5, size=60)
    beta_1 = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    beta_0 = y.mean() - beta_1 * x.mean()
    net = MLP((1, 1), optimizer=SGD(0.3), dtype=dtype, seed=0)
    net.fit(x[:, None], y, epochs=1000, batch_size=60)
    rtol = 1e-12 if dtype == "float64" else 1e-5
    assert net.weights[0][0, 0] == pytest.approx(beta_1, rel=rtol)
    assert net.biases[0][0] == pytest.approx(beta_0, rel=rtol)
    residuals = y - beta_0 - beta_1 * x
    assert net.loss(x[:, None], y) == pytest.approx((residuals**2).mean() / 2, rel=rtol)


@needs_heart
def test_case_5_the_heart_data():
    rates, disease = heart()
    assert rates.shape == (303,)
    assert (rates.min(), rates.max()) == (71, 202)
    assert disease.sum() == 139


@needs_heart
def test_case_5_logistic_regression_reaches_maximum_likelihood():
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = standardized()
    theirs = linear_model.LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(X, y)
    net = logistic()
    net.fit(X, y, epochs=200, batch_size=303)
    assert net.weights[0][0, 0] == pytest.approx(theirs.coef_[0, 0], rel=1e-6)
    assert net.biases[0][0] == pytest.approx(theirs.intercept_[0], rel=1e-6)
    np.testing.assert_allclose(net.predict(X)[:, 0], theirs.predict_proba(X)[:, 1], rtol=1e-6)
    # Maximum likelihood: the derivatives vanish, without scikit-learn too.
    np.testing.assert_allclose(net.loss_and_grad(X, y)[1], 0, atol=1e-14)
    # In the units of the data: the chance falls by 4 % a beat, and is 1/2 at 145.7 beats.
    rates = heart()[0]
    slope = net.weights[0][0, 0] / rates.std()
    assert slope == pytest.approx(-0.0434111, abs=1e-7)
    assert rates.mean() - net.biases[0][0] / slope == pytest.approx(145.699, abs=1e-3)


@long_uncompiled
@needs_heart
def test_case_5_two_hidden_units_fit_better():
    X, y = standardized()
    line = logistic()
    line.fit(X, y, epochs=200, batch_size=303)
    curve = logistic((1, 2, 1), optimizer=SGD(0.5, momentum=0.9))
    curve.fit(X, y, epochs=5000, batch_size=303)
    assert line.loss(X, y) == pytest.approx(0.595548, abs=1e-6)  # the best of all lines
    assert curve.loss(X, y) < 0.5935
    assert gradcheck(curve, X, y).error < 1e-6


def derivation(w, x, y):
    """dL/dW of -y log(1 / (1 + exp(-WX))) - (1 - y) log(1 - 1 / (1 + exp(-WX))), as derived."""
    e = np.exp(-w * x)
    return -y * x * e / (1 + e) + (1 - y) * x / (1 + e)


@pytest.mark.parametrize("y", [0, 1])
@pytest.mark.parametrize("w", [-3.0, 0.25, 3.0])
def test_case_5_derivative_of_the_logistic_likelihood(w, y):
    net = logistic(bias=False)
    net.weights[0][...] = w
    loss, grad = net.loss_and_grad([[3.0]], [y])
    assert grad[0] == pytest.approx(derivation(w, 3.0, y), rel=1e-12)
    p = 1 / (1 + np.exp(-3.0 * w))
    assert loss == pytest.approx(-np.log(p if y else 1 - p), rel=1e-10)
    if (w, y) == (3.0, 1):
        assert grad[0] == pytest.approx(-0.00037018372, abs=1e-11)  # the slide cuts off the rest


@needs_heart
def test_case_5_derivative_of_the_logistic_likelihood_on_the_heart_data():
    X, y = standardized()
    net = logistic(bias=False)
    net.weights[0][...] = -0.8
    grad = net.loss_and_grad(X, y)[1]
    assert grad[0] == pytest.approx(derivation(-0.8, X[:, 0], y.astype(float)).mean(), rel=1e-12)
