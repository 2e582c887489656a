"""The demo: the same digit classifier trained by fastbp and by scikit-learn, side by side."""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any, NamedTuple, TextIO

import numpy as np
import numpy.typing as npt

from fastbp.commands.warmup import FirstCall, first_call
from fastbp.kernels import evaluation, training
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
    """What training came to: accuracy on the held-out rows, seconds of the fit alone."""

    accuracy: float
    seconds: float
    updates: int


class Progress:
    """A line that is written over in a terminal, and plain lines elsewhere."""

    def __init__(self, out: TextIO) -> None:
        self.out, self.in_place, self.width = out, out.isatty(), 0

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

    A product of m inputs and n outputs counts 2 m n a row for the outputs, as many for the
    gradient of the weights, and as many, except in the first layer, for that of the inputs.
    Activations, losses and updates count nothing.
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
    """Compile what the demo needs, or load it from the cache."""
    net, X, y = new_net(), digits.X[:BATCH_SIZE], digits.y[:BATCH_SIZE]
    return [
        first_call(training.train, "float32", lambda: net.fit(X, y, epochs=1)),
        first_call(evaluation.predict, "float32", lambda: net.predict(X)),
    ]


def train_fastbp(digits: Digits, epochs: int, progress: Progress) -> Trained:
    """Train by fastbp, in a few calls of `fit`, so that there is progress to show."""
    net, seconds, done = new_net(), 0.0, 0
    width = len(str(epochs))
    while done < epochs:
        count = min(-(-epochs // PIECES), epochs - done)
        start = time.perf_counter()
        history = net.fit(digits.X, digits.y, epochs=count, batch_size=BATCH_SIZE)
        seconds, done = seconds + time.perf_counter() - start, done + count
        progress.show(
            f"fastbp         epoch {done:{width}}/{epochs}  loss {history.loss[-1]:.4f}  "
            f"{seconds:.3f} s"
        )
    progress.end()
    accuracy = float((net.predict(digits.X_test).argmax(axis=1) == digits.y_test).mean())
    return Trained(accuracy, seconds, done * _updates_an_epoch(digits))


def train_sklearn(digits: Digits, epochs: int, progress: Progress) -> Trained:
    """Do the same work by scikit-learn: one call of `fit`, of which one thread is allowed."""
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
        MLPClassifier(max_iter=1, **options).fit(digits.X, digits.y)  # what only a first call does
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


def table(ours: Trained, theirs: Trained, first: float, flops: int, peak: float) -> str:
    """The comparison as aligned text.

    Parameters
    ----------
    ours, theirs : Trained
    first : float
        Seconds that fastbp took to compile or load its code.
    flops : int
        Useful operations of the whole training.
    peak : float
        FMA peak in GFLOP/s.
    """
    both = (ours, theirs)
    seconds = [run.seconds for run in both]
    rates = [flops / run.seconds / 1e9 for run in both]
    total = [first + ours.seconds, theirs.seconds]

    def ratio(pair: list[float]) -> str:
        return f"{pair[1] / pair[0]:.1f} x"

    rows = [
        ("", "fastbp", "MLPClassifier", "ratio"),
        ("held-out accuracy", *(f"{run.accuracy:.2%}" for run in both), ""),
        ("updates", *(f"{run.updates}" for run in both), ""),
        ("training", *(f"{time:.3f} s" for time in seconds), ratio(seconds)),
        ("with compiling or loading", *(f"{time:.3f} s" for time in total), ratio(total)),
        ("an update", *(f"{1e6 * run.seconds / run.updates:.1f} us" for run in both), ""),
        ("useful GFLOP/s", *(f"{rate:.2f}" for rate in rates), ""),
        ("share of the FMA peak", *(f"{rate / peak:.1%}" for rate in rates), ""),
    ]
    return "\n".join(f"{a:<27}{b:>10}{c:>16}{d:>10}".rstrip() for a, b, c, d in rows)


def run(epochs: int = EPOCHS, out: TextIO | None = None) -> int:
    """Train both and print what came out.

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
            "it with: pip install 'fastbp[demo]'",
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
    calls = prepare(digits)
    first = sum(call.seconds for call in calls)
    how = "compiling" if any(call.how == "compiled" for call in calls) else "loading compiled code"
    print(f"fastbp         {how} took {first:.2f} s", file=out, flush=True)
    progress, peak = Progress(out), fma_peak(seconds=PEAK_SECONDS)
    ours = train_fastbp(digits, epochs, progress)
    peak = max(peak, fma_peak(seconds=PEAK_SECONDS))
    theirs = train_sklearn(digits, epochs, progress)
    flops = useful_flops(LAYER_SIZES, len(digits.X) * epochs)
    print(f"\n{table(ours, theirs, first, flops, peak)}\n", file=out)
    print(
        f"FMA peak: {peak:.1f} GFLOP/s, measured in this process. Useful: the products alone, "
        f"{flops / 1e9:.2f} GFLOP.",
        file=out,
    )
    return 0
