"""Callbacks: what `fit` calls at its beginning, after each epoch and at its end.

A callback is used by one fit at a time; each fit begins with its state afresh.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from fastbp import checks, whole_files
from fastbp.fit.history import History
from fastbp.fit.metrics import HIGHER_IS_BETTER
from fastbp.machine.jit import seconds_compiling
from fastbp.model.schedules import ScaledSchedule

MODES = ("auto", "min", "max")
EPOCH = "{epoch}"
"""What stands for the number of an epoch in the name of a checkpoint."""


class Fit:
    """A running fit, as callbacks see it.

    Attributes
    ----------
    net : MLP
        Callbacks may change its parameters, what is frozen, and its optimiser.
    epochs : int
        How many were asked for.
    epoch : int
        How many are finished, in this fit and, with ``resume=True``, before.
    losses : dict of str to float
        What was measured in the last epoch: "loss", "seconds", "learning_rate", "val_loss" where
        there is validation data, metrics.
    history : History
        History of these epochs.
    restored_epoch : int or None
        The epoch whose parameters were restored at the end; None when none were.
    stop_reason : str
        Why training stops, "" while it does not.
    error : BaseException or None
        In `on_fit_end`: what ended the fit, such as a KeyboardInterrupt.

    Examples
    --------
    >>> from fastbp import MLP, Callback
    >>> class GoodEnough(Callback):
    ...     def on_epoch_end(self, fit):
    ...         if fit.losses["loss"] < 0.01:
    ...             fit.stop("good enough")
    >>> net = MLP((1, 8, 1), seed=0)
    >>> net.fit([[0], [1]], [0, 1], epochs=5000, callbacks=GoodEnough()).stop_reason
    'good enough'
    """

    def __init__(self, net: Any, epochs: int, history: History) -> None:
        self.net = net
        self.epochs = epochs
        self.history = history
        self.epoch = 0
        self.losses: dict[str, float] = {}
        self.error: BaseException | None = None

    @property
    def restored_epoch(self) -> int | None:
        """The epoch whose parameters were restored at the end; None when none were."""
        return self.history.restored_epoch

    @property
    def stop_reason(self) -> str:
        """Why training stops, "" while it does not; the first reason given."""
        return self.history.stop_reason

    def stop(self, reason: str = "stopped by a callback") -> None:
        """End training after this epoch; the first reason that is given counts.

        Parameters
        ----------
        reason : str, default='stopped by a callback'
            What ``history.stop_reason`` says.
        """
        self.history.stop_reason = self.history.stop_reason or reason or "stopped by a callback"


class Callback:
    """Derive from it and override what is needed; the methods of this class do nothing.

    Examples
    --------
    >>> from fastbp import MLP, Callback
    >>> class LargestWeight(Callback):
    ...     def on_fit_begin(self, fit):
    ...         self.largest = []
    ...
    ...     def on_epoch_end(self, fit):
    ...         self.largest.append(float(abs(fit.net.weights[0]).max()))
    >>> watch = LargestWeight()
    >>> history = MLP((1, 8, 1), seed=0).fit([[0], [1]], [0, 1], epochs=5, callbacks=watch)
    >>> len(watch.largest)
    5
    """

    def on_fit_begin(self, fit: Fit) -> None:
        """Before the first epoch; an error here leaves the net as it was."""

    def on_epoch_end(self, fit: Fit) -> None:
        """After each finished epoch, its validation and metrics."""

    def on_fit_end(self, fit: Fit) -> None:
        """After the last epoch, however the fit ended: also on errors and Ctrl-C."""


class _Watch:
    """The best value of a column, the parameters that had it, and how long ago it was."""

    def __init__(self, monitor: str | None, min_delta: float, mode: str, keep: bool) -> None:
        if monitor is not None and not isinstance(monitor, str):
            raise TypeError(f"monitor must be a column such as 'val_loss'; got {monitor!r}")
        self.monitor = monitor
        self.keep = keep
        self.min_delta = checks.at_least_zero("min_delta", min_delta)
        self.mode = checks.choice("mode", mode, MODES)

    def begin(self, fit: Fit) -> None:
        """Start afresh."""
        self.name = self.monitor or ("val_loss" if "val_loss" in fit.history else "loss")
        if self.name not in fit.history:
            raise ValueError(
                f"monitor={self.name!r} is not measured; there are "
                f"{', '.join(map(repr, fit.history.names))}. Pass validation_data or metrics"
                f"{checks.instead('monitor', self.name, fit.history.names)}"
            )
        bare = self.name.removeprefix("val_")
        highest = self.mode == "max" or (self.mode == "auto" and bare in HIGHER_IS_BETTER)
        self.sign = -1.0 if highest else 1.0
        self.best = np.inf
        self.reference = np.inf
        self.epoch = 0
        self.waited = 0
        self.params: npt.NDArray[np.floating] | None = None
        before = fit.restored_epoch
        if before is not None and self.keep:  # a fit goes on, and has the parameters of that epoch
            self._take(fit, before, self.sign * fit.history[self.name][before - 1])

    def see(self, fit: Fit) -> bool:
        """Take in an epoch; whether it is the best. NaN never is."""
        self.count(fit.losses[self.name])
        return self._take(fit, fit.epoch, self.sign * fit.losses[self.name])

    def count(self, value: float) -> None:
        """Count an epoch without improvement, or begin to count."""
        self.waited += 1
        if self.sign * value < self.reference - self.min_delta:
            self.reference = self.sign * value
            self.waited = 0

    def _take(self, fit: Fit, epoch: int, value: float) -> bool:
        """Keep an epoch and its parameters if it is the best."""
        if not value < self.best:
            return False
        self.best = value
        self.epoch = epoch
        if self.keep:
            self.params = fit.net.params.copy()
        return True

    def judge(self, fit: Fit) -> None:
        """Let the history judge its epochs by the same column."""
        fit.history.monitor = self.name
        fit.history.highest = self.sign < 0

    def end(self, fit: Fit, restore: bool) -> None:
        """Restore the best parameters where that is wanted, and let go of them."""
        params = getattr(self, "params", None)
        self.params = None
        if restore and params is not None:
            fit.net.params[:] = params
            fit.history.restored_epoch = self.epoch
            self.judge(fit)


class _Monitoring(Callback):
    """A callback that watches a column.

    `monitor`, `min_delta` and `mode` may be set later: a fit takes what they are when it begins.
    """

    def __init__(self, monitor: str | None, min_delta: float, mode: str) -> None:
        self.monitor = monitor
        self.min_delta = min_delta
        self.mode = mode
        self._watch = self._new_watch()

    def _new_watch(self, keep: bool = False) -> _Watch:
        return _Watch(self.monitor, self.min_delta, self.mode, keep)


class EarlyStopping(_Monitoring):
    """Stop when a column has not improved for some epochs, and restore the best parameters.

    Parameters
    ----------
    patience : int, default=10
        Epochs without improvement after which training stops, at least 1.
    min_delta : float, default=0.0
        By how much a value must be better than the last improvement to be one.
    monitor : str or None, default=None
        A column of the history; None takes "val_loss" where there is validation data, else
        "loss".
    restore_best : bool, default=True
        At the end, also when all epochs were done or training diverged, give the net the
        parameters after the epoch with the best value. The optimiser's state is not
        restored. After an error or Ctrl-C the parameters stay the latest.
    mode : {"auto", "min", "max"}, default="auto"
        Which values are better; "auto" takes the greatest of accuracy and r2 and the least of all
        else.

    Notes
    -----
    Prechelt, "Early stopping - but when?", 1998.

    Examples
    --------
    >>> from fastbp import MLP, EarlyStopping
    >>> X, y = [[0], [1], [2], [3]], [0, 1, 2, 3]
    >>> stop = EarlyStopping(patience=3, min_delta=0.01, monitor="r2")
    >>> net = MLP((1, 8, 1), seed=0)
    >>> history = net.fit(X, y, epochs=5000, metrics="r2", callbacks=stop)
    >>> history.restored_epoch == history.best_epoch, history.stop_reason
    (True, 'no improvement of r2 for 3 epochs')
    """

    @checks.explained
    def __init__(
        self,
        patience: int = 10,
        min_delta: float = 0.0,
        monitor: str | None = None,
        restore_best: bool = True,
        mode: str = "auto",
    ) -> None:
        self.patience = checks.count("patience", patience)
        self.restore_best = checks.flag("restore_best", restore_best)
        super().__init__(monitor, min_delta, mode)

    def on_fit_begin(self, fit: Fit) -> None:
        """Start afresh."""
        self._watch = self._new_watch(keep=self.restore_best)
        self._watch.begin(fit)
        self._watch.judge(fit)

    def on_epoch_end(self, fit: Fit) -> None:
        """Count the epochs without improvement."""
        self._watch.see(fit)
        if self._watch.waited >= self.patience and fit.epoch < fit.epochs:
            fit.stop(f"no improvement of {self._watch.name} for {self.patience} epochs")

    def on_fit_end(self, fit: Fit) -> None:
        """Restore the best parameters."""
        self._watch.end(fit, fit.error is None)


class TimeLimit(Callback):
    """Restore the best parameters when the time of a fit has run out.

    ``fit(max_seconds=...)`` uses it; `fit` itself looks at the clock.

    Parameters
    ----------
    reason : str
        For which the fit is then stopped.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self._watch = _Watch(None, 0.0, "auto", keep=True)

    def on_fit_begin(self, fit: Fit) -> None:
        """Start afresh."""
        self._watch.begin(fit)

    def on_epoch_end(self, fit: Fit) -> None:
        """Keep the best parameters."""
        self._watch.see(fit)

    def on_fit_end(self, fit: Fit) -> None:
        """Restore them."""
        self._watch.end(fit, fit.error is None and fit.stop_reason == self.reason)


class Progress(Callback):
    """Show each epoch: a bar where tqdm is installed, or plain lines.

    Parameters
    ----------
    bar : bool, default=True
        False prints lines in any case.

    Examples
    --------
    >>> from fastbp import MLP, Progress
    >>> net = MLP((1, 1), optimizer="sgd", weight_init="zeros")
    >>> history = net.fit([[1.0]], [4.0], epochs=2, callbacks=Progress(bar=False))
    epoch 1/2  loss 8.000000  ... ms
    epoch 2/2  loss 7.683200  ... ms
    """

    @checks.explained
    def __init__(self, bar: bool = True) -> None:
        self.bar = checks.flag("bar", bar)
        self._bar: Any = None
        self._compiling = 0.0

    def on_fit_begin(self, fit: Fit) -> None:
        """Open the bar."""
        self._bar = _tqdm(fit.epochs, fit.epoch) if self.bar else None
        self._compiling = seconds_compiling()

    def on_epoch_end(self, fit: Fit) -> None:
        """Show the epoch."""
        shown = {n: x for n, x in fit.losses.items() if n not in ("seconds", "learning_rate")}
        if self._bar is not None:
            self._set_clock()
            self._bar.set_postfix({name: f"{x:.6g}" for name, x in shown.items()}, refresh=False)
            self._bar.update()
            return
        values = "  ".join(f"{name} {x:.6f}" for name, x in shown.items())
        print(
            f"epoch {fit.epoch:{len(str(fit.epochs))}}/{fit.epochs}  {values}  "
            f"{fit.losses['seconds'] * 1e3:.2f} ms",
            flush=True,
        )

    def _set_clock(self) -> None:
        """Start the bar's clock later by what compiling took: its estimates would be far off."""
        compiling = seconds_compiling()
        lost = compiling - self._compiling
        if lost > 0:
            self._compiling = compiling
            self._bar.start_t += lost
            self._bar.last_print_t += lost

    def on_fit_end(self, fit: Fit) -> None:
        """Close the bar, say why training stopped."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if fit.stop_reason and fit.error is None:
            print(fit.stop_reason, flush=True)


def _tqdm(epochs: int, done: int) -> Any:
    """A progress bar, None where tqdm is not installed.

    In a notebook it is a widget, or text where ipywidgets is missing: on standard output, as
    notebooks colour the other stream like an error.
    """
    in_notebook = "ipykernel" in sys.modules
    widgets = in_notebook and find_spec("ipywidgets") is not None
    try:
        if widgets:
            from tqdm.auto import tqdm
        else:
            from tqdm import tqdm
    except ImportError:
        return None
    stream = sys.stdout if in_notebook and not widgets else None
    return tqdm(total=epochs, initial=done, unit="epoch", file=stream)


class Checkpoint(_Monitoring):
    """Save the net after epochs, for `fastbp.load`, as `MLP.save` does.

    The file has the history so far, too, and what other callbacks have changed: `fit` calls
    checkpoints after them. It is replaced in one piece, and the disk has it before
    training goes on, so that there is always a whole one, even after a power failure.

    Parameters
    ----------
    path : str or path
        Ending in .safetensors by custom; its folder must exist. Where it is a link, the file that
        it points to is replaced. In its name ``{epoch}`` stands for the number of the epoch.
    best_only : bool, default=False
        Write only when the monitored column is better than whenever it was looked at before.
    monitor : str or None, default=None
    mode : {"auto", "min", "max"}, default="auto"
        As in `EarlyStopping`: what the best is.
    every : int, default=1
        Epochs from one file to the next or, with `best_only`, from one look to the next.
    keep : int, optional
        Keep the last so many files and the best, and remove the others that this fit has written.
        Needs ``{epoch}`` in the name. All are kept by default.

    Examples
    --------
    Train on from the last file, if there is one, after whatever has stopped training:

    >>> import os
    >>> import numpy as np
    >>> import fastbp
    >>> X = np.linspace(-1, 1, 20).reshape(-1, 1)
    >>> path = "net.safetensors"
    >>> for epochs in (3, 8):
    ...     net = fastbp.load(path) if os.path.exists(path) else fastbp.MLP((1, 4, 1), seed=0)
    ...     checkpoint = fastbp.Checkpoint(path)
    ...     history = net.fit(X, X**2, epochs=epochs, resume=True, callbacks=checkpoint)
    >>> len(history)
    8
    """

    @checks.explained
    def __init__(
        self,
        path: str | os.PathLike[str],
        best_only: bool = False,
        monitor: str | None = None,
        mode: str = "auto",
        *,
        every: int = 1,
        keep: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.best_only = checks.flag("best_only", best_only)
        self.every = checks.count("every", every)
        self.keep = None if keep is None else checks.count("keep", keep)
        if self.keep is not None and EPOCH not in self.path.name:
            raise ValueError(
                f"keep={keep} needs a file for each epoch, such as 'net-{EPOCH}.safetensors'; got "
                f"{str(path)!r}"
            )
        super().__init__(monitor, 0.0, mode)

    def on_fit_begin(self, fit: Fit) -> None:
        """Look for the folder, what the file would replace, and whether the net can be saved."""
        _check_folder(self.path)
        whole_files.target_of(self._path_after(fit.epoch + self.every))
        fit.net.content()
        self._watch = watch = self._new_watch()
        watch.begin(fit)
        before = np.array(fit.history[watch.name][self.every - 1 :: self.every])
        watch.best = float(np.min(watch.sign * before[~np.isnan(before)], initial=np.inf))
        self._written: list[Path] = []
        self._best: Path | None = None

    def on_epoch_end(self, fit: Fit) -> None:
        """Write the file."""
        if fit.epoch % self.every:
            return
        is_best = self._watch.see(fit)
        if self.best_only and not is_best:
            return
        path = self._path_after(fit.epoch)
        content = fit.net.content()
        whole_files.write(path, lambda file: file.write(content))
        if self.keep is not None:
            self._best = path if is_best else self._best
            self._written.append(path)
            for old in self._written[: -self.keep]:
                if old != self._best:
                    old.unlink(missing_ok=True)
                    self._written.remove(old)

    def _path_after(self, epoch: int) -> Path:
        return self.path.with_name(self.path.name.replace(EPOCH, str(epoch)))


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} for {path.name!r}")


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


class CSVLog(Callback):
    """Write a line an epoch into a CSV file: the number of the epoch and what was measured.

    A metric whose name begins like a formula of a spreadsheet, such as "=sum", gets a ' in front.

    Parameters
    ----------
    path : str or path
        Its folder must exist.
    append : bool, default=False
        Add to a file that is there, whose columns must be the same, instead of replacing it.
        The epochs are counted as the fit does. An unfinished last line is removed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from fastbp import MLP, CSVLog
    >>> net = MLP((1, 4, 1), seed=0)
    >>> history = net.fit([[0], [1]], [0, 1], epochs=2, callbacks=CSVLog("log.csv"))
    >>> lines = Path("log.csv").read_text().splitlines()
    >>> lines[0], len(lines)
    ('epoch,loss,learning_rate,seconds', 3)
    """

    # A log grows by a line an epoch, for others to follow, so it is not replaced as a whole; and
    # it may be a pipe. Nobody needs its last line to go on, so it does not wait for the disk.

    @checks.explained
    def __init__(self, path: str | os.PathLike[str], append: bool = False) -> None:
        self.path = Path(path)
        self.append = checks.flag("append", append)
        self._file: TextIO | None = None

    def on_fit_begin(self, fit: Fit) -> None:
        """Open the file and write the names of the columns."""
        _check_folder(self.path)
        names = ["epoch", *map(_plain, fit.history.names)]
        first: list[str] = []
        if self.append and self.path.is_file():
            with open(self.path, encoding="utf-8", newline="") as file:
                first = next(csv.reader(file), [])
        if first and first != names:
            raise ValueError(
                f"{self.path} has the columns {','.join(first)!r}, this fit {','.join(names)!r}; "
                "log to another file or with append=False"
            )
        left = _cut_unfinished_line(self.path) if first else 0
        self._file = open(self.path, "a" if self.append else "w", encoding="utf-8", newline="")
        if left == 0:
            csv.writer(self._file).writerow(names)

    def on_epoch_end(self, fit: Fit) -> None:
        """Write the line."""
        if self._file is not None:
            csv.writer(self._file).writerow([fit.epoch, *fit.losses.values()])
            self._file.flush()

    def on_fit_end(self, fit: Fit) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _cut_unfinished_line(path: Path) -> int:
    """Remove a last line without an end, as a full disk leaves; return the bytes before it."""
    with open(path, "r+b") as file:
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
    return whole


def _plain(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name.startswith(FORMULA) else name


def set_learning_rate(net: Any, rate: Any) -> None:
    """Give the net's optimiser another rate; its state and all else of it stays.

    Parameters
    ----------
    net : MLP
    rate : float or Schedule
    """
    net.optimizer = dataclasses.replace(net.optimizer, learning_rate=rate)


class LearningRateSchedule(Callback):
    """Set the learning rate before each epoch; the net keeps the last one.

    Parameters
    ----------
    schedule : callable
        Given the index of the epoch, counted from 0 as the fit does, returns the rate. The ready
        schedules are faster, and change from update to update, also where their length is in
        epochs: ``Adam(learning_rate=CosineDecay(0.01, epochs=100))``.

    Examples
    --------
    >>> from fastbp import MLP, LearningRateSchedule
    >>> halved = LearningRateSchedule(lambda epoch: 0.1 * 0.5**epoch)
    >>> net = MLP((1, 4, 1), seed=0)
    >>> net.fit([[0], [1]], [0, 1], epochs=3, callbacks=halved)["learning_rate"]
    [0.1, 0.05, 0.025]
    """

    @checks.explained
    def __init__(self, schedule: Callable[[int], float]) -> None:
        if not callable(schedule):
            raise TypeError(f"schedule must be a function of the epoch; got {schedule!r}")
        self.schedule = schedule

    def on_fit_begin(self, fit: Fit) -> None:
        """Set the rate of the first epoch."""
        set_learning_rate(fit.net, self.schedule(fit.epoch))

    def on_epoch_end(self, fit: Fit) -> None:
        """Set the rate of the next epoch."""
        if fit.epoch < fit.epochs and not fit.stop_reason:
            set_learning_rate(fit.net, self.schedule(fit.epoch))


class ReduceOnPlateau(_Monitoring):
    """Lower the learning rate when a column has not improved for some epochs.

    The net keeps the rate. A schedule instead of a number is scaled (`ScaledSchedule`). With
    ``fit(resume=True)`` the epochs before count.

    Parameters
    ----------
    factor : float, default=0.1
        Above 0 and below 1; what the rate is multiplied by.
    patience : int, default=10
        Epochs without improvement after which that happens, and happens again.
    min_delta : float, default=1e-4
        By how much a value must be better than the last improvement to be one.
    min_rate : float, default=0.0
        The rate does not fall below it. Only for an optimiser whose rate is a number.
    monitor : str or None, default=None
    mode : {"auto", "min", "max"}, default="auto"
        As in `EarlyStopping`.

    Examples
    --------
    >>> from fastbp import MLP, ReduceOnPlateau
    >>> net = MLP((1, 1), optimizer="sgd", weight_init="zeros")
    >>> reduce = ReduceOnPlateau(factor=0.5, patience=2)
    >>> history = net.fit([[1.0]], [0.0], epochs=5, callbacks=reduce)  # a loss of 0 cannot fall
    >>> history["learning_rate"]
    [0.01, 0.01, 0.01, 0.005, 0.005]
    """

    @checks.explained
    def __init__(
        self,
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        min_rate: float = 0.0,
        monitor: str | None = None,
        mode: str = "auto",
    ) -> None:
        self.factor = checks.positive("factor", factor)
        if self.factor >= 1:
            raise ValueError(f"factor must be above 0 and below 1; got {factor!r}")
        self.patience = checks.count("patience", patience)
        self.min_rate = checks.at_least_zero("min_rate", min_rate)
        super().__init__(monitor, min_delta, mode)

    def on_fit_begin(self, fit: Fit) -> None:
        """Start afresh, or after the epochs of the fit that goes on."""
        if self.min_rate > 0 and callable(fit.net.optimizer.learning_rate):
            raise ValueError(
                f"min_rate={self.min_rate} needs a learning rate that is a number; the optimizer "
                f"has {fit.net.optimizer.learning_rate!r}"
            )
        self._watch = self._new_watch()
        self._watch.begin(fit)
        for value in fit.history[self._watch.name]:  # a fit goes on: the net has its rate
            self._is_time(value)

    def _is_time(self, value: float) -> bool:
        """Take in an epoch; whether there was no improvement for long enough."""
        self._watch.count(value)
        if self._watch.waited < self.patience:
            return False
        self._watch.waited = 0
        return True

    def on_epoch_end(self, fit: Fit) -> None:
        """Lower the rate where it is time."""
        if not self._is_time(fit.losses[self._watch.name]):
            return
        rate = fit.net.optimizer.learning_rate
        if isinstance(rate, ScaledSchedule):
            set_learning_rate(fit.net, ScaledSchedule(rate.schedule, rate.factor * self.factor))
        elif callable(rate):
            set_learning_rate(fit.net, ScaledSchedule(rate, self.factor))
        elif rate > self.min_rate and rate * self.factor > 0:
            set_learning_rate(fit.net, max(rate * self.factor, self.min_rate))
