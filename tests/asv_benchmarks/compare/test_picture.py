"""The picture, from made-up figures."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from made_up import GOALS, SMALL, measured

from compare import picture
from compare.peers import PEERS


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_panel_for_each_dtype_and_kind() -> None:
    figure = picture.draw([measured(w, d) for d in ("float32", "float64") for w in (SMALL, GOALS)])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [f"{kind}, {dtype}" for dtype in ("float32", "float64")
                      for kind in picture.KINDS.values()]  # fmt: skip
    assert all(axes.get_xscale() == "log" for axes in figure.axes)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["small\n3-5-4-2", "goals\n4-8-1"]


def test_ratios_stand_where_they_belong() -> None:
    figure = picture.draw([measured(GOALS, "float32")])
    training, one, many = figure.axes
    assert texts(training) == ["8.00x", "2.50x"]
    assert texts(one) == ["45x", "5.00x"]
    assert texts(many) == ["1.50x", "0.75x"]
    marks = [line for line in training.lines if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in marks] == pytest.approx([8.0])
    low, high = many.get_xlim()
    assert low < 0.75 and high > 45


def test_goals_are_marked_in_training_in_float32_alone() -> None:
    def goals(axes) -> list[float]:
        return [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "|"]

    figure = picture.draw([measured(GOALS, dtype) for dtype in ("float32", "float64")])
    assert [goals(axes) for axes in figure.axes] == [[10.0, 2.0], [], [], [], [], []]


def test_a_failure_is_written_out() -> None:
    figure = picture.draw([measured(SMALL, "float32", {"torch_compile": "no"})])
    assert texts(figure.axes[0]) == ["8.00x", "fails", "2.50x"]


def test_each_library_has_a_colour_and_a_shape_of_its_own() -> None:
    assert list(picture.STYLES) == list(PEERS)
    for part in ("color", "marker"):
        assert len({getattr(style, part) for style in picture.STYLES.values()}) == len(PEERS)


def test_colours_differ_for_the_colour_blind() -> None:
    """Also without the difference of red and green: in blue, or in the mean of the two."""

    def seen(color: str) -> tuple[float, float]:
        red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
        return (red + green) / 2, blue

    colors = [seen(style.color) for style in picture.STYLES.values()]
    pairs = [(a, b) for i, a in enumerate(colors) for b in colors[:i]]
    assert min(math.dist(a, b) for a, b in pairs) > 20


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_is_written(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"ratios.{ending}"
    picture.save([measured(GOALS, "float32")], path)
    assert path.read_bytes()[:4] in (b"\x89PNG", b"<?xm")
    assert path.stat().st_size > 10_000
