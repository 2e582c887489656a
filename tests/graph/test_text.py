"""Formulas bind as Python's do, and numbers are short."""

from __future__ import annotations

import pytest

from fastbp.graph.text import atom, formula, greek, number_text

A, B, C = (atom(name) for name in "abc")


@pytest.mark.parametrize(
    ("outer", "inner", "left", "right"),
    [
        ("add", "add", "a + b + c", "c + a + b"),
        ("subtract", "add", "a + b - c", "c - (a + b)"),
        ("multiply", "add", "(a + b) * c", "c * (a + b)"),
        ("divide", "multiply", "a * b / c", "c / (a * b)"),
        ("multiply", "divide", "a / b * c", "c * (a / b)"),
        ("power", "power", "(a**b)**c", "c**(a**b)"),
        ("power", "multiply", "(a * b)**c", "c**(a * b)"),
        ("add", "power", "a**b + c", "c + a**b"),
    ],
)
def test_infix(outer, inner, left, right):
    part = formula(inner, [A, B])
    assert formula(outer, [part, C])[0] == left
    assert formula(outer, [C, part])[0] == right


def test_signs_and_calls():
    minus = formula("negate", [A])
    assert minus[0] == "-a"
    assert formula("power", [minus, B])[0] == "(-a)**b"
    assert formula("negate", [formula("power", [A, B])])[0] == "-a**b"
    assert formula("negate", [formula("add", [A, B])])[0] == "-(a + b)"
    assert formula("multiply", [minus, B])[0] == "-a * b"
    assert formula("multiply", [B, minus])[0] == "b * (-a)"
    assert formula("power", [atom("-2"), B])[0] == "(-2)**b"
    assert formula("max", [A, formula("add", [A, B])])[0] == "max(a, a + b)"
    assert formula("dot", [A, B, C, A])[0] == "dot([a, b], [c, a])"


def test_numbers():
    assert [number_text(x) for x in (1.0, -0.0, 0.1 + 0.2, 1e-12, 123456789.0)] == [
        "1", "0", "0.3", "1e-12", "1.23457e+08"
    ]  # fmt: skip
    assert number_text(1 / 3, 3) == "0.333"


def test_greek_letters():
    assert greek("xi1 = exp(alpha)") == "ξ₁ = exp(α)"
    assert greek("omega12 - mu") == "ω₁₂ - μ"
    for same in ("maximum", "xi_1", "2xi", "gamma(x)", "x1", "beta_pred"):
        assert greek(same) == same
