"""The same net by plain loops and by the fast kernels."""

from __future__ import annotations

import numpy as np
from example_runs import numbers, run
from helpers import long_uncompiled


@long_uncompiled
def test_plain_backpropagation(capsys) -> None:
    names, out = run("lectures/07_plain_backpropagation.py", capsys)
    lines = out.splitlines()
    for line in lines[1:6]:
        _, loss, plain_loss = numbers(line)
        assert loss == plain_loss
    assert names["losses"][99] < names["losses"][0] / 2
    np.testing.assert_allclose(names["fast"].params, names["params"], rtol=0, atol=1e-9)
    assert numbers(lines[-1])[0] > 1
