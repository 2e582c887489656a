"""Offsets of the parameters, worked by hand, and their views."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fastbp.kernels.layout import (
    ACTIVATION,
    BIASES,
    N_IN,
    N_OUT,
    WEIGHTS,
    parameter_name,
    table_of_layers,
    weight_views,
)

SIZES = st.lists(st.integers(1, 40), min_size=2, max_size=6).map(tuple)


def net(sizes: tuple[int, ...], bias: bool = True) -> tuple[np.ndarray, int]:
    return table_of_layers(sizes, [1] * (len(sizes) - 1), bias)


def test_offsets_by_hand() -> None:
    table, n_params = table_of_layers((2, 3, 1), [3, 0], True)
    # 2 x 3 weights, 3 biases, 3 x 1 weights, 1 bias.
    assert n_params == 13
    columns = (N_IN, N_OUT, WEIGHTS, BIASES, ACTIVATION)
    assert table[:, columns].tolist() == [[2, 3, 0, 6, 3], [3, 1, 9, 12, 0]]


def test_offsets_without_biases() -> None:
    table, n_params = table_of_layers((2, 3, 1), [3, 0], False)
    assert n_params == 9
    assert table[:, WEIGHTS].tolist() == [0, 6]
    assert table[:, BIASES].tolist() == [-1, -1]
    params = np.arange(9.0)
    weights, biases = weight_views(params, table)
    assert biases == ()
    assert [w.shape for w in weights] == [(2, 3), (3, 1)]


def test_views_unit_by_unit() -> None:
    table, _ = net((2, 3, 1))
    weights, biases = weight_views(np.arange(13), table)
    assert weights[0].tolist() == [[0, 2, 4], [1, 3, 5]]  # 0, 1 enter unit 0; 2, 3 enter unit 1
    assert biases[0].tolist() == [6, 7, 8]
    assert weights[1].tolist() == [[9], [10], [11]]
    assert biases[1].tolist() == [12]


def test_views_are_live() -> None:
    table, n_params = net((4, 5, 2))
    params = np.zeros(n_params, np.float32)
    weights, biases = weight_views(params, table)
    weights[1][3, 1] = 7.0
    assert params.nonzero()[0].tolist() == [table[1, WEIGHTS] + 1 * 5 + 3]
    params[table[0, BIASES] + 2] = -1.0
    assert biases[0].tolist() == [0, 0, -1, 0, 0]
    assert all(np.shares_memory(view, params) for view in (*weights, *biases))


@given(sizes=SIZES, bias=st.booleans())
def test_views_cover_the_parameters_once(sizes: tuple[int, ...], bias: bool) -> None:
    table, n_params = net(sizes, bias)
    weights, biases = weight_views(np.arange(n_params), table)
    seen = np.concatenate([view.ravel() for view in (*weights, *biases)])
    assert sorted(seen.tolist()) == list(range(n_params))


@given(SIZES, st.booleans())
def test_names_are_those_of_the_views(sizes, bias) -> None:
    table, n_params = net(sizes, bias)
    params = np.arange(n_params)
    weights, biases = weight_views(params, table)
    for index in {0, n_params // 3, n_params // 2, n_params - 1}:
        name = parameter_name(index, table)
        assert eval(name, {"weights": weights, "biases": biases}) == index
