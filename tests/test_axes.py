"""The axes that pictures are drawn on."""

from __future__ import annotations

import builtins

import matplotlib.pyplot as plt
import pytest

from fastbp.axes import axes, readable_levels, readable_log_ticks


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
    with pytest.raises(ImportError, match="pip install matplotlib"):
        axes()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.62, 0.69, {"0.62", "0.64", "0.66", "0.68"}),
        (0.03, 0.7, {"0.05", "0.1", "0.2", "0.5"}),
        (2.0, 40.0, {"2", "5", "10", "20"}),
    ],
)
def test_short_log_axes_have_plain_numbers(low: float, high: float, expected: set[str]) -> None:
    ax = axes()
    ax.plot([0, 1], [low, high])
    ax.set(yscale="log", ylim=(low, high))
    readable_log_ticks(ax.yaxis)
    ax.figure.canvas.draw()
    shown = {
        text.get_text()
        for text, at in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)
        if low <= at <= high
    }
    assert expected <= shown and not any("^" in text for text in shown)
    plt.close(ax.figure)


def test_long_and_linear_axes_stay_as_they_are() -> None:
    for scale, limits in (("log", (1e-6, 1.0)), ("linear", (1.0, 2.0))):
        ax = axes()
        ax.set(yscale=scale, ylim=limits)
        before = ax.yaxis.get_major_locator()
        readable_log_ticks(ax.yaxis)
        assert ax.yaxis.get_major_locator() is before
        plt.close(ax.figure)


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (0.0142, 1.34, True, [0.02, 0.05, 0.1, 0.2, 0.5, 1.0]),
        (0.0262, 7.78, True, [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]),
        (1e-5, 2.0, True, [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0]),
        (1e-20, 1.0, True, [1e-20, 1e-17, 1e-14, 1e-11, 1e-8, 1e-5, 0.01]),
        (2.1, 7.0, True, [3.0, 4.0, 5.0, 6.0, 7.0]),
        (-1.0, 1.0, False, [-0.8, -0.4, 0.0, 0.4, 0.8]),
    ],
)
def test_levels_are_round(low: float, high: float, log: bool, expected: list[float]) -> None:
    assert readable_levels(low, high, log) == expected
