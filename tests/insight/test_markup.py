"""A step as HTML and LaTeX: well-formed, and with the numbers of the text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser

from fastbp import MLP, SGD, explain, graph
from fastbp.insight.markup import tex_name

X = [0.5, -1.25]
NETS = {
    "squares": MLP((2, 2, 2), activation="hard_sigmoid", optimizer=SGD(0.1), seed=0),
    "softmax": MLP((2, 3, 2), loss="cross_entropy", l2=0.1, seed=0),
    "softmax of squares": MLP((2, 2), output_activation="softmax", bias=False, seed=0),
    "gamma": MLP((2, 6, 5, 2), loss="gamma", dtype="float64", seed=0),
    "in Python": MLP((2, 2), loss=lambda y_pred, y: (1.0, y_pred - y), seed=0),
    "wide": MLP((2, 40, 30, 2), clip_norm=0.1, seed=0),
}
each_net = pytest.mark.parametrize("name", NETS)


class Parser(HTMLParser):
    """Holds the open tags, and the cells of all tables."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data


@each_net
def test_html_has_the_cells_of_the_text(name) -> None:
    step = explain(NETS[name], X, [0.25, 0.75])
    parser = Parser()
    parser.feed(step._repr_html_())
    assert parser.open == []
    words = " ".join(str(step).split())
    assert len(parser.cells) > 20
    assert all(" ".join(cell.split()) in words for cell in parser.cells)
    assert "h1 -&gt; o1" in explain(NETS["squares"], X, [0, 1]).to_html()


@pytest.mark.slow
@each_net
def test_latex_is_a_formula_in_every_line(name) -> None:
    step = explain(NETS[name], X, [0.25, 0.75])
    lines = step.to_latex(most=3).splitlines()
    assert (lines[0], lines[-1]) == (r"\begin{aligned}", r"\end{aligned}")
    assert all(line.endswith(r" \\") for line in lines[1:-2])
    assert not lines[-2].endswith("\\")
    assert step._repr_latex_() == f"$$\n{step.to_latex()}\n$$"
    parser = MathTextParser("path")
    for line in lines[1:-1]:
        assert line.count("&") == 1
        formula = line.removesuffix(r" \\").replace("&", "").replace(r"\text", r"\mathrm")
        parser.parse(f"${formula}$")


def test_latex_has_the_numbers() -> None:
    step = explain(NETS["squares"], X, [0.25, 0.75])
    text = step.to_latex(decimals=5)
    (line,) = (line for line in text.splitlines() if line.startswith(r"net_{h_{1}} "))
    found = [float(x) for x in re.findall(r"(?<!_\{)-?\d+\.\d+|(?<=\()-?\d+", line)]
    layer = step.layers[0]
    w, b, x = layer.weights.old[:, 0], layer.biases.old[0], layer.inputs
    expected = [w[0], x[0], w[1], x[1], layer.net[0]]
    assert b == 0
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert r"\mathrm{hard\_sigmoid}(net_{h_{1}})" in text
    new = f"{step.layers[1].weights.new[0, 0]:.5f}".rstrip("0")
    assert rf"w_{{h_{{1}} o_{{1}}}}: {step.layers[1].weights.old[0, 0]:.5f}".rstrip("0") in text
    assert rf"\to {new}" in text


def test_latex_of_several_layers_and_exponents() -> None:
    net = MLP((2, 2, 2, 1), dtype="float64", seed=0, activation="tanh")
    text = explain(net, [1e-7, 2.0], 1).to_latex()
    assert r"h^{(2)}_{1}" in text
    assert r"1 \cdot 10^{-7}" in text
    assert r"\vdots" in explain(NETS["wide"], X, [0, 1]).to_latex()
    assert r"1 - target / out = 1 - " in explain(NETS["gamma"], X, [0.25, 0.75]).to_latex()
    assert r"out - target = " in explain(NETS["softmax"], X, 1).to_latex()
    assert r"\sum_i" in explain(NETS["softmax of squares"], X, [0, 1]).to_latex()


def named(name: str):
    def function(z):
        return np.tanh(z), 1 - np.tanh(z) ** 2

    function.__name__ = name
    return function


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("act", "act"),
        ("my_act", r"my\_act"),
        (r"\input{a}", r"\backslash input\{a\}"),
        ("50% of $x & #1", r"50\%\ of\ \$x\ \&\ \#1"),
        ("z^2~", r"z\wedge 2\sim "),
        ("<lambda>", "<lambda>"),
    ],
)
def test_a_name_in_latex_is_nothing_but_a_name(name: str, written: str) -> None:
    net = MLP((1, 1), output_activation=named(name), seed=0)
    latex = explain(net, [0.5], [0.1]).to_latex()
    assert rf"\mathrm{{{written}}}(net_{{o_{{1}}}})" in latex
    assert tex_name(name) == written
    if "&" not in name:  # matplotlib's subset has neither \& nor \#
        MathTextParser("path").parse(rf"$\mathrm{{{written}}}(net)$")


def test_an_activation_of_ones_own_goes_by_its_name() -> None:
    net = MLP((1, 2, 1), activation=named("bump"), seed=0)
    step = explain(net, [0.5], [0.1])
    for text in (str(step), step._repr_html_(), step.to_latex(), repr(net)):
        assert "bump" in text and " at 0x" not in text and "object at" not in text
    assert step.layers[0].activation == "bump"
    x = graph.variable("x")
    named_by_formula = explain(MLP((1, 1), output_activation=x * x, seed=0), [0.5], [0.1])
    assert r"\mathrm{x\ *\ x}" in named_by_formula.to_latex()
