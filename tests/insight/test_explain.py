"""What `explain` returns: printed, rendered, drawn."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

import fastbp
from fastbp import MLP, SGD
from fastbp.insight.explain import Explanation, explain

NET = MLP((2, 3, 1), activation="tanh", optimizer=SGD(0.5), seed=0)


def test_it_is_reached_from_the_package() -> None:
    assert fastbp.explain is explain
    assert {"explain", "Perceptron", "plot"} <= set(dir(fastbp)) & set(fastbp.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        fastbp.nothing  # noqa: B018


def test_repr_and_print() -> None:
    step = fastbp.explain(NET, [1, 2], 3)
    assert isinstance(step, Explanation)
    losses = step.losses
    assert repr(step) == f"Explanation(2-3-1, loss {losses.total:.6g} -> {losses.after:.6g})"
    assert str(step) == step.to_text()
    assert step.to_text(decimals=2) != str(step)
    assert step._repr_html_() == step.to_html()


def test_options_are_checked() -> None:
    step = fastbp.explain(NET, [1, 2], 3)
    with pytest.raises(ValueError, match="most must be at least 2; got 1"):
        step.to_text(most=1)
    with pytest.raises(ValueError, match="decimals must be at most 20; got 21"):
        step.to_latex(decimals=21)
    with pytest.raises(TypeError, match="decimals must be a whole number"):
        step.to_html(decimals=1.5)


def test_plot_shows_outputs_and_both_values() -> None:
    step = fastbp.explain(NET, [1, 2], 3)
    _, ax = plt.subplots()
    assert step.plot(ax=ax) is ax
    texts = {text.get_text() for text in ax.texts}
    assert {"x1\n1", "x2\n2", f"o1\n{step.layers[1].output[0]:.3g}"} <= texts
    assert sum("→" in text for text in texts) >= 9
    before, after = step.losses.total, step.losses.after
    assert f"target 3; loss {before:.5g} → {after:.5g} in one step" in ax.get_title()
    assert ax.get_title().endswith(f"learning rate {step.learning_rate:g}")
    plt.close(ax.figure)
