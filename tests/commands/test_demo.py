"""The demo: what it learns, what it counts, what it prints."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from helpers import needs_compiler

import fastbp
from fastbp.commands import demo
from fastbp.machine import jit

pytestmark = pytest.mark.slow

ROOT = Path(fastbp.__file__).parents[1]


@pytest.fixture(scope="module")
def output() -> str:
    """What the demo prints, in a process that compiles, also when this one does not."""
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    done = subprocess.run(
        [sys.executable, "-m", "fastbp", "demo"],
        env=kept | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "FASTBP_QUIET": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def row(output: str, name: str) -> list[float]:
    """The numbers of a row of the table: fastbp's, scikit-learn's and perhaps their ratio."""
    line = re.search(rf"^{name}  +(.*)$", output, re.MULTILINE)[1]
    return [float(number) for number in re.findall(r"[\d.]+", line)]


def test_both_learn_the_digits(output: str) -> None:
    accuracies = row(output, "held-out accuracy")
    assert len(accuracies) == 2
    assert all(97 <= accuracy <= 100 for accuracy in accuracies)


def test_both_do_the_same_work(output: str) -> None:
    assert row(output, "updates") == [2250, 2250]  # 50 epochs of 45 batches
    assert "epoch 50/50" in output.split("MLPClassifier  ")[1]


def test_figures_fit_together(output: str) -> None:
    ours, theirs, ratio = row(output, "training")
    assert ratio == pytest.approx(theirs / ours, rel=0.05)
    flops = demo.useful_flops(demo.LAYER_SIZES, 1437 * 50)
    rates = row(output, "useful GFLOP/s")
    assert rates == pytest.approx([flops / 1e9 / ours, flops / 1e9 / theirs], rel=0.05)
    assert row(output, "an update") == pytest.approx([ours / 2250e-6, theirs / 2250e-6], rel=0.05)
    peak = float(re.search(r"FMA peak: ([\d.]+) GFLOP/s, measured in this process", output)[1])
    shares = row(output, "share of the FMA peak")
    assert all(0 < share < 120 for share in shares)
    assert shares == pytest.approx([100 * rate / peak for rate in rates], rel=0.05, abs=0.1)


def test_compiling_is_told_apart_and_loading_is_not_hidden(output: str) -> None:
    total, theirs, ratio = row(output, "from now on, with loading")
    ours = row(output, "training")[0]
    assert theirs == row(output, "training")[1]
    assert ratio == pytest.approx(theirs / total, rel=0.02, abs=0.06)
    loading = float(re.search(r"new process loads that code in ([\d.]+) s", output)[1])
    assert total == pytest.approx(ours + loading, abs=0.01)
    compiling = re.search(r"fastbp +compiling took ([\d.]+) s", output)
    if compiling is None:
        first = re.search(r"fastbp +loading compiled code took ([\d.]+) s", output)
        assert loading == float(first[1])
        assert "compiling, once" not in output
    else:
        assert row(output, "compiling, once") == [pytest.approx(float(compiling[1]), abs=0.01)]
        assert loading < float(compiling[1])
    assert output.splitlines()[-1].endswith(f"and with that it is {ratio:.1f} times as fast.")


@needs_compiler
def test_nothing_is_compiled_or_loaded_in_what_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = demo.load_digits()
    demo.prepare(digits)
    monkeypatch.setattr(jit, "_compile_in_thread", None)
    demo.train_fastbp(digits, 2, demo.Progress(io.StringIO()))


def test_progress_in_plain_lines(output: str) -> None:
    assert "\r" not in output
    epochs = re.findall(r"^fastbp +epoch +(\d+)/50  loss ([\d.]+)", output, re.MULTILINE)
    assert [int(epoch) for epoch, _ in epochs] == list(range(5, 51, 5))
    losses = [float(loss) for _, loss in epochs]
    assert losses[-1] < 0.1 * losses[0]


def test_says_what_is_compared(output: str) -> None:
    assert "1437 handwritten digits to learn, 360 held out" in output
    assert "Layers 64-128-64-10, batches of 32, 50 epochs" in output
    assert "for both on one thread of " in output


def test_digits_are_split_once_and_stratified() -> None:
    digits = demo.load_digits()
    assert (len(digits.X), len(digits.X_test)) == (1437, 360)
    assert digits.X.dtype == digits.X_test.dtype == np.float32
    assert (digits.X.min(), digits.X.max()) == (0, 1)
    for number in range(10):
        held_out = (digits.y_test == number).sum()
        learned = (digits.y == number).sum()
        assert held_out == pytest.approx((held_out + learned) / 5, abs=1)
    assert np.array_equal(digits.X_test, demo.load_digits().X_test)
    both = np.concatenate([digits.X, digits.X_test]) * 16
    everything = sklearn.datasets.load_digits().data
    assert np.array_equal(both[np.lexsort(both.T)], everything[np.lexsort(everything.T)])


@pytest.mark.parametrize(
    ("sizes", "rows", "flops"),
    [
        ((2, 3, 1), 1, 42),  # 12 + 6 forward, 12 + 6 for weights, 6 for the hidden deltas
        ((2, 3, 1), 10, 420),
        ((64, 10), 1, 2560),  # no input gradient at all
        ((64, 64, 10), 32, 647_168),
    ],
)
def test_useful_flops(sizes: tuple[int, ...], rows: int, flops: int) -> None:
    assert demo.useful_flops(sizes, rows) == flops


def test_table() -> None:
    ours = demo.Trained(0.98, 0.1, 1000)
    theirs = demo.Trained(0.975, 2.0, 1000)
    head = (
        "                               fastbp   MLPClassifier     ratio\n"
        "held-out accuracy              98.00%          97.50%\n"
        "updates                          1000            1000\n"
        "an update                    100.0 us       2000.0 us\n"
        "useful GFLOP/s                  50.00            2.50\n"
        "share of the FMA peak           50.0%            2.5%\n\n"
    )
    compiling = "compiling, once              12.000 s\n"
    tail = (
        "training                      0.100 s         2.000 s    20.0 x\n"
        "from now on, with loading     0.400 s         2.000 s     5.0 x"
    )
    folder = Path("/some/cache")
    first = demo.table(ours, theirs, demo.Start(12.0, 0.3, folder), 5 * 10**9, 100.0)
    assert first == head + compiling + tail
    later = demo.table(ours, theirs, demo.Start(0.0, 0.3, folder), 5 * 10**9, 100.0)
    assert later == head + tail


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (
            demo.Start(12.0, 0.3, Path("/some/cache")),
            "fastbp trains 20.0 times as fast as scikit-learn.\n"
            "It compiled for 12.0 s, once on this processor: the code is kept in "
            f"{Path('/some/cache')}.\n"
            "From now on a new process loads that code in 0.30 s, and with that it is 5.0 times as "
            "fast.",
        ),
        (
            demo.Start(0.0, 0.3, Path("/some/cache")),
            "fastbp trains 20.0 times as fast as scikit-learn.\n"
            "From now on a new process loads that code in 0.30 s, and with that it is 5.0 times as "
            "fast.",
        ),
        (
            demo.Start(3.9, 3.9, None),
            "fastbp trains 20.0 times as fast as scikit-learn.\n"
            "Nothing could be kept: each process compiles for 3.9 s, and with that it is 0.5 "
            "times.\n`python -m fastbp info` says why.",
        ),
    ],
    ids=["the first run", "later", "no cache"],
)
def test_verdict(start: demo.Start, expected: str) -> None:
    trained = demo.Trained(0.98, 0.1, 1000), demo.Trained(0.975, 2.0, 1000)
    assert demo.verdict(*trained, start) == expected


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_line_is_written_over_in_a_terminal() -> None:
    out = Terminal()
    progress = demo.Progress(out)
    for line in ("first line", "second"):
        progress.show(line)
    progress.end()
    progress.show("new")
    # What is left of a longer line is blanked.
    assert out.getvalue() == "\rfirst line\rsecond    \n\rnew"


def test_progress_elsewhere_is_lines() -> None:
    out = io.StringIO()
    progress = demo.Progress(out)
    for line in ("first line", "second"):
        progress.show(line)
    progress.end()
    assert out.getvalue() == "first line\nsecond\n"


def test_without_sklearn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert demo.run() == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "pip install scikit-learn" in captured.err
    assert "sklearn" in captured.err
