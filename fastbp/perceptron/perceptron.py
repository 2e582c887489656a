"""`Perceptron`: a layer of threshold units, set by hand or trained by the perceptron rule."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit import data
from fastbp.fit.epochs import Pace
from fastbp.fit.evaluation import pieces
from fastbp.fit.history import History
from fastbp.fit.warn import DivergenceWarning, warn
from fastbp.kernels.training import DIVERGED, EPOCH, N_PROGRESS, RUNNING
from fastbp.machine.jit import call
from fastbp.mlp import MLP
from fastbp.model.initializers import Init
from fastbp.model.net import SECONDS_A_CALL, FloatArray
from fastbp.perceptron import kernels

PRODUCTS_A_SECOND = 2e9
"""Weights that the rule goes over in a second, at least: it bounds the time of one call."""


class Perceptron:
    """A layer of threshold units: y = 1 where w.x + b > 0, else 0.

    Each unit divides the inputs by a plane. Trained, it follows the perceptron learning rule: after
    each row ``w <- w - learning_rate (y_hat - y) x`` and the same for the bias with x = 1. Where
    planes separate the targets, it finds such planes and stops (Novikoff 1962); where none does,
    as for XOR, it never does.

    Parameters
    ----------
    n_in : int
        Inputs.
    n_out : int, default=1
        Units. They learn side by side and know nothing of each other.
    learning_rate : float, default=1.0
        Above 0. From zero weights it changes the scale of the weights and nothing else.
    bias : bool, default=True
        Whether units have biases; without, all planes go through the origin.
    dtype : {"float32", "float64"}, default="float32"
        Dtype of the weights and all arithmetic.
    weight_init : str, callable or sequence of array, default="zeros"
        As in `MLP`.
    seed : int or None, default=None
        Seed of the order of the rows, and of weights that are drawn.

    Attributes
    ----------
    params : array of `dtype`, shape (n_params,)
        All parameters, as in `MLP`.
    weights, biases : tuple of array
        Live views of them, of one layer: ``weights[0]`` of shape (n_in, n_out) and ``biases[0]``
        of shape (n_out,), to set units by hand; ``biases`` is empty with ``bias=False``.
    layer_sizes : tuple (n_in, n_out)
    history : History
        History of the last call of `fit`.

    Notes
    -----
    McCulloch and Pitts, Bulletin of Mathematical Biophysics 5, 1943; Rosenblatt, Psychological
    Review 65, 1958. `fastbp.MLP` has threshold units in several layers, as the activation "step",
    which nothing trains. scikit-learn's perceptron is `fastbp.sklearn.Perceptron`.

    Examples
    --------
    >>> from fastbp import Perceptron
    >>> X = [[0, 0], [0, 1], [1, 0], [1, 1]]
    >>> unit = Perceptron(2, seed=0)
    >>> unit.fit(X, [0, 0, 0, 1]).stop_reason
    'no mistake in epoch 8'
    >>> unit.predict(X).ravel().tolist()
    [0.0, 0.0, 0.0, 1.0]
    """

    activations = ("step",)

    @checks.explained
    def __init__(
        self,
        n_in: int,
        n_out: int = 1,
        *,
        learning_rate: float = 1.0,
        bias: bool = True,
        dtype: npt.DTypeLike = "float32",
        weight_init: Init = "zeros",
        seed: int | None = None,
    ) -> None:
        sizes = checks.count("n_in", n_in), checks.count("n_out", n_out)
        self.learning_rate = checks.positive("learning_rate", learning_rate)
        self._net = MLP(
            sizes, output_activation="step", bias=bias, dtype=dtype, weight_init=weight_init,
            seed=seed,
        )  # fmt: skip
        self.history = History()

    if not TYPE_CHECKING:  # type checkers refuse what the class does not have by themselves

        def __setattr__(self, name: str, value: Any) -> None:
            """Set what can be set; else say how to change what is meant."""
            if name not in ("learning_rate", "history", "_net"):
                own = type(self) is not Perceptron
                checks.refuse_to_set(Perceptron, "perceptron", name, value, own)
            object.__setattr__(self, name, value)

    @classmethod
    def from_weights(
        cls, weights: npt.ArrayLike, biases: npt.ArrayLike | None = None, *,
        dtype: npt.DTypeLike = "float32",
    ) -> Perceptron:  # fmt: skip
        """Units with given weights.

        Parameters
        ----------
        weights : array-like, shape (n_in,) or (n_in, n_out)
            Weights of one unit, or of a unit a column.
        biases : array-like, shape (n_out,), or float, optional
            None makes units without.
        dtype : {"float32", "float64"}, default="float32"

        Returns
        -------
        Perceptron

        Raises
        ------
        ValueError, TypeError
            For other shapes, or values that are not finite numbers.

        Examples
        --------
        >>> from fastbp import Perceptron
        >>> conjunction = Perceptron.from_weights([1, 1], -1.5)
        >>> conjunction.predict([[0, 1], [1, 1]]).ravel().tolist()
        [0.0, 1.0]
        """
        dtype = checks.float_dtype(dtype)
        shape = checks.shape("weights", weights)
        if len(shape) not in (1, 2) or 0 in shape:
            raise ValueError(
                f"weights must have shape (n_in,) for one unit or (n_in, n_out); got {shape}"
            )
        table = checks.numbers("weights", weights).reshape(shape[0], -1)
        table = checks.finite("weights", checks.matrix("weights", table, table.shape[1], dtype,
                                                       "one column per unit"), table)  # fmt: skip
        units = cls(*table.shape, bias=biases is not None, dtype=dtype)
        units.weights[0][...] = table
        if biases is not None:
            given = checks.shape("biases", biases)
            if given not in ((), (table.shape[1],)):
                raise ValueError(
                    f"biases must have shape ({table.shape[1]},), one for each unit; got {given}"
                )
            row = np.broadcast_to(checks.numbers("biases", biases), (1, table.shape[1]))
            row = checks.matrix("biases", row, table.shape[1], dtype, "one for each unit")
            units.biases[0][...] = checks.finite("biases", row, row)[0]
        return units

    def __repr__(self) -> str:
        n_in, n_out = self.layer_sizes
        parts = [f"{n_in}", f"{n_out}", f"learning_rate={self.learning_rate:g}"]
        parts += [] if self.bias else ["bias=False"]
        return f"Perceptron({', '.join(parts)}, dtype={self.dtype.name!r})"

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Inputs and units."""
        return self._net.layer_sizes

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the parameters."""
        return self._net.dtype

    @property
    def bias(self) -> bool:
        """Whether units have biases."""
        return self._net.bias

    @property
    def params(self) -> FloatArray:
        """All parameters, (n_params,); change them in place."""
        return self._net.params

    @property
    def weights(self) -> tuple[FloatArray, ...]:
        """A live view of the weights, (n_in, n_out), in a tuple of one layer."""
        return self._net.weights

    @property
    def biases(self) -> tuple[FloatArray, ...]:
        """A live view of the biases, (n_out,), in a tuple; empty with ``bias=False``."""
        return self._net.biases

    def net_inputs(self, X: npt.ArrayLike) -> FloatArray:
        """w.x + b of each unit: above 0 it is on, and the plane is where this is 0.

        Parameters
        ----------
        X : array-like, shape (rows, n_in)

        Returns
        -------
        array of `dtype`, shape (rows, n_out)
            With several classes, ``net_inputs(X).argmax(axis=1)`` is the likeliest.

        Raises
        ------
        ValueError, TypeError
            For another shape, no rows, NaN or infinity, or values that are not numeric.

        Examples
        --------
        >>> from fastbp import Perceptron
        >>> X = [[0, 0], [0, 1], [1, 0], [1, 1]]
        >>> unit = Perceptron.from_weights([1, 1], -1.5)
        >>> unit.net_inputs(X).ravel().tolist()
        [-1.5, -0.5, -0.5, 0.5]
        """
        inputs = checks.finite("X", data.inputs(X, self.layer_sizes[0], self.dtype), X)
        out = np.empty((len(inputs), self.layer_sizes[1]), self.dtype)
        for _, some, their_outputs in pieces(self._rows_a_call(), inputs, out):
            call(kernels.net_inputs, self.dtype.char, self.params, some, their_outputs)
        return out

    def predict(self, X: npt.ArrayLike) -> FloatArray:
        """Outputs, 0 or 1.

        Parameters
        ----------
        X : array-like, shape (rows, n_in)

        Returns
        -------
        array of `dtype`, shape (rows, n_out)

        Raises
        ------
        ValueError, TypeError
            As in `net_inputs`.

        Examples
        --------
        >>> from fastbp import Perceptron
        >>> X = [[0, 0], [0, 1], [1, 0], [1, 1]]
        >>> unit = Perceptron.from_weights([1, 1], -1.5)
        >>> unit.predict(X).ravel().tolist()
        [0.0, 0.0, 0.0, 1.0]
        """
        return (self.net_inputs(X) > 0).astype(self.dtype)

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, *, epochs: int = 1000, shuffle: bool = True
    ) -> History:
        """Learn row by row from the current weights until an epoch passes without a mistake.

        Parameters
        ----------
        X : array-like, shape (rows, n_in)
            Not copied when it is a C-contiguous array of the dtype.
        y : array-like
            0 and 1, a column a unit, (rows, n_out), or (rows,) for one unit. For several units
            also integer labels 0 ... n_out - 1 of shape (rows,): each unit then learns to tell
            its class from all others.
        epochs : int, default=1000
            At most.
        shuffle : bool, default=True
            Take the rows in a new order in each epoch.

        Returns
        -------
        History
            "mistakes" are the wrong outputs of each epoch, each counted before the row is
            learned; "loss" is half of them per row, the squared error. ``history.stop_reason`` says
            "no mistake in epoch ..." when all was right; then `predict` gives y.

        Raises
        ------
        ValueError, TypeError
            Bad input; the perceptron is as it was.
        KeyboardInterrupt
            On Ctrl-C, within about a fifth of a second; what was learned so far stays.

        Warns
        -----
        DivergenceWarning
            When a weight is not finite: the weights are those after the last finite epoch.

        Examples
        --------
        >>> from fastbp import Perceptron
        >>> X = [[0, 0], [0, 1], [1, 0], [1, 1]]
        >>> unit = Perceptron(2, seed=0)
        >>> history = unit.fit(X, [0, 0, 0, 1])
        >>> history.stop_reason
        'no mistake in epoch 8'
        """
        epochs = checks.count("epochs", epochs, 0, 2**31 - 1)
        shuffle = checks.flag("shuffle", shuffle)
        inputs = checks.finite("X", data.inputs(X, self.layer_sizes[0], self.dtype), X)
        targets = self._targets(y, len(inputs))
        history = History()
        self.history = history
        mistakes = np.zeros(epochs, np.int64)
        progress = np.zeros(N_PROGRESS, np.int64)
        order = np.arange(len(inputs) if shuffle else 0)
        arguments = (
            self.params, inputs, targets, order, self._net.state.random, progress, mistakes,
            self.params.copy(), self.learning_rate,
        )  # fmt: skip
        pace = Pace(self._rows_a_call())
        status = RUNNING
        start = 0.0
        try:
            while status == RUNNING:
                status = pace.call(kernels.learn, self.dtype.char, arguments)
                start = start or pace.start
        finally:
            done = int(progress[EPOCH])
            spent = time.perf_counter() - (start or pace.start)
            self._note(history, mistakes[:done].tolist(), len(inputs), spent)
        if done and mistakes[done - 1] == 0:
            history.stop_reason = f"no mistake in epoch {done}"
        if status == DIVERGED:
            history.stop_reason = f"diverged in epoch {done + 1}"
            warn(
                f"learning diverged in epoch {done + 1}: a weight is not finite. The weights are "
                "those of the epoch before. Scale the inputs or use dtype='float64'",
                DivergenceWarning,
            )
        return history

    def _targets(self, y: Any, rows: int) -> FloatArray:
        """Targets 0 and 1, (rows, n_out)."""
        n_out = self.layer_sizes[1]
        shape = checks.shape("y", y)
        if n_out > 1 and len(shape) == 1:
            array = checks.numbers("y", y)
            if array.dtype.kind not in "biu":
                raise TypeError(
                    f"y of shape {shape} must hold integer labels 0 to {n_out - 1} for {n_out} "
                    f"units; got dtype {array.dtype}. Or give a column of 0 and 1 for each unit"
                )
            labels = checks.labels(array, rows, n_out)
            columns = np.zeros((rows, n_out), self.dtype)
            columns[np.arange(rows), labels] = 1
            return columns
        targets = checks.targets(y, rows, n_out, self.dtype)
        bad = (targets != 0) & (targets != 1)
        checks.where("y must hold 0 and 1, what the units are to say", bad, targets)
        return targets

    def _rows_a_call(self) -> int:
        """Rows that one compiled call may take, so that Ctrl-C is heard."""
        n_in, n_out = self.layer_sizes
        return max(1, math.ceil(SECONDS_A_CALL * PRODUCTS_A_SECOND / (n_in * n_out + 16)))

    def _note(self, history: History, mistakes: list[int], rows: int, seconds: float) -> None:
        """Write the finished epochs into a history; they share the time evenly."""
        for count in mistakes:
            history.add(
                count / (2 * rows), seconds / len(mistakes), learning_rate=self.learning_rate
            )
        history.other_columns["mistakes"] = [float(count) for count in mistakes]
