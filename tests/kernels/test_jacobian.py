"""The Jacobian and J^T J by the kernels, against products of whole matrices."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import DTYPES, counts

from fastbp import MLP
from fastbp.fit import data as dataset
from fastbp.kernels.jacobian import N_BLOCK, PAIRS
from fastbp.kernels.layout import WEIGHTS
from fastbp.kernels.workspace import INPUT_GROUP
from fastbp.methods import jacobian
from fastbp.methods.jacobian import Jacobian

# Ragged sizes: below a vector, around a tile, several panels; inputs that come in groups.
SHAPES = [
    ((1, 1), 1), ((2, 3, 1), 2), ((3, 5, 2), 7), ((1, 12, 1), 129), ((4, 9, 3, 2), 300),
    ((150, 9, 2), 140),
]  # fmt: skip


def net_and_rows(sizes, rows, dtype, **options):
    rng = np.random.default_rng(rows)
    net = MLP(sizes, activation="tanh", dtype=dtype, seed=1, **options)
    net.params[:] += rng.normal(scale=0.1, size=net.n_params)
    return net, rng.normal(size=(rows, sizes[0])), rng


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("sizes", "rows", "paired"), [
    ((4, 8, 1), 5, [0]), ((4, 9, 8, 2), 131, [0, 1]), ((7, 4, 12), 40, [1]),
    ((9, 13, 5, 8), 129, [0, 2]), ((4, 8, 8, 8), 1, [0, 1, 2]),
])  # fmt: skip
def test_layers_by_pairs(sizes, rows, paired, bias, dtype) -> None:
    """Their blocks of H are those of J, with layers beside them that are frozen in part."""
    net, X, rng = net_and_rows(sizes, rows, dtype, bias=bias)
    weights = rng.uniform(0.1, 2, rows)
    for frozen in [None, *range(len(sizes) - 1)]:
        net.frozen[:] = False
        if frozen is not None:
            start = int(net.layer_table[frozen, WEIGHTS])
            net.frozen[start : start + 2] = True
        data, _ = dataset.rows_and_targets(X, np.zeros((rows, sizes[-1])), weights, net)
        of = Jacobian(net, data, rows, ~net.frozen)
        pairs = of._of_squares.blocks.reshape(-1, N_BLOCK)[:, PAIRS]
        assert np.flatnonzero(pairs).tolist() == [i for i in paired if i != frozen]
        J = net.jacobian(X)[:, :, ~net.frozen].astype(np.float64)
        J *= np.sqrt(weights / data.total)[:, np.newaxis, np.newaxis]
        J = J.reshape(-1, of.size)
        expected = J.T @ J
        for _ in range(2):  # the second time over what the first has left
            found = of.squares().astype(np.float64)
            error = np.abs(np.tril(found - expected))
            assert error.max() <= 50 * np.finfo(dtype).eps * np.abs(expected).max()


def test_large_inputs_have_no_pairs() -> None:
    """Products of two small deltas would be 0."""
    net, X, _ = net_and_rows((3, 8, 1), 20, "float32")
    X = X * 1e15
    net.weights[0][...] *= 1e-15
    net.weights[1][...] *= 1e-25
    of = Jacobian(net, jacobian.rows_of(net, X)[0], len(X))
    J = net.jacobian(X).astype(np.float64).reshape(len(X), -1)
    expected = np.tril(J.T @ J)[:24, :24]
    error = np.abs(np.tril(of.squares())[:24, :24] - expected)
    assert error.max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("sizes", "rows"), SHAPES)
def test_squares_are_products_of_the_jacobian(sizes, rows, dtype) -> None:
    """Weighted by output, with some parameters frozen; nothing beyond the matrix is touched."""
    net, X, rng = net_and_rows(sizes, rows, dtype)
    net.frozen[:] = rng.random(net.n_params) < 0.3
    net.frozen[0] = False
    weights = rng.uniform(0, 2, (rows, sizes[-1])) * (rng.random((rows, sizes[-1])) < 0.8)
    weights[0] = 1.0
    data, _ = dataset.rows_and_targets(X, np.zeros(weights.shape), weights, net)
    of = Jacobian(net, data, rows, ~net.frozen)
    of.squares()
    length = of._squares.shape[1]
    around = np.full((of.size + 2) * length, 7, dtype)
    of._squares = around[length:-length].reshape(of.size, length)
    found = of.squares()
    assert found.shape == (of.size, of.size)
    assert (around[:length] == 7).all() and (around[-length:] == 7).all()
    J = net.jacobian(X)[:, :, ~net.frozen].astype(np.float64)
    J *= np.sqrt(weights / data.total)[:, :, np.newaxis]
    J = J.reshape(-1, of.size)
    expected = J.T @ J
    error = np.abs(np.tril(found.astype(np.float64) - expected, 0)[np.tril_indices(of.size)])
    assert error.max() <= 50 * np.finfo(dtype).eps * np.abs(expected).max()


def test_inputs_come_in_groups_in_one_of_the_shapes() -> None:
    sizes, rows = SHAPES[-1]
    net, X, _ = net_and_rows(sizes, rows, "float64")
    of = Jacobian(net, jacobian.rows_of(net, X)[0], rows)
    assert of._table.work.places[INPUT_GROUP] < of._capacity


@pytest.mark.parametrize("rows_in_a_call", [128, 256])
def test_several_calls_are_one(rows_in_a_call) -> None:
    net, X, _ = net_and_rows((2, 4, 2), counts(600, 600, 300), "float64")
    data, rows = jacobian.rows_of(net, X)
    one, several = Jacobian(net, data, rows), Jacobian(net, data, rows)
    several._rows_in_a_call = rows_in_a_call
    assert np.array_equal(one.whole(), several.whole())
    found = [np.tril(of.squares()) for of in (one, several)]
    assert np.array_equal(*found)
    blocks = list(several.blocks())
    assert [first for first, _ in blocks] == list(range(0, rows, rows_in_a_call))
    assert np.array_equal(np.concatenate([block for _, block in blocks]), one.whole())
