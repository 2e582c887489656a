"""The Keras program of the lecture, layer by layer."""

from __future__ import annotations

import re

import pytest
from example_runs import EXAMPLES, numbers, run
from helpers import long_uncompiled


@long_uncompiled
def test_layer_by_layer(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("lectures/10_layer_by_layer.py", capsys)
    lines = out.splitlines()
    assert lines[0].startswith("MLP((2, 4, 3), activation='sigmoid', output_activation='sigmoid'")
    assert len(names["history"]) == 100
    assert names["history"]["accuracy"][-1] > 0.98
    chances = [numbers(line) for line in lines[-5:-1]]
    for x1, x2, *rest in chances:
        assert [p > 0.5 for p in rest] == [x1 > 0, x2 > 0, x1 + x2 > 0]
    assert lines[-1].endswith("True")


def test_is_as_short_as_with_keras() -> None:
    text = (EXAMPLES / "lectures/10_layer_by_layer.py").read_text(encoding="utf-8")
    keras = re.findall(r"^    model", text, re.MULTILINE)
    ours = text[text.index("net = MLP(") : text.index("print(net)")].strip().splitlines()
    assert len(keras) == 5
    assert len(ours) == 5
