"""Text in C: constants that give back their numbers, comments and strings that nothing breaks."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from fastbp.files.c import text as c_text


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1.0, 0.1, 1e-45, 1.17549435e-38, 3.4028235e38, 16777217]
)
def test_a_number_in_float_comes_back(value) -> None:
    text = c_text.real(value, True)
    assert text.endswith("f") and any(letter in text for letter in ".e")
    assert np.float32(text[:-1]) == np.float32(value)
    assert np.signbit(np.float32(text[:-1])) == np.signbit(value)
    assert len(text) <= 16


def test_a_number_in_double_comes_back() -> None:
    for value in (0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 1e22, -2.0):
        assert float(c_text.real(value, False)) == value
        assert any(letter in c_text.real(value, False) for letter in ".e")


def test_templates_are_filled_but_not_within_quotation_marks() -> None:
    text = 'REAL NAME_f(UPPER_N * exp_F(1.0_F) + UNREAL + A_F1) "REAL NAME_ 1.0_F \\" REAL"'
    want = 'float net_f(NET_N * expf(1.0f) + UNREAL + A_F1) "REAL NAME_ 1.0_F \\" REAL"'
    assert c_text.filled(text, "net", True) == want
    assert c_text.filled("REAL exp_F 1.0_F NAME_REAL", "REAL", False) == "double exp 1.0 REAL_REAL"


def test_nothing_ends_a_comment() -> None:
    text = c_text.comment(['a */ b /* c ??/ d " e \\', "ä\u202e", ""])
    assert text == "/* a * / b / * c ? ?/ d ' e\n * \\xe4\\u202e\n *\n */\n"
    assert c_text.comment(["one"]) == "/* one */\n"


@pytest.mark.parametrize("value", ["plain", 'q"\\', "??/", "Ä\n\t1", "7\x017"])
def test_a_string_comes_back(value) -> None:
    text = c_text.string(value)
    assert text.isascii() and "?" not in text
    assert ast.literal_eval("b" + text) == value.encode()


def test_rows_of_arrays() -> None:
    values = [str(i) for i in range(6)]
    text = c_text.array("const int", "x", values, 3)
    assert text == "const int x[6] = {\n    0, 1, 2,\n    3, 4, 5,\n};\n"
    wide = c_text.array("const int", "x", ["1234567"] * 60, 30, "unit")
    assert wide.count("/* unit ") == 2
    assert max(len(line) for line in wide.splitlines()) <= 100
    assert wide.count("1234567,") == 60


def test_the_least_whole_number_has_a_constant() -> None:
    assert c_text.long_long(2**63 - 1) == "9223372036854775807LL"
    assert c_text.long_long(-(2**63)) == "(-9223372036854775807LL - 1)"
