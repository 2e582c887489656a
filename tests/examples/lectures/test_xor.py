"""XOR by hand, by one layer in vain, and learned."""

from __future__ import annotations

import numpy as np
import pytest
from example_runs import numbers, run


def test_xor(capsys: pytest.CaptureFixture[str]) -> None:
    out = run("lectures/03_xor.py", capsys)[1].splitlines()
    assert numbers(out[0]) == [0, 1, 1, 0]
    assert numbers(out[1]) == [0.5, 0.5, 0.5, 0.5]
    assert out[-1].startswith("two layers, trained")
    assert np.allclose(numbers(out[-1]), [0, 1, 1, 0], atol=0.2)
