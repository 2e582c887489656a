"""The parts of a workspace: for random nets that nothing overlaps; and the method of a gradient."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbp.kernels import workspace
from fastbp.kernels.layout import (
    ACTIVATION,
    DELTA,
    GRADIENT,
    GRADIENT_FROM,
    N_IN,
    N_OUT,
    OUTPUT,
    SLOPE,
    table_of_layers,
)
from fastbp.kernels.workspace import (
    BLOCK,
    BY_INPUTS,
    BY_OUTPUTS,
    BY_TILES,
    CAPACITY,
    DATA_ROWS,
    FEATURE_ROWS,
    INPUT_DROPOUT,
    INPUT_GROUP,
    INPUT_PANELS,
    INPUT_STRIDE,
    INPUTS,
    ONES,
    PACKED,
    PANELS,
    STRIDE,
    TARGETS,
    gradient_path,
    round_up,
    workspace_for,
)
from fastbp.machine.processor import TILE_ROWS, TILE_VECTORS

SIZES = st.lists(st.integers(1, 40), min_size=2, max_size=6).map(tuple)
DTYPES = st.sampled_from(["float32", "float64"])


def net(sizes: tuple[int, ...]) -> tuple[np.ndarray, int]:
    return table_of_layers(sizes, [1] * (len(sizes) - 1), bias=True)


def parts(
    table: np.ndarray, places: np.ndarray, dtype: str, training: bool
) -> dict[str, tuple[int, int]]:
    """Start and size of what the kernels put into a workspace, by name."""
    stride, capacity = int(places[STRIDE]), int(places[CAPACITY])
    n_in, widest_in = int(table[0, N_IN]), int(table[:, N_IN].max())
    widest_out = int(table[:, N_OUT].max())
    columns = TILE_VECTORS * workspace.LANES_BYTES // np.dtype(dtype).itemsize
    found = {"inputs": (places[INPUTS], n_in * places[INPUT_STRIDE])}
    in_panels = widest_in
    if places[INPUT_PANELS] >= 0:
        found["input panels"] = (places[INPUT_PANELS], capacity * round_up(n_in, columns))
        in_panels = int(table[1:, N_IN].max(initial=0))
    for i, layer in enumerate(table):
        found[f"output {i}"] = (layer[OUTPUT], layer[N_OUT] * stride)
    if training:
        for i, layer in enumerate(table):
            found[f"delta {i}"] = (layer[DELTA], layer[N_OUT] * stride)
            if layer[SLOPE] >= 0:
                found[f"slope {i}"] = (layer[SLOPE], layer[N_OUT] * stride)
        found["panels"] = (places[PANELS], capacity * round_up(in_panels, columns))
        found["packed"] = (places[PACKED], TILE_ROWS * widest_out)
        rows = max(TILE_ROWS, workspace.LANES_BYTES // np.dtype(dtype).itemsize)
        block = (workspace.SINGLE_BLOCK if capacity == 1 else rows * widest_in) + widest_in
        found["block"] = (places[BLOCK], block + widest_out)
        found["ones"] = (places[ONES], capacity)
    return {name: (int(start), int(size)) for name, (start, size) in found.items()}


def overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[0] + b[1] and b[0] < a[0] + a[1]


@given(sizes=SIZES, capacity=st.integers(1, 300), dtype=DTYPES, training=st.booleans())
def test_parts_of_a_workspace_are_apart(
    sizes: tuple[int, ...], capacity: int, dtype: str, training: bool
) -> None:
    slopes = range(len(sizes) % 2, len(sizes) - 1, 2)
    table, work = workspace_for(net(sizes)[0], capacity, dtype, training, slopes)
    found = parts(table, work.places, dtype, training)
    assert sum("slope" in name for name in found) == (len(slopes) if training else 0)
    for name, (start, size) in found.items():
        assert 0 <= start <= start + size <= work.numbers.size, name
    for a, b in itertools.combinations(found, 2):
        both_deltas = a.startswith("delta") and b.startswith("delta")
        # Hidden deltas two layers apart take turns; the last one is the targets' place.
        if both_deltas and str(len(table) - 1) not in b and (int(b[6:]) - int(a[6:])) % 2 == 0:
            assert found[a][0] == found[b][0]
            continue
        assert not overlap(found[a], found[b]), (a, b)
    if training:
        assert work.places[TARGETS] == table[-1, DELTA]
        ones = work.numbers[work.places[ONES] :][:capacity]
        assert np.all(ones == 1.0)
        assert np.count_nonzero(work.numbers) == capacity


@given(sizes=SIZES, capacity=st.integers(1, 600), dtype=DTYPES, training=st.booleans())
def test_rows_start_at_whole_vectors(
    sizes: tuple[int, ...], capacity: int, dtype: str, training: bool
) -> None:
    table, work = workspace_for(net(sizes)[0], capacity, dtype, training)
    lanes, stride = workspace.LANES_BYTES // np.dtype(dtype).itemsize, int(work.places[STRIDE])
    assert work.numbers.dtype == dtype
    assert work.numbers.ctypes.data % 64 == 0
    assert work.places[CAPACITY] == capacity
    if capacity == 1:
        assert stride == 1  # the features of a single sample follow each other
    else:
        assert stride % lanes == 0
        assert capacity <= stride < capacity + 2 * lanes
        assert stride * work.numbers.itemsize % 512 != 0  # rows fall into different cache sets
    for start, _ in parts(table, work.places, dtype, training).values():
        assert start % lanes == 0


def test_inputs_are_laid_out_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "SECOND_CACHE_BYTES", 1 << 20)
    table, _ = net((300, 20, 3))
    columns = TILE_VECTORS * workspace.LANES_BYTES // 4
    group = (1 << 16) // (300 * 4) // columns * columns
    for training in (False, True):
        places = workspace_for(table, 100, "float32", training)[1].places
        assert places[INPUT_GROUP] == group
        assert places[INPUT_STRIDE] >= group
        assert (places[INPUT_PANELS] >= 0) == training
    # Whole, because the gradient of the first layer, or dropout, works on all of them.
    for path, dropout in ((BY_OUTPUTS, 0), (BY_INPUTS, 0), (BY_TILES, 1)):
        monkeypatch.setattr(workspace, "gradient_path", lambda *sizes, path=path: (path, 0))
        places = workspace_for(table, 100, "float32", True, input_dropout=dropout)[1].places
        assert places[[INPUT_GROUP, INPUT_STRIDE, INPUT_PANELS]].tolist() == [
            100, places[STRIDE], -1
        ]  # fmt: skip
        assert places[INPUT_DROPOUT] == dropout


# Measured: inputs, outputs, batch, numbers in a vector. Far from where the ways meet.
PATHS = {
    BY_TILES: [(100, 100, 200, 16), (128, 10, 32, 16), (16, 16, 32, 16), (64, 64, 32, 8),
               (30, 100, 200, 8)],
    BY_OUTPUTS: [(100, 1, 200, 8), (128, 10, 128, 16), (100, 10, 200, 8), (64, 3, 64, 16)],
    BY_INPUTS: [(1, 100, 200, 16), (2, 64, 128, 8), (3, 64, 128, 16)],
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "sizes"), [(path, sizes) for path, several in PATHS.items() for sizes in several]
)
def test_the_soonest_way_to_a_gradient(path: int, sizes: tuple[int, int, int, int]) -> None:
    n_in, n_out, batch, lanes = sizes
    way, rows = gradient_path(n_in, n_out, lanes, False)
    assert (way if batch >= rows else BY_TILES) == path
    dtype = f"float{workspace.VECTOR_BITS // lanes}"
    if dtype in ("float32", "float64"):
        table, _ = workspace_for(net((5, n_in, n_out))[0], batch, dtype, True)
        assert table[-1, [GRADIENT, GRADIENT_FROM]].tolist() == [way, rows]


def test_the_way_to_the_first_gradient_knows_nothing_of_the_batch() -> None:
    """The inputs are laid out for it, also for the last batch of an epoch, which is shorter."""
    assert gradient_path(300, 8, 16, True) == (BY_OUTPUTS, 0)
    assert gradient_path(4, 20, 16, True) == (BY_INPUTS, 0)
    assert gradient_path(5, 9, 16, True) == (BY_TILES, 0)


def test_slopes_where_they_are_asked_for() -> None:
    table, _ = net((5, 9, 3, 2))
    assert table[:, SLOPE].tolist() == [-1, -1, -1]
    assert workspace_for(table, 20, "float32", False, [1])[0][:, SLOPE].tolist() == [-1, -1, -1]
    filled, with_one = workspace_for(table, 20, "float32", True, [1])
    assert [at >= 0 for at in filled[:, SLOPE]] == [False, True, False]
    _, without = workspace_for(table, 20, "float32", True)
    stride = int(without.places[STRIDE])
    assert with_one.numbers.size - without.numbers.size == 3 * stride


@pytest.mark.parametrize("training", [False, True])
def test_tables_of_rows(training: bool) -> None:
    table, work = workspace_for(net((5, 9, 3))[0], 20, "float32", training)
    stride, features = int(work.places[STRIDE]), int(work.places[FEATURE_ROWS])
    rows = work.offsets[features : features + 9]  # as many as the widest matrix has
    assert rows.tolist() == [i * stride for i in range(9)]
    assert work.places[DATA_ROWS] >= features + 9
    assert work.offsets.size >= work.places[DATA_ROWS] + 20  # a row of the data for each of a pass


def test_the_given_table_is_left_alone() -> None:
    table, _ = net((5, 9, 3))
    before = table.copy()
    filled, _ = workspace_for(table, 20, "float32", True)
    assert np.array_equal(table, before)
    assert np.array_equal(filled[:, : ACTIVATION + 1], before[:, : ACTIVATION + 1])


def test_prediction_takes_no_room_for_training() -> None:
    table, _ = net((5, 9, 3))
    sizes = [workspace_for(table, 64, "float32", training)[1].numbers.size for training in (0, 1)]
    stride = int(workspace_for(table, 64, "float32", False)[1].places[STRIDE])
    assert sizes[0] == (5 + 9 + 3) * stride < sizes[1]


@pytest.mark.parametrize(
    ("number", "multiple", "up"), [(0, 8, 0), (1, 8, 8), (8, 8, 8), (9, 8, 16)]
)
def test_round_up(number: int, multiple: int, up: int) -> None:
    assert round_up(number, multiple) == up
