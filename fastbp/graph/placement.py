"""Positions of the nodes of a graph in a drawing: in layers, from the variables to the output.

Sugiyama, Tagawa and Toda 1981, IEEE Transactions on Systems, Man and Cybernetics 11: layers, bends
where an edge crosses a layer, and the order within a layer by the means of the neighbours.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from fastbp.graph.flat import Flat

SWEEPS = 12

Item = tuple[int, ...]
"""A node (i,), or the bend (i, j, depth) of an edge."""


class Layout(NamedTuple):
    """Positions, in units of the distance between neighbours.

    Attributes
    ----------
    positions : dict of int to (float, float)
        Positions of the nodes.
    edges : list of (int, int, list of (float, float))
        Argument, node that takes it, and the bends in between.
    """

    positions: dict[int, tuple[float, float]]
    edges: list[tuple[int, int, list[tuple[float, float]]]]


def depths(flat: Flat) -> list[int]:
    """The layer of each node: after all its arguments, and just before its first use."""
    found = [0] * len(flat)
    for node, arguments in enumerate(flat.arguments):
        found[node] = max((found[a] + 1 for a in arguments), default=0)
    first_use = [found[-1] + 1] * len(flat)
    for node in range(len(flat) - 1, -1, -1):
        found[node] = first_use[node] - 1
        for argument in flat.arguments[node]:
            first_use[argument] = min(first_use[argument], found[node])
    return found


def layout_of(flat: Flat) -> Layout:
    """Positions of nodes and bends of edges."""
    depth = depths(flat)
    layers: dict[int, list[Item]] = defaultdict(list)
    before: dict[Item, list[Item]] = defaultdict(list)
    after: dict[Item, list[Item]] = defaultdict(list)
    for node in range(len(flat)):
        layers[depth[node]].append((node,))
    paths: list[list[Item]] = []
    for node, arguments in enumerate(flat.arguments):
        for argument in dict.fromkeys(arguments):
            bends = [(argument, node, d) for d in range(depth[argument] + 1, depth[node])]
            for bend in bends:
                layers[bend[2]].append(bend)
            paths.append([(argument,), *bends, (node,)])
    for path in paths:
        for left, right in zip(path, path[1:], strict=False):
            after[left].append(right)
            before[right].append(left)
    height = {item: float(i) for layer in layers.values() for i, item in enumerate(layer)}
    order = sorted(layers)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for d in order if forward else order[::-1]:
            _arrange(layers[d], before if forward else after, height, sweep < SWEEPS // 2)
    top = max(height.values())
    at = {item: (float(d), top - height[item]) for d in order for item in layers[d]}
    positions = {item[0]: position for item, position in at.items() if len(item) == 1}
    edges = [(path[0][0], path[-1][0], [at[bend] for bend in path[1:-1]]) for path in paths]
    return Layout(positions, edges)


def _arrange(
    layer: list[Item], neighbours: dict[Item, list[Item]], height: dict[Item, float], sort: bool
) -> None:
    """Move a layer towards the means of its neighbours, at least one unit apart."""
    wanted = {}
    for item in layer:
        near = [height[other] for other in neighbours[item]]
        wanted[item] = sum(near) / len(near) if near else height[item]
    if sort:
        layer.sort(key=lambda item: wanted[item])
    placed: list[float] = []
    for item in layer:
        placed.append(max(wanted[item], placed[-1] + 1.0) if placed else wanted[item])
    shift = sum(wanted[item] - y for item, y in zip(layer, placed, strict=True)) / len(layer)
    height.update((item, y + shift) for item, y in zip(layer, placed, strict=True))
