"""Places of the nodes in a drawing."""

from __future__ import annotations

import numpy as np
import pytest
from graph.random_graphs import OURS, run, steps_of

from fastbp.graph import variables, vector
from fastbp.graph.placement import depths, layout_of

x, y, z = variables("x y z")


def test_arguments_stand_before():
    flat = ((x + y) * z).flat()
    assert depths(flat) == [0, 0, 1, 1, 2]  # x, y, x + y, z, output
    positions, edges = layout_of(flat)
    assert {(a, b) for a, b, _ in edges} == {(0, 2), (1, 2), (2, 4), (3, 4)}
    assert all(positions[a][0] < positions[b][0] for a, b, _ in edges)
    assert all(bends == [] for *_, bends in edges)


@pytest.mark.parametrize("seed", range(5))
def test_no_two_at_one_position(seed):
    rng = np.random.default_rng(seed)
    flat = run(steps_of(rng, 3, 12), vector("w", 3), OURS).flat()
    positions, edges = layout_of(flat)
    points = [*positions.values(), *(bend for *_, bends in edges for bend in bends)]
    assert len(positions) == len(flat)
    for i, (a, b) in enumerate(points):
        for c, d in points[i + 1 :]:
            assert a != c or abs(b - d) > 0.99
    for argument, node, bends in edges:
        columns = [positions[argument][0], *(bend[0] for bend in bends), positions[node][0]]
        assert columns == sorted(set(columns))


def test_one_node():
    assert layout_of((x).flat()).positions == {0: (0.0, 0.0)}
