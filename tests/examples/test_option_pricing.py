"""The net's control leaves no bias, and most of the noise goes."""

from __future__ import annotations

from math import erf, exp, log, sqrt

import numpy as np
import pytest
from example_runs import numbers, run
from helpers import long_uncompiled


def geometric_asian(names: dict) -> float:
    """Kemna and Vorst's formula: the logarithm of the average of the dates is normal."""
    years = np.arange(1, names["DATES"] + 1) / names["DATES"]
    rate, volatility = names["RATE"], names["VOLATILITY"]
    mean = log(names["SPOT"]) + (rate - volatility**2 / 2) * years.mean()
    width = volatility * sqrt(np.minimum.outer(years, years).mean())
    d = (mean - log(names["STRIKE"])) / width
    above, chance = ((1 + erf(x / sqrt(2))) / 2 for x in (d + width, d))
    return exp(-rate) * (exp(mean + width**2 / 2) * above - names["STRIKE"] * chance)


@pytest.mark.slow
@long_uncompiled
def test_option_pricing(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("09_option_pricing.py", capsys)
    assert out.count("\n") == 5
    assert numbers(out.splitlines()[-1])[0] > 10
    prices = names["prices"]
    plain, net, from_python = prices.values()
    means, errors = ([f(p, axis=0) for p in prices.values()] for f in (np.mean, np.std))
    errors = [error / sqrt(len(plain)) for error in errors]
    assert (errors[0] / errors[1] > 10).all()  # 100 times less variance
    want = geometric_asian(names)
    assert want == pytest.approx(5.94020, abs=1e-5)
    for mean, error in zip(means, errors, strict=True):
        assert abs(mean[1] - want) < 4 * error[1]
    for i in (0, 2):
        assert abs(means[1][0] - means[i][0]) < 4 * sqrt(errors[1][0] ** 2 + errors[i][0] ** 2)

    # The same numbers give the same paths, whoever runs the loop.
    runs = (names["run"], names["run"].py_func)
    again = [r(names["f"], names["grad"], np.random.default_rng(1), 2, False) for r in runs]
    assert np.allclose(*again, rtol=1e-10, atol=1e-10)
