"""Case 6: the learning rate's effect, and heuristics for choosing hyper-parameters (MC886, CS109A).

CS109A descends on a loss of one weight; for L(w) = 1/2 (w - 3)^2 each step multiplies the distance
to the minimum by 1 - learning_rate.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import long_uncompiled

from fastbp import MLP, SGD, DivergenceWarning, diagnose, find_learning_rate

pytestmark = pytest.mark.slow


def descend(learning_rate: float, steps: int) -> list[float]:
    """The distances to the minimum after each step."""
    net = MLP((1, 1), bias=False, dtype="float64", optimizer=SGD(learning_rate), seed=0)
    net.weights[0][...] = 7.0
    distances = []
    for _ in range(steps):
        net.step([[1.0]], [3.0])
        distances.append(float(net.weights[0][0, 0]) - 3.0)
    return distances


@pytest.mark.parametrize("rate", [1e-3, 0.5, 1.0, 1.5, 2.0, 2.5])
def test_each_step_multiplies_the_distance(rate: float) -> None:
    assert np.allclose(descend(rate, 20), 4.0 * (1.0 - rate) ** np.arange(1, 21), rtol=1e-9)


def test_too_small_good_and_divergent_rates() -> None:
    small, good, divergent = (descend(rate, 30)[-1] for rate in (1e-3, 0.5, 2.5))
    assert abs(small) > 3.8  # hardly moved
    assert abs(good) < 1e-8
    assert abs(divergent) > 4 * 1.5**29
    net = MLP((1, 1), optimizer=SGD(2.5), seed=0)
    with pytest.warns(DivergenceWarning):
        net.fit([[1.0]], [3.0], epochs=1000)


@long_uncompiled
def test_heuristics_for_hyper_parameters() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = X @ [1.0, -2.0]

    def net(rate: float) -> MLP:
        return MLP((2, 1), optimizer=SGD(rate), seed=0)

    assert "learning rate too large" in diagnose(net(5.0), X, y)
    assert "learning rate too small" in diagnose(net(1e-6), X, y)
    suggested = net(find_learning_rate(net(1e-6), X, y).suggestion)
    assert diagnose(suggested, X, y).names == ()
    suggested.fit(X, y, epochs=100)
    assert np.allclose(suggested.weights[0].ravel(), [1.0, -2.0], atol=1e-3)
