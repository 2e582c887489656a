"""The model of a step on many cores: its fit, and where it says that cores stop paying."""

from __future__ import annotations

import math

import pytest

import scaling
from scaling import Network, Work

WORK, FAST = Work(5e-4, 6e-6), Network(2e-6, 12.5e9)
SIZE = 603_000


def test_the_fit_finds_the_constants() -> None:
    times = {rows: WORK.fixed + WORK.row * rows for rows in scaling.ROWS}
    assert scaling.work_of(times) == pytest.approx(WORK)
    times = {size: scaling.allreduce(FAST, size, 2) for size in scaling.BYTES}
    assert scaling.network_of(times) == pytest.approx(FAST)
    assert scaling.fitted([1, 2, 4], [1e-9, 2.1e-3, 4.3e-3])[0] >= 0


def test_a_step_by_hand() -> None:
    own = 5e-4 + 6e-6 * 8192 / 8
    messages = 2 * 3 * 2e-6 + 2 * 7 / 8 * 603_000 / 12.5e9
    assert scaling.step(WORK, FAST, SIZE, 8192, 8) == pytest.approx(own + messages)
    assert scaling.speedup(WORK, FAST, SIZE, 8192, 1) == 1
    assert scaling.parameters((64, 256, 256, 256, 10)) == 4 * 150_794


def test_cores_pay_until_half_of_each_is_lost() -> None:
    for batch in scaling.BATCHES:
        ranks = scaling.most_that_pay(WORK, FAST, SIZE, batch)
        assert math.log2(ranks) % 1 == 0
        assert scaling.speedup(WORK, FAST, SIZE, batch, ranks) >= ranks / 2
        assert scaling.speedup(WORK, FAST, SIZE, batch, 2 * ranks) < ranks
    free = Network(0.0, math.inf)
    assert scaling.most_that_pay(Work(0.0, 1e-6), free, SIZE, 64) == 64  # a row for each


def test_the_table_has_a_row_for_each_net_batch_and_network() -> None:
    lines = scaling.table({"deep": WORK}, {"deep": SIZE}, scaling.ASSUMED, (1024, 8192))
    assert len(lines) == 2 + 2 * len(scaling.ASSUMED)
    assert lines[2].startswith("| deep, 1,024 | 6.64 ms | 100 Gb/s")
