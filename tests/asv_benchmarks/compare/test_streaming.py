"""The rows of a loop of one's own: the work is checked first, then every library is a ratio."""

from __future__ import annotations

import numpy as np
import pytest

from compare import streaming
from compare.peers import FastBP
from compare.streaming import StreamFastBP, StreamScikitLearn, streaming_rows
from compare.timing import DisagreementError, check_same_work
from workloads import Workload

SMALL = Workload("small", (3, 4, 2), 60, 8)


def test_steps_do_the_work_of_fit() -> None:
    check_same_work({"fit": FastBP(SMALL), "step": StreamFastBP(SMALL)})
    one, other = FastBP(SMALL), StreamFastBP(SMALL)
    one.train(2, shuffle=False)
    other.train(2, shuffle=False)
    for got, expected in zip(other.parameters(), one.parameters(), strict=True):
        assert np.array_equal(got, expected)


def test_so_does_scikit_learns_partial_fit() -> None:
    check_same_work({"fastbp": StreamFastBP(SMALL), "sklearn": StreamScikitLearn(SMALL)})


def test_rows_from_made_up_times(monkeypatch) -> None:
    def rounds_of_steps(peers, *, rounds, seconds):
        assert list(peers) == ["fastbp", "sklearn"]
        return {"fastbp": [3e-6, 2e-6], "sklearn": [6e-4, 4e-4]}

    monkeypatch.setattr(streaming, "STREAMS", {"small": 1.5, "other": None})
    monkeypatch.setattr(streaming, "WORKLOADS", {"small": SMALL, "other": SMALL})
    monkeypatch.setattr(streaming, "rounds_of_steps", rounds_of_steps)
    rows = streaming_rows(["sklearn"], rounds=2, seconds=0.0)
    assert rows[0] == (
        "small 3-4-2, 8: a step in a loop of one's own", "2 µs; 200x scikit-learn", "<= 1.5 µs",
        False,
    )  # fmt: skip
    assert rows[1][2:] == ("-", True)


def test_other_work_is_not_timed(monkeypatch) -> None:
    monkeypatch.setattr(streaming, "STREAMS", {"small": None})
    monkeypatch.setattr(streaming, "WORKLOADS", {"small": SMALL})
    monkeypatch.setattr(StreamScikitLearn, "step", lambda self, rows: None)
    with pytest.raises(DisagreementError, match="did not do the same work"):
        streaming_rows(["sklearn"], rounds=1, seconds=0.0)
