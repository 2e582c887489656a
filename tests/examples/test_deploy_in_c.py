"""The classifier in C has the classes of that in Python, and int8 is within a point of it."""

from __future__ import annotations

import pytest
from example_runs import run
from helpers import long_uncompiled

pytest.importorskip("sklearn", reason="the digits are its")


@long_uncompiled
def test_deploy_in_c(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("16_deploy_in_c.py", capsys)
    assert "float32: 30,080 bytes of constants, 400 bytes of RAM" in out
    assert "int8: 8,430 bytes of constants, 184 bytes of RAM" in out
    if names["compiler"] is None:
        assert out.count("no C compiler") == 2
        pytest.skip("needs a C compiler")
    assert "100.0% as in Python" in out
    accuracy = names["accuracy"]
    right = (names["predicted"] == names["y_test"]).mean()
    assert accuracy["float32"] == right > 0.95
    assert abs(accuracy["int8"] - right) < 0.01
