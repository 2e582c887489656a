"""Whole numbers of 8 bits: grids, multipliers, and sums that always fit into 32 bits."""

from __future__ import annotations

import numpy as np
import pytest

from fastbp import MLP, graph
from fastbp.files.c import quantization
from fastbp.files.c.quantization import Grid, IntegerLayer, activated, quantized, rescaled
from fastbp.files.c.writing import to_c
from fastbp.files.chain import Layer, chain_of
from fastbp.kernels.activations import ACTIVATIONS

SEED = 17


def chain(weight, bias=None, activation="identity"):
    weight = np.atleast_2d(np.asarray(weight, np.float32))
    layer = Layer(weight, None if bias is None else np.asarray(bias, np.float32), activation)
    return chain_of(MLP((2, 1)))._replace(layers=(layer,))


def normal(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(SEED).normal(size=(rows, columns))


def layer(multiplier: int, shift: int, zero: int = 0) -> IntegerLayer:
    return IntegerLayer(
        np.zeros((1, 1), np.int8), np.zeros(1, np.int32), np.array([multiplier], np.int32),
        np.array([shift], np.uint8), zero, None,
    )  # fmt: skip


def test_halves_are_rounded_away_from_zero() -> None:
    sums = np.array([[-3], [-2], [-1], [0], [1], [2], [3], [2**31 - 1], [-(2**31)]])
    got = rescaled(sums, layer(2**30, 31, 5), -128, 127)
    assert got.ravel().tolist() == [3, 4, 4, 5, 6, 6, 7, 127, -128]


def test_the_largest_products_do_not_overflow() -> None:
    sums = np.array([[2**31 - 1], [-(2**31 - 1)]])
    got = rescaled(sums, layer(2**31 - 1, 62), -128, 127)
    assert got.ravel().tolist() == [1, -1]  # 1 - 2^-30 is rounded


@pytest.mark.parametrize("factor", [1e-30, 1e-12, 1e-9, 0.003, 0.5, 0.999999999999, 1.0, 3.7, 1e6])
def test_multipliers_are_near_their_factor(factor) -> None:
    m, n = quantization._multiplier(factor)
    assert 0 <= m < 2**31
    assert 1 <= n <= 62
    assert m / 2.0**n == pytest.approx(factor, rel=1e-9, abs=2.0**-62)


def test_a_huge_multiplier_cuts_off_all_but_zero() -> None:
    m, n = quantization._multiplier(1e12)
    got = rescaled(np.array([[-1], [0], [1]]), layer(m, n), -128, 127)
    assert got.ravel().tolist() == [-128, 0, 127]


def test_grids_hold_zero_exactly() -> None:
    for low, high in ((0.0, 5.0), (-1.0, 3.0), (2.0, 3.0), (-4.0, -1.0), (-1e-3, 1e3)):
        grid = quantization._grid(low, high)
        assert -128 <= grid.zero <= 127
        assert grid.values(np.array([grid.zero]))[0] == 0.0
        assert grid.values(np.array([127]))[0] >= max(high, 0.0) - 0.51 * grid.scale
        assert grid.values(np.array([-128]))[0] <= min(low, 0.0) + 0.51 * grid.scale
    assert quantization._grid(0.0, 5.0).zero == -128
    assert quantization._grid(0.0, 0.0) == Grid(1.0, 0)


def test_few_values_far_out_do_not_make_the_steps_coarse() -> None:
    values = np.append(normal(5000, 1), 100.0)
    tanh = quantization._chosen(values, np.tanh)
    assert 255 * tanh.scale < 12.0
    uniform = quantization._chosen(np.linspace(0, 5, 999), lambda x: x)
    assert uniform == quantization._grid(0.0, 5.0)


@pytest.mark.parametrize("activation", [a for a, traits in ACTIVATIONS.items() if traits.hidden])
def test_each_activation_has_a_table(activation) -> None:
    net = MLP((5, 16, 3), activation=activation, seed=SEED)
    x = normal(300, 5)
    made = quantized(chain_of(net), x)
    assert (made.layers[0].table is None) == (activation in ("identity", "relu"))
    q = quantization.numbers_of(x, made.inputs)
    got = made.net_inputs(q) * made.output_scale
    want = net.predict(x)
    worst = 0.1 if activation == "step" else 0.02  # a step jumps where its input is rounded
    assert np.sqrt(np.square(got - want).mean()) < worst * np.abs(want).max()


def test_graphs_have_tables() -> None:
    z = graph.variable("z")
    net = MLP((4, 8, 2), activation=graph.sin(2 * z), seed=SEED)
    x = normal(300, 4)
    made = quantized(chain_of(net), x)
    got = made.net_inputs(quantization.numbers_of(x, made.inputs)) * made.output_scale
    assert np.abs(got - net.predict(x)).max() < 0.08 * np.abs(net.predict(x)).max()


def test_activations_are_those_of_fastbp() -> None:
    z = normal(20, 4)
    np.testing.assert_allclose(activated("tanh", z), np.tanh(z), rtol=1e-14)
    softmax = activated("softmax", z)
    np.testing.assert_allclose(softmax.sum(axis=1), 1.0)
    assert activated("identity", z) is z
    assert activated("relu", z.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        ([[1e-9], [1e-9]], [1e6]),  # the bias would not fit beside so small a scale
        ([[0.0], [0.0]], [5.0]),
        ([[0.0], [0.0]], [0.0]),
        ([[1e9], [-1e9]], [-1e-9]),
        ([[1e-30], [1e-35]], None),
    ],
)
def test_sums_fit_whatever_the_weights_are(weight, bias) -> None:
    x = normal(100, 2)
    net = chain(weight, bias)
    made = quantized(net, x)
    only = made.layers[0]
    most = np.abs(only.biases.astype(np.int64)) + 128 * np.abs(only.weights.astype(np.int64)).sum(1)
    assert most.max() < 2**31
    got = made.net_inputs(quantization.numbers_of(x, made.inputs)) * made.output_scale
    want = x @ np.asarray(weight) + (0.0 if bias is None else bias)
    assert np.abs(got - want).max() <= 0.02 * np.abs(want).max()


def test_too_many_inputs_are_refused() -> None:
    n = 140_000
    with pytest.raises(ValueError, match="sums of layer 0 must fit into 32 bits"):
        quantized(chain(np.ones((n, 1), np.float32)), np.ones((2, n)))


def test_inputs_of_one_value() -> None:
    made = quantized(chain([[2.0], [3.0]], [1.0]), np.zeros((4, 2)))
    assert made.inputs == Grid(1.0, 0)
    got = made.net_inputs(np.zeros((1, 2), np.int8)) * made.output_scale
    assert got[0, 0] == pytest.approx(1.0, abs=3.0 / 127.0 / 2.0)


def test_dead_units_stay_dead() -> None:
    layers = (
        Layer(np.ones((2, 3), np.float32), np.full(3, -50.0, np.float32), "relu"),
        Layer(np.ones((3, 1), np.float32), np.array([0.5], np.float32), "identity"),
    )
    inputs = normal(50, 2)
    made = quantized(chain_of(MLP((2, 1)))._replace(layers=layers), inputs)
    numbers = quantization.numbers_of(inputs, made.inputs)
    assert np.abs(made.net_inputs(numbers) * made.output_scale - 0.5).max() < 0.6 / 127.0


def test_the_error_of_huge_outputs_is_a_number() -> None:
    wanted = np.array([[1e300], [-2e300]])
    error = quantization.error_of(wanted * 1.5, wanted, None)
    assert error.largest == pytest.approx(0.5)
    assert error.rms == pytest.approx(np.sqrt((0.25**2 + 0.5**2) / 2.0))


def test_outputs_beyond_float_are_refused(tmp_path) -> None:
    net = MLP((2, 1), dtype="float64", seed=SEED)
    with pytest.raises(ValueError, match="net inputs of the last layer must be within half of fl"):
        to_c(net, tmp_path / "new", dtype="int8", calibration=normal(5, 2) * 1e38)
    options = {"calibration": normal(5, 2), "output_scaler": (3e38, 1e38)}
    with pytest.raises(ValueError, match="outputs for the calibration rows must be within float32"):
        to_c(net, tmp_path / "new", dtype="int8", **options)
    assert not (tmp_path / "new").exists()
