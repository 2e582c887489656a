"""`find_learning_rate`: what it suggests trains, far more diverges, and the net stays as it was."""

from __future__ import annotations

import re

import helpers
import matplotlib
import numpy as np
import pytest
from helpers import long_uncompiled

from fastbp import MLP, SGD, Adam, DivergenceWarning, Group, find_learning_rate

matplotlib.use("agg")
pytestmark = long_uncompiled
RNG = np.random.default_rng(5)
X = RNG.normal(size=(300, 3))
Y = np.sin(2 * X[:, 0]) + X[:, 1]


def net(optimizer, **options):
    return MLP((3, 24, 1), optimizer=optimizer, seed=0, **options)


def state(one):
    """All bits, and what the range test must put back as it was."""
    return helpers.state(one), one.optimizer, one.history


@pytest.mark.parametrize("kind", [SGD, Adam, lambda rate: SGD(rate, momentum=0.9)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_suggestion_trains_well(kind, dtype: str) -> None:
    found = find_learning_rate(net(kind(1e-5), dtype=dtype), X, Y)
    suggested, slower = net(kind(found.suggestion)), net(kind(found.suggestion / 100))
    for one in (suggested, slower):
        one.fit(X, Y, epochs=100)
    variance = Y.var() / 2
    assert suggested.loss(X, Y) < 0.1 * variance
    assert slower.loss(X, Y) > 2 * suggested.loss(X, Y)


def test_a_much_larger_rate_diverges() -> None:
    found = find_learning_rate(net(SGD()), X, Y)
    assert found.diverged
    assert found.rates[-1] < 10
    with pytest.warns(DivergenceWarning):
        net(SGD(100 * found.suggestion)).fit(X, Y, epochs=30)


@pytest.mark.parametrize("seed", range(5))
def test_suggestions_of_other_orders_agree(seed: int) -> None:
    here, other = (find_learning_rate(net(SGD()), X, Y, seed=s).suggestion for s in (None, seed))
    assert 0.2 < other / here < 5


def test_the_net_is_as_it_was_and_trains_on() -> None:
    one, twin = (net(Adam(0.01), dropout=0.1) for _ in range(2))
    one.freeze(layers=[0])
    twin.freeze(layers=[0])
    for each in (one, twin):
        each.fit(X, Y, epochs=2)
    before = state(one)
    find_learning_rate(one, X, Y)
    assert state(one) == before
    one.fit(X, Y, epochs=2)
    twin.fit(X, Y, epochs=2)
    assert np.array_equal(one.params, twin.params)


@pytest.mark.parametrize("before", [0, 2])
def test_the_rates_rise_and_the_losses_are_those_of_training(before: int) -> None:
    optimizer = SGD(0.5, groups=[Group([1], learning_rate=1.0)])
    one, weights = net(optimizer), np.linspace(1, 2, 300)
    one.optimizer = SGD(0.01)
    one.fit(X, Y, epochs=before)  # the number of the update goes on; the rates begin anew
    one.optimizer = optimizer
    found = find_learning_rate(
        one, X, Y, weights, min_rate=1e-4, max_rate=1e-2, updates=12, batch_size=50, smoothing=0.5
    )
    assert np.allclose(found.rates, np.geomspace(1e-4, 1e-2, 12))
    twin, order, generator = net(SGD()), np.empty(0, int), np.random.default_rng(0)
    twin.params[:] = one.params
    mean, at = 0.0, 0
    for number, rate in enumerate(found.rates):
        if at + 50 > len(order):
            order, at = generator.permutation(300), 0
        twin.optimizer = SGD(rate, groups=[Group([1], learning_rate=2 * rate)])
        rows = order[at : at + 50]
        loss, at = twin.step(X[rows], Y[rows], weights[rows] / 1.5), at + 50  # a mean of 1
        assert loss == pytest.approx(found.losses[number], rel=1e-5)
        mean = 0.5 * mean + 0.5 * loss
        assert found.smoothed[number] == pytest.approx(mean / (1 - 0.5 ** (number + 1)), rel=1e-5)
    assert not found.diverged


def test_nothing_to_learn_gives_no_suggestion() -> None:
    one = net(SGD(), weight_init="zeros", bias=False)
    found = find_learning_rate(one, X, Y, max_rate=1e-3)
    assert found.suggestion is None
    assert str(found).startswith("no rate lowers the loss")
    assert [line.get_label() for line in found.plot().lines] == ["a batch", "smoothed"]


def test_it_prints_and_draws() -> None:
    found = find_learning_rate(net(SGD()), X, Y)
    assert re.match(r"suggested learning rate \d\.?\d*", str(found))
    assert f"{found.suggestion:.2g}" in str(found)
    assert found.start == pytest.approx(net(SGD()).loss(X, Y), rel=0.2)
    assert f"(loss {found.start:.4g}, minimum {found.smoothed.min():.4g} at" in str(found)
    assert found._repr_html_() == f"<p>{found}</p>"
    assert "rates" not in repr(found) and "suggestion=" in repr(found)
    ax = found.plot()
    batch, smoothed, least, suggestion = ax.lines
    assert np.array_equal(batch.get_xydata().T, [found.rates, found.losses])
    assert np.array_equal(smoothed.get_xydata().T, [found.rates, found.smoothed])
    best = found.smoothed.argmin()
    assert least.get_xydata().tolist() == [[found.rates[best], found.smoothed.min()]]
    assert suggestion.get_xdata()[0] == found.suggestion
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == ("log", "Learning rate", "Loss")
    assert found.plot(ax) is ax
    matplotlib.pyplot.close("all")


def test_bad_input() -> None:
    one = net(SGD())
    with pytest.raises(ValueError, match="max_rate must be above min_rate, 1; got 0.1"):
        find_learning_rate(one, X, Y, min_rate=1, max_rate=0.1)
    with pytest.raises(ValueError, match="divergence must be a finite number above 1; got 1"):
        find_learning_rate(one, X, Y, divergence=1)
    with pytest.raises(ValueError, match="smoothing must be at least 0 and below 1; got 1"):
        find_learning_rate(one, X, Y, smoothing=1)
    with pytest.raises(ValueError, match="updates must be at least 10; got 3"):
        find_learning_rate(one, X, Y, updates=3)
    with pytest.raises(ValueError, match="X and y must have the same number of rows"):
        find_learning_rate(one, X, Y[:3])
    with pytest.raises(TypeError, match="net must be an MLP"):
        find_learning_rate(SGD(), X, Y)
    one.params[:] = 1e30
    with pytest.raises(ValueError, match="the loss of the first batch is not finite"):
        find_learning_rate(one, X, Y)
