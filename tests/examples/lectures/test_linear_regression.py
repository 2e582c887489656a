"""Gradient descent reaches the closed form."""

from __future__ import annotations

import pytest
from example_runs import numbers, run


def test_linear_regression(capsys: pytest.CaptureFixture[str]) -> None:
    first, *lines = run("lectures/08_linear_regression.py", capsys)[1].splitlines()
    slope, intercept = numbers(first)
    assert slope == pytest.approx(3, abs=0.3)
    assert intercept == pytest.approx(-2, abs=0.2)
    assert numbers(lines[-1])[1:3] == [slope, intercept]  # to the printed digits
    assert numbers(lines[-1])[-1] < 1e-12
    losses = [numbers(line)[3] for line in lines]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 10 * losses[-1]
