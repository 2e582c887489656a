"""``python -m fastbp demo``: a digit classifier, trained by fastbp and by scikit-learn."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
import numpy.typing as npt

from fastbp.commands.warmup import FirstCall, first_call
from fastbp.kernels import entry
from fastbp.machine.jit import cache_info
from fastbp.machine.peak import cpu_model, fma_peak
from fastbp.mlp import MLP
from fastbp.model.optimizers import Adam

LAYER_SIZES = (64, 128, 64, 10)
BATCH_SIZE = 32
EPOCHS = 50
LEARNING_RATE = 1e-3
PIECES = 10
"""How often the progress line changes."""
PEAK_SECONDS = 0.2
"""How long the FMA peak is measured, once before and once after the training."""


class Digits(NamedTuple):
    """Handwritten digits: 8 x 8 pixels between 0 and 1 by row, labels 0 to 9."""

    X: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64]
    X_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]


class Trained(NamedTuple):
    """The outcome of training: accuracy on the held-out rows, seconds of the fit alone."""

    accuracy: float
    seconds: float
    updates: int


class Progress:
    """A line that is overwritten in a terminal, and plain lines elsewhere."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.in_place = out.isatty()
        self.width = 0

    def show(self, line: str) -> None:
        """Replace the line."""
        start, end = ("\r", "") if self.in_place else ("", "\n")
        self.out.write(f"{start}{line:<{self.width}}{end}")
        self.out.flush()
        self.width = len(line) if self.in_place else 0

    def end(self) -> None:
        """Leave the last line standing."""
        if self.in_place:
            self.out.write("\n")
        self.width = 0


def useful_flops(layer_sizes: tuple[int, ...], rows: int) -> int:
    """Floating-point operations of training on `rows` rows.

    A product of m inputs and n outputs counts 2 m n a row for the outputs, the same for the
    gradient of the weights, and the same, except in the first layer, for that of the inputs.
    Activations, losses and updates do not count.
    """
    products = [2 * m * n for m, n in zip(layer_sizes, layer_sizes[1:], strict=False)]
    return rows * (3 * sum(products) - products[0])


def load_digits() -> Digits:
    """scikit-learn's bundled digits, a stratified fifth of them held out."""
    from sklearn.datasets import load_digits as load
    from sklearn.model_selection import train_test_split

    X, y = load(return_X_y=True)
    X, X_test, y, y_test = train_test_split(
        (X / 16).astype(np.float32), y.astype(np.int64), test_size=0.2, stratify=y, random_state=0
    )
    return Digits(X, y, X_test, y_test)


def new_net() -> MLP:
    """The untrained net."""
    return MLP(LAYER_SIZES, loss="cross_entropy", optimizer=Adam(LEARNING_RATE), seed=0)


def prepare(digits: Digits) -> list[FirstCall]:
    """Compile what the demo needs, or load it from the cache: nothing of it is timed later."""
    net = new_net()
    X = digits.X[:BATCH_SIZE]
    y = digits.y[:BATCH_SIZE]
    return [first_call(entry.train_and_predict, "float32", lambda: net.fit(X, y, epochs=1))]


class Start(NamedTuple):
    """What it takes until the compiled code is there.

    Attributes
    ----------
    compiling : float
        Seconds that this process compiled; 0 where it loaded the code.
    loading : float
        Seconds that a process takes to load the code; to compile it, where nothing is kept.
    kept_in : path or None
        The folder of the code; None where nothing is kept.
    """

    compiling: float
    loading: float
    kept_in: Path | None


def start_of(calls: list[FirstCall]) -> Start:
    """What the calls of `prepare` tell; after compiling, another process tells what loading takes.

    Parameters
    ----------
    calls : list of FirstCall
    """
    seconds = sum(call.seconds for call in calls)
    cache = cache_info()
    kept_in = cache.directory if cache.entries else None
    if all(call.how != "compiled" for call in calls):
        return Start(0.0, seconds, kept_in)
    return Start(seconds, seconds if kept_in is None else _seconds_of_loading(), kept_in)


LOAD = """
import numpy as np
from fastbp.commands import demo

X, y = np.zeros((demo.BATCH_SIZE, 64), "f4"), np.zeros(demo.BATCH_SIZE, int)
print(sum(call.seconds for call in demo.prepare(demo.Digits(X, y, X, y))))
"""


def _seconds_of_loading() -> float:
    command = [sys.executable, "-c", LOAD]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def train_fastbp(digits: Digits, epochs: int, progress: Progress) -> Trained:
    """Train by fastbp, in a few calls of `fit`, so that there is progress to show."""
    net = new_net()
    seconds = 0.0
    done = 0
    width = len(str(epochs))
    while done < epochs:
        count = min(-(-epochs // PIECES), epochs - done)
        start = time.perf_counter()
        history = net.fit(digits.X, digits.y, epochs=count, batch_size=BATCH_SIZE)
        seconds = seconds + time.perf_counter() - start
        done = done + count
        progress.show(
            f"fastbp         epoch {done:{width}}/{epochs}  loss {history.loss[-1]:.4f}  "
            f"{seconds:.3f} s"
        )
    progress.end()
    accuracy = net.score(digits.X_test, digits.y_test)
    return Trained(accuracy, seconds, done * _updates_an_epoch(digits))


def train_sklearn(digits: Digits, epochs: int, progress: Progress) -> Trained:
    """Do the same work by scikit-learn: one call of `fit`, limited to one thread."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    options: dict[str, Any] = {
        "hidden_layer_sizes": LAYER_SIZES[1:-1],
        "alpha": 0.0,
        "batch_size": BATCH_SIZE,
        "learning_rate_init": LEARNING_RATE,
        "n_iter_no_change": epochs + 1,  # all epochs
        "random_state": 0,
    }
    if progress.in_place:
        progress.show(f"MLPClassifier  training for {epochs} epochs ...")
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it says that max_iter is reached
        MLPClassifier(max_iter=1, **options).fit(digits.X, digits.y)  # the first call does more
        classifier = MLPClassifier(max_iter=epochs, **options)
        start = time.perf_counter()
        classifier.fit(digits.X, digits.y)
        seconds = time.perf_counter() - start
    progress.show(
        f"MLPClassifier  epoch {classifier.n_iter_}/{epochs}  loss {classifier.loss_:.4f}  "
        f"{seconds:.3f} s"
    )
    progress.end()
    accuracy = float(classifier.score(digits.X_test, digits.y_test))
    return Trained(accuracy, seconds, classifier.n_iter_ * _updates_an_epoch(digits))


def _updates_an_epoch(digits: Digits) -> int:
    return -(-len(digits.X) // BATCH_SIZE)


def ratio(ours: float, theirs: float) -> str:
    """How many times as long theirs takes."""
    return f"{theirs / ours:.1f} x"


def table(ours: Trained, theirs: Trained, start: Start, flops: int, peak: float) -> str:
    """The comparison as aligned text.

    Parameters
    ----------
    ours, theirs : Trained
    start : Start
    flops : int
        Useful operations of the whole training.
    peak : float
        FMA peak in GFLOP/s.
    """
    both = (ours, theirs)
    seconds = [run.seconds for run in both]
    rates = [flops / run.seconds / 1e9 for run in both]
    total = start.loading + ours.seconds
    rows = [
        ("", "fastbp", "MLPClassifier", "ratio"),
        ("held-out accuracy", *(f"{run.accuracy:.2%}" for run in both), ""),
        ("updates", *(f"{run.updates}" for run in both), ""),
        ("an update", *(f"{1e6 * run.seconds / run.updates:.1f} us" for run in both), ""),
        ("useful GFLOP/s", *(f"{rate:.2f}" for rate in rates), ""),
        ("share of the FMA peak", *(f"{rate / peak:.1%}" for rate in rates), ""),
        ("", "", "", ""),
        *([("compiling, once", f"{start.compiling:.3f} s", "", "")] if _once(start) else []),
        ("training", *(f"{time:.3f} s" for time in seconds), ratio(*seconds)),
        ("from now on, with loading", f"{total:.3f} s", f"{seconds[1]:.3f} s",
         ratio(total, seconds[1])),
    ]  # fmt: skip
    return "\n".join(f"{a:<27}{b:>10}{c:>16}{d:>10}".rstrip() for a, b, c, d in rows)


def _once(start: Start) -> bool:
    """Whether this process compiled what the next one loads."""
    return start.compiling > 0 and start.kept_in is not None


def verdict(ours: Trained, theirs: Trained, start: Start) -> str:
    """The comparison in words, as the last thing that is read.

    Parameters
    ----------
    ours, theirs : Trained
    start : Start
    """
    times = f"{theirs.seconds / ours.seconds:.1f} times as fast as scikit-learn"
    whole = f"{theirs.seconds / (start.loading + ours.seconds):.1f} times"
    lines = [f"fastbp trains {times}."]
    if start.kept_in is None:
        lines.append(
            f"Nothing could be kept: each process compiles for {start.compiling:.1f} s, and with "
            f"that it is {whole}.\n`python -m fastbp info` says why."
        )
        return "\n".join(lines)
    if start.compiling:
        lines.append(
            f"It compiled for {start.compiling:.1f} s, once on this processor: the code is kept in "
            f"{start.kept_in}."
        )
    lines.append(
        f"From now on a new process loads that code in {start.loading:.2f} s, and with that it is "
        f"{whole} as fast."
    )
    return "\n".join(lines)


def run(epochs: int = EPOCHS, out: TextIO | None = None) -> int:
    """Train both and print the results.

    Parameters
    ----------
    epochs : int, default=50
    out : text file, optional
        Standard output by default.

    Returns
    -------
    int
        The exit status: 1 when scikit-learn is missing.
    """
    out = out or sys.stdout
    try:
        digits = load_digits()
    except ImportError as error:
        print(
            f"The demo needs scikit-learn, for the digits and for comparison ({error}). Install "
            "it with: pip install scikit-learn",
            file=sys.stderr,
        )
        return 1
    print(
        f"{len(digits.X)} handwritten digits to learn, {len(digits.X_test)} held out.\n"
        f"Layers {'-'.join(map(str, LAYER_SIZES))}, batches of {BATCH_SIZE}, {epochs} epochs, "
        f"Adam with learning rate {LEARNING_RATE}, float32,\n"
        f"for both on one thread of {cpu_model()}.\n",
        file=out,
    )
    out.flush()
    start = start_of(prepare(digits))
    if start.compiling:
        said = f"compiling took {start.compiling:.2f} s{', once' if _once(start) else ''}"
    else:
        said = f"loading compiled code took {start.loading:.2f} s"
    print(f"fastbp         {said}", file=out, flush=True)
    progress = Progress(out)
    peak = fma_peak(seconds=PEAK_SECONDS)
    ours = train_fastbp(digits, epochs, progress)
    peak = max(peak, fma_peak(seconds=PEAK_SECONDS))
    theirs = train_sklearn(digits, epochs, progress)
    flops = useful_flops(LAYER_SIZES, len(digits.X) * epochs)
    print(f"\n{table(ours, theirs, start, flops, peak)}\n", file=out)
    print(
        f"FMA peak: {peak:.1f} GFLOP/s, measured in this process. Useful: the products alone, "
        f"{flops / 1e9:.2f} GFLOP.\n\n{verdict(ours, theirs, start)}",
        file=out,
    )
    return 0
