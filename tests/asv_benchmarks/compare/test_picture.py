"""The picture, from made-up figures."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from made_up import GOALS, SMALL, measured

from compare import picture
from compare.peers import PEERS

NAMES = ["sklearn", "jax"]


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_group_for_each_net_of_the_first_dtype() -> None:
    figure = picture.draw(
        [measured(w, d) for d in ("float32", "float64") for w in (SMALL, GOALS)], NAMES
    )
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["3-5-4-2", "4-8-1"]
    assert texts(axes) == ["8.00x", "2.50x"] * 2
    assert axes.get_xlabel() == "times faster per update, float32, one thread"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["scikit-learn", "JAX"]


def test_bars_begin_at_1_and_end_at_their_ratio() -> None:
    slower = measured(SMALL, "float32")
    slower.training["jax"] = 0.5e-5
    (axes,) = picture.draw([slower], NAMES).axes
    bars = [bar for group in axes.containers for bar in group]
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
    assert ends == [pytest.approx((1, 8)), pytest.approx((1, 0.5))]
    assert bars[0].get_y() + bars[0].get_height() <= bars[1].get_y() + 1e-9
    low, high = axes.get_xlim()
    assert low < 0.5 and high > 8


def test_the_libraries_are_those_asked_for() -> None:
    (axes,) = picture.draw([measured(SMALL, "float32")], ["jax"]).axes
    assert texts(axes) == ["2.50x"]


def test_a_failure_is_written_out() -> None:
    failing = measured(SMALL, "float32", {"torch_compile": "no"})
    (axes,) = picture.draw([failing], ["sklearn", "torch_compile", "jax"]).axes
    assert texts(axes) == ["8.00x", "fails", "2.50x"]


def test_each_library_has_a_colour_of_its_own() -> None:
    assert list(picture.COLORS) == list(PEERS)


def test_colours_differ_for_the_colour_blind() -> None:
    """Also without the difference of red and green: in blue, or in the mean of the two."""

    def seen(color: str) -> tuple[float, float]:
        red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
        return (red + green) / 2, blue

    colors = [seen(color) for color in picture.COLORS.values()]
    pairs = [(a, b) for i, a in enumerate(colors) for b in colors[:i]]
    assert min(math.dist(a, b) for a, b in pairs) > 20


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_is_written(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"ratios.{ending}"
    picture.save([measured(GOALS, "float32")], path, NAMES)
    assert path.read_bytes()[:4] in (b"\x89PNG", b"<?xm")
    assert path.stat().st_size > 10_000
