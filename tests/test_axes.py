"""The axes that pictures are drawn on."""

from __future__ import annotations

import builtins

import matplotlib.pyplot as plt
import pytest

from fastbp.axes import axes


def test_given_axes_are_used_and_new_ones_made() -> None:
    _, ax = plt.subplots()
    assert axes(ax) is ax
    made = axes(figsize=(3, 2))
    assert made is not ax
    assert made.figure.get_size_inches().tolist() == [3, 2]
    assert "Constrained" in type(made.figure.get_layout_engine()).__name__
    assert axes(ncols=3).shape == (3,)
    assert axes(layout="none").figure.get_layout_engine() is None


@pytest.mark.parametrize("ax", [3, "ax", plt])
def test_what_are_no_axes(ax: object) -> None:
    with pytest.raises(TypeError, match="ax must be matplotlib Axes or None"):
        axes(ax)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_matplotlib(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    with pytest.raises(ImportError, match=r"pip install 'fastbp\[plot\]'"):
        axes()
