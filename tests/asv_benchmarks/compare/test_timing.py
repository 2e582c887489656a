"""Timing: different work is refused, and figures are put together as said. Nothing is timed."""

from __future__ import annotations

import pytest
from made_up import SMALL, HalfRate, OtherOutputs

from compare import timing
from compare.peer_numpy import NumPy
from compare.peers import FastBP, ScikitLearn
from compare.timing import DisagreementError, check_same_outputs, check_same_work


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_work_passes(dtype) -> None:
    peers = {peer.name: peer(SMALL, dtype) for peer in (FastBP, ScikitLearn, NumPy)}
    check_same_outputs(peers, peers["fastbp"].X)
    check_same_work(peers)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_updates_are_refused_with_the_losses(dtype) -> None:
    peers = {"fastbp": FastBP(SMALL, dtype), "half": HalfRate(SMALL, dtype)}
    with pytest.raises(DisagreementError) as caught:
        check_same_work(peers)
    message = str(caught.value)
    assert message.startswith(f"small, {dtype}: the libraries did not do the same work\n")
    for name, peer in peers.items():
        assert f"  {name}: loss {peer.loss():.12g}, parameters " in message
    assert "half's loss may differ by" in message
    assert "fastbp's loss may" not in message


def test_float64_is_held_to_more_than_float32() -> None:
    """What float32's rounding may explain is refused where there is no such rounding."""

    class Near(NumPy):
        def adam(self) -> None:
            super().adam()
            self.flat *= 1 + 1e-7

    check_same_work({"fastbp": FastBP(SMALL), "near": Near(SMALL)})
    with pytest.raises(DisagreementError):
        check_same_work({"fastbp": FastBP(SMALL, "float64"), "near": Near(SMALL, "float64")})


def test_nan_is_refused() -> None:
    class Lost(NumPy):
        def loss(self) -> float:
            return float("nan")

    with pytest.raises(DisagreementError, match="lost: loss nan"):
        check_same_work({"fastbp": FastBP(SMALL), "lost": Lost(SMALL)})


def test_other_outputs_are_refused() -> None:
    peers = {"fastbp": FastBP(SMALL), "other": OtherOutputs(SMALL)}
    with pytest.raises(DisagreementError, match="predict different outputs"):
        check_same_outputs(peers, peers["fastbp"].X)


def test_outputs_of_another_shape_are_refused() -> None:
    class Flat(NumPy):
        def predict(self, X):
            return super().predict(X).ravel()

    peers = {"fastbp": FastBP(SMALL), "flat": Flat(SMALL)}
    with pytest.raises(DisagreementError, match=r"flat: \(48,\), apart inf"):
        check_same_outputs(peers, peers["fastbp"].X)


def test_rounds_take_turns_and_count_repetitions(monkeypatch) -> None:
    """The clock advances by the time of an action at each repetition."""
    now = 0.0

    def pass_time(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(timing, "perf_counter", lambda: now)
    turns = []
    actions = {
        name: timing.repeated(pass_time, t) for name, t in {"short": 1e-3, "long": 2}.items()
    }
    found = timing.rounds_of_calls(actions, rounds=3, seconds=0.1, before=turns.append)
    assert found["short"] == pytest.approx([1e-3] * 3)
    assert found["long"] == pytest.approx([2.0] * 3)
    assert turns[-6:] == ["short", "long"] * 3


def test_median_ratio() -> None:
    found = {"a": [2.0, 9.0, 8.0], "b": [1.0, 3.0, 1.0]}
    assert timing.median_ratio(found, "a", "b") == 3.0
