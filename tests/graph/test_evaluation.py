"""Points, blocks and errors below the methods of `Expression`."""

from __future__ import annotations

import numpy as np
import pytest

from fastbp.graph import evaluation, exp, variables, vector
from fastbp.graph.evaluation import GraphError, GraphInputs, gradient_of_inputs, point_of, values_of

x, y = variables("x y")


def test_points():
    flat = (x * y + vector("w", 2)[1]).flat()
    point = point_of(flat, {"x": 1, "y": np.float32(2), "w": [3, 4]})
    assert point.table.tolist() == [[1], [2], [3], [4]]
    assert not point.has_rows
    point = point_of(flat, {"x": [1, 5], "y": True, "w": [[3, 4], [6, 7]]})
    assert point.table.tolist() == [[1, 5], [1, 1], [3, 6], [4, 7]]
    assert point.has_rows
    assert point_of(flat, {}, missing=0.0).table.tolist() == [[0]] * 4


def test_a_number_for_a_vector_is_refused():
    """A kernel would read beyond the inputs."""
    flat = (x * vector("w", 2)[1]).flat()
    with pytest.raises(ValueError, match="w must be"):
        point_of(flat, {"x": 1.0, "w": 2.0})


@pytest.mark.parametrize("block", [1, 3, 10**6])
def test_blocks_change_nothing(block, monkeypatch):
    flat, rng = (exp(x) * y).flat(), np.random.default_rng(0)
    point = GraphInputs(rng.normal(size=(2, 50)), True)
    whole = gradient_of_inputs(flat, point), values_of(flat, point, flat.output)
    monkeypatch.setattr(evaluation, "FEWEST_ROWS", block)
    monkeypatch.setattr(evaluation, "MOST_ROWS", block)
    monkeypatch.setattr(evaluation, "BLOCK_VALUES", block * len(flat))
    parts = gradient_of_inputs(flat, point), values_of(flat, point, flat.output)
    np.testing.assert_allclose(parts[0][0], whole[0][0], rtol=1e-15)
    np.testing.assert_allclose(parts[0][1], whole[0][1], rtol=1e-15)
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-15)
    np.testing.assert_allclose(whole[0][1][1], np.exp(point.table[0]), rtol=1e-14)


def test_the_error_has_node_and_row():
    with pytest.raises(GraphError) as caught:
        (exp(x).named("q") * y).value(x=[0.0, 800.0], y=1)
    assert (caught.value.node, caught.value.row, caught.value.overflow) == ("q", 1, True)
    assert isinstance(caught.value, ValueError)
