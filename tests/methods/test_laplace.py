"""`MLP.covariance` and ``predict(X, return_std=True)``: closed forms and coverage."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from helpers import counts, long_uncompiled

from fastbp import MLP, LevenbergMarquardt

N = 60
EXACT = LevenbergMarquardt(1e-12)


def linear_rows(n_out=1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 3))
    Y = X @ rng.normal(size=(3, n_out)) + 0.5 + rng.normal(scale=0.3, size=(N, n_out))
    return X, Y, rng.uniform(0.5, 2, N)


def fitted(sizes, X, Y, weights=None, **options):
    net = MLP(sizes, **({"dtype": "float64", "activation": "tanh", "seed": 0} | options))
    net.fit(X, Y, sample_weight=weights, epochs=100, method=EXACT)
    return net


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_of_a_linear_net_it_is_that_of_least_squares(dtype, weighted) -> None:
    X, Y, weights = linear_rows()
    given = weights if weighted else None
    w = weights if weighted else np.ones(N)
    net = fitted((3, 1), X, Y, given, dtype=dtype)
    A = np.c_[X, np.ones(N)]
    inverse = np.linalg.inv(A.T @ (A * w[:, None]))
    errors = Y[:, 0] - A @ (inverse @ A.T @ (w * Y[:, 0]))
    variance = (w * errors**2).sum() / (N - 4)
    rtol = 1e-4 if dtype == "float32" else 1e-9
    found = net.covariance(X, Y, given)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, variance * inverse, rtol=rtol, atol=1e-2 * rtol)
    new = np.c_[X[:5] + 1, np.ones(5)]
    mean, std = net.predict(X[:5] + 1, return_std=True)
    assert np.array_equal(mean, net.predict(X[:5] + 1)) and std.dtype == net.dtype
    noise = variance / w.mean()  # that of a target of mean weight
    expected = noise + np.einsum("ri,ij,rj->r", new, variance * inverse, new)
    np.testing.assert_allclose(std[:, 0] ** 2, expected, rtol=rtol)


def test_of_several_outputs_with_missing_targets() -> None:
    """One noise for all outputs, from the targets that are there."""
    X, Y, _ = linear_rows(2)
    Y[::5, 1] = np.nan
    net = fitted((3, 2), X, Y, missing_targets=True)
    A = np.c_[X, np.ones(N)]
    squares, inverses = 0.0, []
    for y in Y.T:
        known = ~np.isnan(y)
        solution, left, _, _ = np.linalg.lstsq(A[known], y[known], rcond=None)
        squares += left[0]
        inverses.append(np.linalg.inv(A[known].T @ A[known]))
    variance = squares / (np.isfinite(Y).sum() - 8)
    found = net.covariance(X, Y)
    order = [[0, 1, 2, 6], [3, 4, 5, 7]]  # weights unit by unit, then the biases
    for i, inverse in enumerate(inverses):
        np.testing.assert_allclose(found[np.ix_(order[i], order[i])], variance * inverse, rtol=1e-8)
    np.testing.assert_allclose(found[np.ix_(*order)], 0, atol=1e-15)
    assert net.posterior.noise == pytest.approx(variance, rel=1e-9)


def test_of_a_ridge_regression() -> None:
    """MacKay's effective number of parameters, and frozen ones that are not uncertain."""
    X, Y, _ = linear_rows()
    net = fitted((3, 1), X, Y, l2=0.5)
    A = np.c_[X, np.ones(N)]
    penalty = N * np.diag([0.5, 0.5, 0.5, 0.0])
    inverse = np.linalg.inv(A.T @ A + penalty)
    gamma = np.trace(A.T @ A @ inverse)
    assert 1 < gamma < 4
    variance = ((net.predict(X) - Y) ** 2).sum() / (N - gamma)
    np.testing.assert_allclose(net.covariance(X, Y), variance * inverse, rtol=1e-9, atol=1e-14)
    net.freeze(biases=False)
    found = net.covariance(X, Y)
    assert np.count_nonzero(found) == 1
    assert found[3, 3] == pytest.approx(((net.predict(X) - Y) ** 2).sum() / (N - 1) / N)


def test_l2_stands_in_for_rows() -> None:
    """Biases have no penalty: those of units that count for little may have to be frozen."""
    X, Y, _ = linear_rows()
    net = fitted((3, 20, 1), X[:30], Y[:30], l2=0.01)
    with pytest.raises(ValueError, match="such as biases\\[0\\]\\[.*Train with l2.*freeze them"):
        net.covariance(X[:30], Y[:30])
    net.freeze(weights=False, layers=[0])
    covariance = net.covariance(X[:30], Y[:30])[np.ix_(~net.frozen, ~net.frozen)]
    assert len(covariance) > 30
    assert np.linalg.eigvalsh(covariance).min() > 0


@long_uncompiled
@pytest.mark.slow
def test_coverage() -> None:
    """Of nets that learn what another net has made, with noise: both intervals of 95 %."""
    truth = MLP((1, 3, 1), activation="tanh", dtype="float64")
    truth.params[:] = [3, -2, 1.5, -2, 1, 2, 1, 0.7, 1.5, 0.3]
    of_targets, of_means = [], []
    for seed in range(counts(40, 200)):
        rng = np.random.default_rng(seed)
        X, new = rng.uniform(-2, 2, size=(2, 200, 1))
        Y = truth.predict(X) + rng.normal(scale=0.1, size=(200, 1))
        net = MLP((1, 3, 1), activation="tanh", dtype="float64")
        net.params[:] = truth.params  # so that it finds this minimum and no other
        net.fit(X, Y, epochs=100, method="lm")
        net.covariance(X, Y)
        mean, std = net.predict(new, return_std=True)
        targets = truth.predict(new) + rng.normal(scale=0.1, size=(200, 1))
        of_targets.append(np.mean(np.abs(targets - mean) < 1.96 * std))
        own = np.sqrt(std**2 - net.posterior.noise)
        of_means.append(np.mean(np.abs(truth.predict(new) - mean) < 1.96 * own))
    assert np.mean(of_targets) == pytest.approx(0.95, abs=0.01)
    assert np.mean(of_means) == pytest.approx(0.95, abs=0.03)


def test_many_rows_come_in_blocks(monkeypatch) -> None:
    X, Y, _ = linear_rows()
    net = fitted((3, 4, 1), X, Y)
    net.covariance(X, Y)
    many = np.random.default_rng(1).normal(size=(300, 3))
    whole = net.predict(many, return_std=True)[1]
    monkeypatch.setattr("fastbp.methods.jacobian.BLOCK", 1)
    assert np.array_equal(net.predict(many, return_std=True)[1], whole)


def test_copies_and_pickles_know_it() -> None:
    X, Y, _ = linear_rows()
    net = fitted((3, 1), X, Y)
    net.covariance(X, Y)
    std = net.predict(X, return_std=True)[1]
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert np.array_equal(twin.predict(X, return_std=True)[1], std)


def test_what_std_needs() -> None:
    X, Y, _ = linear_rows()
    net = fitted((3, 1), X, Y)
    with pytest.raises(ValueError, match=r"call net.covariance\(X, y\) with the rows of training"):
        net.predict(X, return_std=True)
    net.covariance(X, Y)
    with pytest.raises(ValueError, match="return_std=True is for outputs; leave logits out"):
        net.predict(X, logits=True, return_std=True)
    with pytest.raises(TypeError, match="return_std must be True or False"):
        net.predict(X, return_std=1)
    assert isinstance(net.predict(X, return_std=False), np.ndarray)
    net.step(X, Y)
    with pytest.raises(ValueError, match="the parameters have changed since.*call it again"):
        net.predict(X, return_std=True)


@pytest.mark.parametrize(
    ("sizes", "options", "rows", "message"),
    [
        ((3, 1), {"loss": "huber"}, N, "the covariance takes a sum of squares.*got loss='huber'"),
        ((3, 1), {"l1": 0.1}, N, "the covariance takes a smooth loss; got l1=0.1. Train with l2"),
        ((3, 1), {"output_activation": "step"}, N, "a net with step units"),
        ((3, 1), {}, 4, "more targets than parameters, or l2; got 4 targets.*and 4 parameters"),
        ((3, 1), {"l2": 1e-9}, 3, "nothing is left to estimate their noise from"),
        ((3, 2, 1), {"activation": "relu"}, N, "the covariance does not exist: some parameters"),
        ((3, 2, 1), {"weight_init": "zeros"}, N, "the covariance does not exist"),
        ((100, 100, 1), {}, N, "from 1 to 10,000 parameters that are not frozen; got 10,201"),
    ],
)
def test_where_it_does_not_exist(sizes, options, rows, message) -> None:
    X, Y, _ = linear_rows()
    net = MLP(sizes, **({"dtype": "float64", "activation": "tanh", "seed": 0} | options))
    if options.get("activation") == "relu":
        net.biases[0][:] = -100
    X = X if sizes[0] == 3 else np.ones((N, sizes[0]))
    with pytest.raises(ValueError, match=message):
        net.covariance(X[:rows], Y[:rows])
    assert net.posterior is None
    net.freeze()
    if rows == N and not {"loss", "l1", "output_activation"} & set(options):
        with pytest.raises(ValueError, match="not frozen; got 0. Unfreeze some"):
            net.covariance(X, Y)
