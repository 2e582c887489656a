"""The policy balances the pole, by the physics of CartPole-v1, compiled and from Python."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np
import pytest
from example_runs import run
from helpers import long_uncompiled


def cart_pole(x: float, v: float, angle: float, spin: float, force: float) -> list[float]:
    """Florian's equations, as in Gymnasium: masses 1 and 0.1, half-length 0.5, Euler's step."""
    temp = (force + 0.1 * 0.5 * spin**2 * sin(angle)) / (1 + 0.1)
    bend = (9.8 * sin(angle) - cos(angle) * temp) / (
        0.5 * (4.0 / 3.0 - 0.1 * cos(angle) ** 2 / (1 + 0.1))
    )
    acceleration = temp - 0.1 * 0.5 * bend * cos(angle) / (1 + 0.1)
    return [x + 0.02 * v, v + 0.02 * acceleration, angle + 0.02 * spin, spin + 0.02 * bend]


@pytest.mark.slow
@long_uncompiled
def test_cart_pole(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("08_cart_pole.py", capsys)
    assert out.count("\n") == 2
    returns = names["returns"]
    for found in returns.values():
        assert found[-100:].mean() >= 475
        assert found.max() <= 500
        assert len(found) < 3000
        assert found[:20].mean() < 60  # before it has learnt
    batch = names["BATCH"]
    assert np.array_equal(*(found[: 2 * batch] for found in returns.values()))

    rng = np.random.default_rng(0)
    for right in (True, False):
        state = rng.uniform(-0.2, 0.2, 4)
        want = cart_pole(*state, 10.0 if right else -10.0)
        assert not names["push"](state, right)
        assert state == pytest.approx(want, rel=1e-14)
    for beyond in ([2.41, 1, 0, 0], [-2.41, -1, 0, 0], [0, 0, 0.22, 1], [0, 0, -0.22, -1]):
        assert names["push"](np.array(beyond, float), True)
    assert not names["push"](np.array([2.39, 0, 11.9 * pi / 180, 0]), True)
