"""Fresh processes: a child fits, reports its loss, and says why it cannot; scripts alone."""

from __future__ import annotations

import os

import pytest
from made_up import startup as made_up

from compare import peers, startup
from compare.peer_base import CannotRunError
from compare.peer_numpy import NumPy
from compare.startup import fresh_run
from compare.timing import DisagreementError

pytestmark = pytest.mark.slow


def test_a_child_is_measured() -> None:
    found = startup.run("numpy", os.environ)
    assert found.seconds > 0
    assert 10 < found.memory < 1000
    assert 4 < found.loss < 5


def test_children_of_two_libraries_end_at_one_loss(capsys) -> None:
    losses = []
    for name in ("numpy", "sklearn"):
        assert startup.child(name) == 0
        losses.append(float(capsys.readouterr().out))
    assert losses[0] == pytest.approx(losses[1], rel=startup.LOSS_TOLERANCE)


def test_a_library_that_cannot_run_says_why(monkeypatch, capsys) -> None:
    class Unable(NumPy):
        def epoch(self, shuffle: bool = True) -> None:
            raise CannotRunError("no g++")

    monkeypatch.setitem(peers.PEERS, "numpy", Unable)
    assert startup.child("numpy") == startup.CANNOT_RUN
    assert capsys.readouterr().out == "no g++\n"


def test_measure_takes_turns_and_keeps_the_best(monkeypatch, capsys) -> None:
    calls = []

    def run(name, environment):
        calls.append(name)
        assert environment["FASTBP_CACHE_DIR"] != environment["TORCHINDUCTOR_CACHE_DIR"]
        if name == "torch_compile":
            raise startup.ChildError("no g++")
        return startup.Run(10.0 - len(calls), 100.0 + len(calls), 1.5)

    monkeypatch.setattr(startup, "run", run)
    found = startup.measure(["fastbp", "torch_compile", "jax"], rounds=2)
    assert calls == ["numpy", "fastbp", "fastbp", "torch_compile", "jax"] + ["fastbp", "jax"] * 2
    assert found.cold == {"fastbp": startup.Run(8.0, 102.0, 1.5)}
    assert found.warm["fastbp"] == startup.Run(2.0, 106.0, 1.5)
    assert found.failures == {"torch_compile": "no g++"}
    assert "torch_compile fails: no g++" in capsys.readouterr().err


def test_other_losses_are_named() -> None:
    found = made_up()
    startup.check_same_loss(found)
    found.warm["sklearn"] = found.warm["sklearn"]._replace(loss=float("nan"))
    with pytest.raises(DisagreementError, match="(?s)not do the same work.*sklearn: loss nan"):
        startup.check_same_loss(found)


def test_memory_is_that_of_the_script_alone() -> None:
    """The parent holds 64 MiB that the child has never had."""
    block = b"x" * (64 << 20)
    small = fresh_run("", os.environ)
    large = fresh_run("block = b'x' * (64 << 20)", os.environ)
    assert len(block) == 64 << 20
    assert 2 < small.memory < 40
    assert 50 < large.memory - small.memory < 70  # a few of them the small interpreter has had
    assert small.seconds > 0


def test_a_script_that_fails_is_told(capfd) -> None:
    with pytest.raises(RuntimeError, match="status 4"):
        fresh_run("raise SystemExit(4)", os.environ)
    with pytest.raises(startup.ChildError, match="no g"):
        fresh_run(f"print('no g++'); raise SystemExit({startup.CANNOT_RUN})", os.environ)
    environment = {**os.environ, "FASTBP_TEST_NAME": "value"}
    fresh_run("import os; assert os.environ['FASTBP_TEST_NAME'] == 'value'", environment)
    with pytest.raises(RuntimeError, match="status 1"):
        startup.run("theano", os.environ)
    assert "KeyError: 'theano'" in capfd.readouterr().err
