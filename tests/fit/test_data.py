"""Sparse rows in all that `MLP` does with rows: the same as with dense ones."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from helpers import make, state

from fastbp import MLP, diagnose, find_learning_rate
from fastbp.inspection import layer_outputs

RNG = np.random.default_rng(5)
X = scipy.sparse.random(90, 25, 0.2, format="csr", random_state=5)
Y = RNG.normal(size=(90, 2))
WEIGHTS = RNG.uniform(0.5, 2, 90)
VALIDATION = scipy.sparse.random(20, 25, 0.2, format="csc", random_state=6)


def pair(**options) -> tuple[MLP, MLP]:
    """Two equal nets."""
    nets = make((25, 6, 2), **options), make((25, 6, 2), **options)
    return nets


FITS = {
    "plain": {},
    "weights": {"sample_weight": WEIGHTS},
    "fraction": {"validation_fraction": 0.2, "patience": 2},
    "fraction, in order": {"validation_fraction": 0.2, "shuffle": False, "metrics": "r2"},
    "weights and fraction": {"validation_fraction": 0.3, "sample_weight": WEIGHTS},
    "metrics": {"metrics": ("mean_squared_error", "r2")},
    "method": {"method": "conjugate_gradient", "batch_size": None},
    "lbfgs": {"method": "lbfgs", "batch_size": None},
}


@pytest.mark.parametrize("options", FITS.values(), ids=FITS)
def test_fit(options) -> None:
    dense, sparse = pair()
    options = {"epochs": 4, "batch_size": 16} | options
    expected = dense.fit(X.toarray(), Y, **options)
    history = sparse.fit(X, Y, **options)
    assert history.names == expected.names
    for name in set(history.names) - {"seconds", "evaluations"}:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(sparse.params, dense.params, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("given", [VALIDATION, VALIDATION.toarray()], ids=["sparse", "dense"])
@pytest.mark.parametrize("rows", [X, X.toarray()], ids=["sparse rows", "dense rows"])
def test_validation_data(rows, given) -> None:
    y = np.arange(40.0).reshape(20, 2) / 40
    dense, net = pair()
    expected = dense.fit(X.toarray(), Y, epochs=2, validation_data=(VALIDATION.toarray(), y))
    history = net.fit(rows, Y, epochs=2, validation_data=(given, y), metrics="r2")
    np.testing.assert_allclose(history["val_loss"], expected["val_loss"], rtol=1e-9)


def test_batches_of_an_iterable_may_be_either() -> None:
    dense, sparse = pair()
    rows = X.toarray()
    parts = [slice(0, 30), slice(30, 40), slice(40, 90)]
    dense.fit([(rows[part], Y[part], WEIGHTS[part]) for part in parts], epochs=3)
    mixed = [X[parts[0]], rows[parts[1]], X[parts[2]].tocoo()]
    batches = [(x, Y[part], WEIGHTS[part]) for x, part in zip(mixed, parts, strict=True)]
    sparse.fit(batches, epochs=3)
    np.testing.assert_allclose(sparse.params, dense.params, rtol=1e-9, atol=1e-12)


def test_step_loss_and_outputs() -> None:
    dense, sparse = pair()
    rows = X.toarray()
    assert sparse.step(X, Y, WEIGHTS) == pytest.approx(dense.step(rows, Y, WEIGHTS), rel=1e-12)
    assert sparse.loss(X, Y, WEIGHTS) == pytest.approx(dense.loss(rows, Y, WEIGHTS), rel=1e-9)
    np.testing.assert_allclose(sparse.predict(X), dense.predict(rows), rtol=1e-9)
    np.testing.assert_allclose(
        sparse.predict(X, logits=True), dense.predict(rows, logits=True), rtol=1e-9
    )
    for got, expected in zip(layer_outputs(sparse, X), layer_outputs(dense, rows), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def half_square(y_pred, y):
    """squared_error in Python."""
    return 0.5 * ((y_pred - y) ** 2).sum() / len(y), (y_pred - y) / len(y)


def cube(z):
    """An activation in Python."""
    return z**3, 3 * z**2


@pytest.mark.parametrize("own", [{"loss": half_square}, {"activation": cube}])
def test_a_loss_or_an_activation_in_python(own) -> None:
    dense, sparse = pair(**own)
    rows = X.toarray()
    for net, inputs in ((dense, rows), (sparse, X)):
        net.fit(inputs, Y, epochs=3)
    np.testing.assert_allclose(sparse.params, dense.params, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sparse.predict(X), dense.predict(rows), rtol=1e-9, atol=1e-12)
    got, expected = sparse.loss_and_grad(X, Y), dense.loss_and_grad(rows, Y)
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-9, atol=1e-12)


def same(rows, rng):
    """An augmentation."""
    return rows


REFUSED = {
    "augment": lambda net: net.fit(X, Y, augment=same),
    "input_dropout": lambda net: dropping().fit(X, Y),
    "input_dropout=0.5": lambda net: dropping().step(X, Y),
    "input_dropout in batches": lambda net: dropping().fit([(X, Y)]),
    "diagnose": lambda net: diagnose(net, X, Y),
    "find_learning_rate": lambda net: find_learning_rate(net, X, Y),
}


def dropping() -> MLP:
    """A net with dropout of its inputs."""
    return make((25, 6, 2), input_dropout=0.5)


@pytest.mark.parametrize(("what", "call"), REFUSED.items(), ids=REFUSED)
def test_refused(what: str, call) -> None:
    net = make((25, 6, 2))
    before = state(net)
    with pytest.raises((TypeError, ValueError), match=rf"{what.split()[0]}.* dense.*X.toarray\(\)"):
        call(net)
    assert state(net) == before


def test_bad_rows_change_nothing() -> None:
    net = make((25, 6, 2))
    before = state(net)
    bad = X.copy()
    bad.data[7] = np.nan
    for call in (net.fit, net.step, net.loss, net.loss_and_grad, lambda X, y: net.predict(X)):
        with pytest.raises(ValueError, match="X holds nan at row"):
            call(bad, Y)
    assert state(net) == before


def test_indices_that_change_meanwhile_are_not_addresses() -> None:
    """A metric, user code, writes into the indices between two epochs."""
    net, other = pair()
    given = X.copy()

    def vandal(y, y_pred):
        given.indices[:] = 2**30
        given.indptr[:] = 2**30
        return 0.0

    net.fit(given, Y, epochs=3, metrics=vandal)
    other.fit(X, Y, epochs=3)
    np.testing.assert_array_equal(net.params, other.params)
