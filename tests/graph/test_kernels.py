"""Operations of the tape: values and derivatives against 40 digits, unknown codes."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from helpers import counts

from fastbp.graph.kernels import ALL_FINITE, Tape, gradient, jvp, local_derivatives, value
from fastbp.graph.operations import OPERATIONS

RNG = np.random.default_rng(3)
POSITIVE, ANY = (1e-6, 40.0), (-30.0, 30.0)
ONE = {
    "negate": (lambda a: -a, ANY),
    "exp": (mpmath.exp, ANY),
    "log": (mpmath.log, POSITIVE),
    "tanh": (mpmath.tanh, (-18.0, 18.0)),
    "sigmoid": (lambda a: 1 / (1 + mpmath.exp(-a)), ANY),
    "sqrt": (mpmath.sqrt, POSITIVE),
    "sin": (mpmath.sin, ANY),
    "cos": (mpmath.cos, ANY),
    "abs": (abs, ANY),
    "relu": (lambda a: max(a, mpmath.mpf(0)), ANY),
}
TWO = {
    "add": (lambda a, b: a + b, ANY, ANY),
    "subtract": (lambda a, b: a - b, ANY, ANY),
    "multiply": (lambda a, b: a * b, ANY, ANY),
    "divide": (lambda a, b: a / b, ANY, POSITIVE),
    "power": (lambda a, b: a**b, POSITIVE, (-3.0, 3.0)),
}


def tape_of(code: int, n: int) -> Tape:
    """One operation of n variables."""
    codes = np.array([*[OPERATIONS["variable"]] * n, code])
    arguments = np.array([*range(n), *range(n)])
    starts = np.array([*range(n + 1), 2 * n])
    return Tape(codes, starts, arguments, np.zeros(n + 1))


def run(code: int, inputs, stride: int | None = None):
    """The status, the values, and the derivatives (arguments, rows) by backward mode."""
    n, rows = inputs.shape
    stride, tape = stride or rows, tape_of(code, n)
    out, found = np.empty(rows), np.empty((n, rows))
    table, other = np.empty((2, n + 1, stride))
    arguments = (out, found, table, other, np.empty(stride), tape, np.arange(n), inputs)
    with np.errstate(all="ignore"):
        return gradient(*arguments), out, found


def digits(function, arguments, k=None):
    """A function, or its derivative by argument k, in 40 digits."""
    with mpmath.workdps(40):
        numbers = [mpmath.mpf(float(a)) for a in arguments]
        if k is None:
            return float(function(*numbers))
        return float(
            mpmath.diff(lambda x: function(*numbers[:k], x, *numbers[k + 1 :]), numbers[k])
        )


def sums(limits, terms):
    return np.stack([RNG.uniform(*limit, terms) for limit in limits])


@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_values_and_derivatives(name):
    function, *limits = (ONE | TWO)[name]
    inputs = sums(limits, counts(60, 1000))
    status, out, found = run(OPERATIONS[name], inputs)
    assert status == ALL_FINITE
    singly = run(OPERATIONS[name], inputs, 1)  # other code than that of blocks
    np.testing.assert_allclose(singly[1], out, rtol=4e-15)
    np.testing.assert_allclose(singly[2], found, rtol=4e-15)
    expected = [digits(function, row) for row in inputs.T]
    np.testing.assert_allclose(out, expected, rtol=4e-15, atol=1e-300)
    for k in range(len(inputs)):
        slopes = [digits(function, row, k) for row in inputs.T]
        np.testing.assert_allclose(found[k], slopes, rtol=4e-14, atol=1e-17 if name == "sin" else 0)


def test_several_arguments():
    inputs = RNG.normal(size=(6, 9))
    largest = inputs.max(axis=0)
    for name, expected, slopes in (
        ("max", largest, inputs == largest),
        ("sum", inputs.sum(axis=0), np.ones((6, 9))),
        ("dot", (inputs[:3] * inputs[3:]).sum(axis=0), np.roll(inputs, 3, axis=0)),
    ):
        status, out, found = run(OPERATIONS[name], inputs)
        assert status == ALL_FINITE
        np.testing.assert_allclose(out, expected, rtol=1e-14)
        assert np.array_equal(found, slopes), name
        assert np.array_equal(run(OPERATIONS[name], inputs, 1)[2], slopes), name


def test_derivatives_at_kinks_and_zeros():
    def slopes(name, *arguments):
        return run(OPERATIONS[name], np.array(arguments, float).reshape(-1, 1))[2].ravel().tolist()

    assert slopes("relu", 0) == [0]
    assert slopes("abs", 0) == [0]
    assert slopes("max", 2, 2, 1) == [0.5, 0.5, 0]
    assert slopes("power", 0, 2) == [0, 0]
    assert slopes("power", 0, 1) == [1, 0]
    assert slopes("power", 3, 0) == [0, np.log(3)]
    by_base, by_exponent = slopes("power", -2, 3)
    assert by_base == pytest.approx(12, rel=1e-15)
    assert np.isnan(by_exponent)
    assert slopes("sqrt", 0) == [np.inf]


def test_derivatives_keep_their_digits_where_values_end():
    """1 - tanh(20)^2 would be 0, sigmoid(40) (1 - sigmoid(40)) too."""
    exact = {
        "tanh": lambda x: mpmath.sech(x) ** 2,
        "sigmoid": lambda x: mpmath.sech(x / 2) ** 2 / 4,
    }
    for name, x in (("tanh", 20.0), ("tanh", -20.0), ("sigmoid", 40.0), ("sigmoid", -700.0)):
        found = run(OPERATIONS[name], np.array([[x]]))[2][0, 0]
        assert found == pytest.approx(digits(exact[name], [x]), rel=1e-14, abs=0)


@pytest.mark.parametrize("stride", [1, 4, 7, 10])
def test_blocks_of_rows(stride):
    inputs = RNG.normal(size=(2, 10))
    whole, parts = run(OPERATIONS["multiply"], inputs), run(OPERATIONS["multiply"], inputs, stride)
    assert np.array_equal(whole[1], parts[1])
    assert np.array_equal(whole[2], parts[2])
    assert np.array_equal(whole[2], inputs[::-1])


def test_the_first_value_that_is_not_finite():
    inputs = np.array([[1.0, 2, 0, 0, 5]])
    assert run(OPERATIONS["log"], inputs)[0] == 1 * 5 + 2  # node 1, row 2
    inputs[0, 4] = np.inf
    assert run(OPERATIONS["log"], inputs)[0] == 4  # node 0, row 4


def test_forward_mode_and_local_derivatives():
    tape, inputs = tape_of(OPERATIONS["multiply"], 2), np.array([[3.0, 5], [7, 11]])
    directions = np.array([[1.0, 0], [2, 4]])
    out, found, table, other = np.empty((1, 2)), np.empty((1, 2)), *np.empty((2, 3, 2))
    wanted = np.array([2])
    status = jvp(out, found, table, other, np.empty(2), tape, wanted, inputs, directions)
    assert status == ALL_FINITE
    assert out.tolist() == [[21, 55]]
    assert found.tolist() == [[7 + 2 * 3, 4 * 5]]
    local = np.zeros((4, 2))
    local_derivatives(local, table, tape)
    assert local.tolist() == [[0, 0], [0, 0], [7, 11], [3, 5]]


@pytest.mark.parametrize("code", [-1, 20, 99])
def test_unknown_codes(code):
    out, table = np.empty((1, 1)), np.empty((3, 1))
    with pytest.raises(ValueError, match="unknown operation code"):
        value(out, table, tape_of(code, 2), np.array([2]), np.ones((2, 1)))


def test_codes_are_unique():
    assert sorted(OPERATIONS.values()) == list(range(20))
