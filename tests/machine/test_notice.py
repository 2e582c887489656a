"""What is said while something compiles, to whom, and how often."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
import types

import pytest
from helpers import needs_compiler

from fastbp.machine import cache, notice


class Stream(io.StringIO):
    """A terminal, or not."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def said(monkeypatch) -> io.StringIO:
    """Standard error, of a process that has said nothing yet."""
    stream = Stream(terminal=False)
    monkeypatch.setattr(notice, "sys", types.SimpleNamespace(stderr=stream))
    monkeypatch.setattr(notice, "_said", set())
    monkeypatch.setattr(cache, "keeps", lambda: True)
    monkeypatch.delenv("FASTBP_QUIET", raising=False)
    return stream


class Function:
    """A dispatcher that was missing in the cache so many times."""

    __name__ = "train"

    def __init__(self) -> None:
        self.missed = 0

    @property
    def stats(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(cache_misses={"signature": self.missed})


@pytest.fixture
def clock(monkeypatch) -> types.SimpleNamespace:
    """The clock of the notices, which a test moves on."""
    clock = types.SimpleNamespace(now=50.0)
    clock.perf_counter = lambda: clock.now
    monkeypatch.setattr(notice, "time", clock)
    return clock


LINE = "fastbp: compiling for float32 (train), once per processor, about 10 s\n"


def test_one_line_after_half_a_second(said, clock) -> None:
    function = Function()
    one = notice.Notice(function, "f")
    function.missed = 1
    for now, expected in ((50.4, ""), (50.6, LINE), (57.0, LINE)):
        clock.now = now
        one.look()
        assert said.getvalue() == expected


def test_loading_from_the_cache_says_nothing(said, clock) -> None:
    function = Function()
    function.missed = 3  # for other signatures, before
    one = notice.Notice(function, "f")
    clock.now = 70.0
    one.look()
    assert said.getvalue() == ""
    function.missed = 4  # what was loaded was damaged
    one.look()
    assert said.getvalue() == LINE


def test_each_function_and_dtype_has_one_line(said) -> None:
    threads = [
        threading.Thread(target=notice.say, args=(name, kind))
        for name in ("train", "predict") for kind in ("f", "d", "f")
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = said.getvalue().splitlines()
    assert len(lines) == len(set(lines)) == 4
    notice.say("value", "")
    assert said.getvalue().splitlines()[-1].startswith("fastbp: compiling (value), once")


def test_where_nothing_is_kept_it_is_not_said_to_be_once(said, monkeypatch) -> None:
    monkeypatch.setattr(cache, "keeps", lambda: False)
    notice.say("train", "d")
    expected = "fastbp: compiling for float64 (train), in each process, as nothing is cached"
    assert said.getvalue().startswith(expected)


@pytest.mark.parametrize(("value", "lines"), [("1", 0), ("yes", 0), ("0", 1), ("", 1)])
def test_an_environment_variable_silences_it(value, lines, said, monkeypatch) -> None:
    monkeypatch.setenv("FASTBP_QUIET", value)
    notice.say("train", "f")
    assert said.getvalue() == lines * LINE


def test_what_tells_it_otherwise_silences_it(said) -> None:
    with notice.silent():
        notice.say("train", "f")
    notice.say("train", "f")
    assert said.getvalue() == "", "it was told already"
    notice.say("train", "d")
    assert said.getvalue().count("\n") == 1


def test_a_forked_worker_says_nothing(said, monkeypatch) -> None:
    monkeypatch.setattr(notice, "_importer", os.getpid() + 1)
    notice.say("train", "f")
    assert said.getvalue() == ""


def test_a_line_begins_a_row_of_a_terminal(monkeypatch, said) -> None:
    stream = Stream(terminal=True)
    monkeypatch.setattr(notice, "sys", types.SimpleNamespace(stderr=stream))
    notice.say("train", "f")
    assert re.fullmatch(rf"\r{re.escape(LINE.strip())} *\n", stream.getvalue())


@pytest.mark.parametrize("stream", [None, "closed"])
def test_no_standard_error_is_no_error(stream, said, monkeypatch) -> None:
    if stream == "closed":
        said.close()
    monkeypatch.setattr(notice, "sys", types.SimpleNamespace(stderr=said if stream else None))
    notice.say("train", "f")


PROGRAM = """
import threading
import numpy as np
from fastbp import MLP
X = np.zeros((8, 2), "f4")
fits = [threading.Thread(target=lambda: MLP((2, 3, 1), seed=0).fit(X, X[:, :1])) for _ in range(3)]
[fit.start() for fit in fits]
[fit.join() for fit in fits]
h = MLP((2, 3, 1), seed=0).fit(X, X[:, :1])
print(len(h))
"""


@pytest.mark.slow
@needs_compiler
def test_a_first_fit_says_so_once_and_the_next_process_nothing(tmp_path) -> None:
    environment = os.environ | {"FASTBP_CACHE_DIR": str(tmp_path), "FASTBP_QUIET": ""}
    errors = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert done.stdout == "10\n"
        errors.append(done.stderr)
    assert errors == [LINE.replace("train", "train_and_predict"), ""]
