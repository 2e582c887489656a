"""Findings as objects: order, names, how they print."""

from __future__ import annotations

import pytest

from fastbp.insight.findings import Diagnosis, Finding, LayerReport

HINT = Finding("learning rate too small", "hint", "it creeps", "Raise it.", {"loss": 1.0})
ERROR = Finding("dead units", "error", "<all> are 0", "Start again.")
LAYER = LayerReport(0, "relu", 4, 2.5, 0.125, 0.001, 0.5, 0.0)


def test_the_gravest_stands_first_and_names_find_them() -> None:
    found = Diagnosis([HINT, ERROR], [LAYER], 0.25, "MLP((2, 4))")
    assert list(found) == [ERROR, HINT]
    assert found.names == ("dead units", "learning rate too small")
    assert len(found) == 2 and found[0] is ERROR and found["dead units"] is ERROR
    assert "dead units" in found and HINT in found and "overfitting" not in found
    assert repr(found) == "Diagnosis(dead units, learning rate too small)"
    with pytest.raises(KeyError, match="no finding 'overfitting'; there are dead units, learning"):
        found["overfitting"]


def test_report() -> None:
    found = Diagnosis([HINT, ERROR], [LAYER], 0.25, "MLP((2, 4))")
    assert str(found).splitlines() == [
        "2 problems found (loss 0.25): MLP((2, 4))",
        "error: dead units: <all> are 0",
        "    Start again.",
        "hint: learning rate too small: it creeps",
        "    Raise it.",
        "layer  activation  units  weight norm  gradient norm  update / weight  dead  saturated",
        "    0        relu      4          2.5          0.125            0.001   50%         0%",
    ]
    html = found._repr_html_()
    assert "<b>error: dead units</b>: &lt;all&gt; are 0<br>Start again.</li>" in html
    assert html.index("dead units") < html.index("learning rate too small")
    assert "<td>relu</td><td>4</td><td>2.5</td><td>0.125</td><td>0.001</td><td>50%</td>" in html
    healthy = Diagnosis([], [LAYER], 0.25, "MLP((2, 4))")
    assert str(healthy).startswith("No problems found (loss 0.25)")
    assert repr(healthy) == "Diagnosis(no problems found)" and not healthy
    assert str(Diagnosis([HINT], [], 1.0, "")).startswith("1 problem found (loss 1)")
