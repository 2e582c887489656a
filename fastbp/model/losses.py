"""Losses as small immutable objects: names, traits, hyper-parameters and checks of the targets.

The formulas, with their papers, are in ``kernels/losses.py``. Every loss is summed over the
outputs and averaged over the rows of a batch, weighted by their sample weights if there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.kernels import losses

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]
LossFunction = Callable[..., tuple[float, npt.ArrayLike]]

OF_NAN = ". Where it stands for a target that is missing, make the net with missing_targets=True"
"""What else to do about NaN in the targets of a loss that is a sum over the outputs."""


class Loss:
    """The base of all losses. The class attributes are the one place that knows a loss's traits.

    Attributes
    ----------
    name : str
        For ``MLP(loss=...)``.
    code : int
        By which the kernels know it.
    activation : str
        The output activation that matches it.
    from_logits : bool
        Whether it is computed from the net inputs of the last layer: then no other output
        activation can be combined with it.
    kinked : bool
        Whether its first or second derivative jumps.
    classifies : bool
        Whether its targets are classes: then `MLP.score` is the accuracy, else R^2.
    negative : float
        The target that says no where 1 says yes.
    target_range : tuple of float, or None
        From where to where any finite target is accepted; None if more is to be checked.
    takes_labels : bool
        Whether the targets may be class labels, a whole number a row.
    explains : bool
        Whether its call raises errors where its compiled code returns NaN.

    Examples
    --------
    >>> from fastbp import MLP, Huber
    >>> MLP((4, 8, 1), loss=Huber(delta=0.5)).loss_name
    'huber'
    """

    name: ClassVar[str]
    code: ClassVar[int]
    activation: ClassVar[str] = "identity"
    from_logits: ClassVar[bool] = False
    kinked: ClassVar[bool] = False
    classifies: ClassVar[bool] = False
    negative: ClassVar[float] = 0.0
    target_range: ClassVar[tuple[float, float] | None] = None
    takes_labels: ClassVar[bool] = False
    explains: ClassVar[bool] = False

    @property
    def compiled(self) -> bool:
        """Whether it is compiled into the net."""
        return True

    @property
    def by_output(self) -> bool:
        """Whether it is a sum over the outputs, so that each may be weighted or left out."""
        return True

    def check_by_output(self, option: str, instead: str) -> None:
        """Raise a ValueError for an option that a loss of whole rows cannot have."""
        if not self.by_output:
            raise ValueError(
                f"{option} needs a loss that is a sum over the outputs; {self.name} is one for the "
                f"whole row. {instead}"
            )

    def short(self) -> str | Loss:
        """The name, if it says all, as ``MLP(loss=...)`` takes it; else the loss."""
        kind = LOSSES.get(self.name)
        return self.name if type(self) is kind and self == kind() else self

    def parameters(self, outputs: int) -> npt.NDArray[np.float64]:
        """The loss's parameters as its kernel takes them; none by default."""
        return np.empty(0)

    def code_for(self, dtype: np.dtype[Any]) -> int:
        """By which the kernels of a dtype know it."""
        return self.code

    def check_outputs(self, outputs: int) -> None:
        """Raise a ValueError if the loss cannot have this number of outputs."""

    def targets(
        self, y: Any, rows: int, outputs: int, dtype: np.dtype
    ) -> tuple[FloatArray | None, IntArray | None]:
        """`y` as targets (rows, outputs), or as class labels (rows,); the other is None."""
        return checks.targets(y, rows, outputs, dtype, OF_NAN), None


class MakesLoss(Protocol):
    """An object that can make a loss, as a graph can."""

    def as_loss(self) -> Loss:
        """The loss."""
        ...


@checks.explained_class
@dataclass(frozen=True)
class SquaredError(Loss):
    """Half of the squared difference, 1/2 (y - t)^2.

    Examples
    --------
    >>> from fastbp import MLP, SquaredError
    >>> net = MLP((1, 1), loss=SquaredError(), weight_init="zeros")
    >>> net.loss([[1.0]], [3.0])  # the net says 0
    4.5
    """

    name: ClassVar[str] = "squared_error"
    code: ClassVar[int] = losses.SQUARED_ERROR
    target_range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)

    def parameters(self, outputs: int) -> npt.NDArray[np.float64]:
        """The factor of the loss, but not of its derivative."""
        return np.ones(1)


@checks.explained_class
@dataclass(frozen=True)
class AbsoluteError(Loss):
    """The absolute difference, |y - t|; its minimum is the median.

    Examples
    --------
    >>> from fastbp import MLP, AbsoluteError
    >>> net = MLP((1, 1), loss=AbsoluteError(), weight_init="zeros")
    >>> net.loss([[1.0]], [3.0])  # the net says 0
    3.0
    """

    name: ClassVar[str] = "absolute_error"
    code: ClassVar[int] = losses.ABSOLUTE_ERROR
    target_range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    kinked: ClassVar[bool] = True


@checks.explained_class
@dataclass(frozen=True)
class Huber(Loss):
    """1/2 e^2 for |e| <= delta, delta (|e| - delta / 2) beyond, with e = y - t.

    Parameters
    ----------
    delta : float, default=1.0
        The error at which the parabola turns into lines; above 0, in units of the targets.

    Notes
    -----
    Huber 1964, Annals of Mathematical Statistics 35, equation 1.

    Examples
    --------
    >>> from fastbp import MLP, Huber
    >>> net = MLP((1, 1), loss=Huber(delta=1.0), weight_init="zeros")
    >>> [net.loss([[1.0]], [y]) for y in (0.5, 3.0)]  # the net says 0
    [0.125, 2.5]
    """

    delta: float = 1.0

    name: ClassVar[str] = "huber"
    code: ClassVar[int] = losses.HUBER
    target_range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    kinked: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.positive("delta", self.delta)

    def parameters(self, outputs: int) -> npt.NDArray[np.float64]:
        """Delta, once per output, shape (outputs,)."""
        return np.full(outputs, float(self.delta))


@checks.explained_class
@dataclass(frozen=True)
class Quantile(Loss):
    """The pinball loss, (1 - level) e for e = y - t > 0 and -level e below.

    Its minimum is the quantile of that level.

    Parameters
    ----------
    levels : float or sequence of float, default=0.5
        Above 0 and below 1. One level serves all outputs. Several levels need one output each; the
        targets may then be a single column, (rows,) or (rows, 1), and each output learns its own
        quantile of it.

    Notes
    -----
    Koenker and Bassett 1978, Econometrica 46, equation 2.1.

    Examples
    --------
    Three outputs learn the median and an interval from one column of targets:

    >>> from fastbp import MLP, Quantile
    >>> net = MLP((1, 3), loss=Quantile([0.1, 0.5, 0.9]), weight_init="zeros")
    >>> round(net.loss([[1.0]], [2.0]), 6)  # 0.1 * 2 + 0.5 * 2 + 0.9 * 2
    3.0
    """

    levels: float | Sequence[float] = 0.5

    name: ClassVar[str] = "quantile"
    code: ClassVar[int] = losses.QUANTILE
    target_range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    kinked: ClassVar[bool] = True

    def __post_init__(self) -> None:
        levels = self._all()
        if not levels:
            raise ValueError("levels must hold at least one number above 0 and below 1; got none")
        for level in levels:
            checks.number("levels", level, "above 0 and below 1", lambda x: 0 < x < 1)
        if not isinstance(self.levels, int | float | np.number):
            object.__setattr__(self, "levels", tuple(float(level) for level in levels))

    def _all(self) -> tuple[Any, ...]:
        levels: Any = self.levels
        if isinstance(levels, str | bytes):
            raise TypeError(f"levels must be a number or a sequence of numbers; got {levels!r}")
        if isinstance(levels, np.ndarray):
            return (levels,) if levels.ndim == 0 else tuple(levels)
        return tuple(levels) if isinstance(levels, Sequence) else (levels,)

    def check_outputs(self, outputs: int) -> None:
        """Several levels need the same number of outputs."""
        levels = self._all()
        if len(levels) not in (1, outputs):
            raise ValueError(
                f"Quantile with {len(levels)} levels needs {len(levels)} outputs, one each; the "
                f"last of layer_sizes is {outputs}"
            )

    def parameters(self, outputs: int) -> npt.NDArray[np.float64]:
        """The level of each output, shape (outputs,)."""
        return np.broadcast_to(np.array(self._all(), np.float64), (outputs,)).copy()

    def targets(
        self, y: Any, rows: int, outputs: int, dtype: np.dtype
    ) -> tuple[FloatArray | None, IntArray | None]:
        """As for every loss; with several levels, one column of targets serves all of them."""
        shape = checks.shape("y", y)
        if len(self._all()) > 1 and (len(shape) == 1 or shape[1:] == (1,)):
            column = checks.targets(y, rows, 1, dtype, OF_NAN)
            return np.repeat(column, outputs, axis=1), None
        return super().targets(y, rows, outputs, dtype)


@checks.explained_class
@dataclass(frozen=True)
class Hinge(Loss):
    """max(1 - t y, 0) for targets t of -1 and 1, as in a support vector machine.

    Notes
    -----
    Cortes and Vapnik 1995, Machine Learning 20.

    Examples
    --------
    >>> from fastbp import MLP, Hinge
    >>> net = MLP((1, 1), loss=Hinge(), weight_init="zeros")
    >>> net.loss([[1.0], [2.0]], [-1, 1])  # the net says 0
    1.0
    """

    name: ClassVar[str] = "hinge"
    code: ClassVar[int] = losses.HINGE
    kinked: ClassVar[bool] = True
    classifies: ClassVar[bool] = True
    negative: ClassVar[float] = -1.0

    def targets(
        self, y: Any, rows: int, outputs: int, dtype: np.dtype
    ) -> tuple[FloatArray | None, IntArray | None]:
        """-1 and 1."""
        targets = checks.targets(y, rows, outputs, dtype, OF_NAN)
        bad = np.abs(targets) != 1
        checks.where("y must hold -1 and 1 for hinge; 2 * y - 1 maps 0 and 1", bad, targets)
        return targets, None


@checks.explained_class
@dataclass(frozen=True)
class Poisson(Loss):
    """Half the Poisson deviance, p - t + t log(t / p), of targets t >= 0 and p = exp(z).

    Notes
    -----
    McCullagh and Nelder, Generalized Linear Models, 1989, section 2.3; as in scikit-learn.

    Examples
    --------
    >>> from fastbp import MLP, Poisson
    >>> net = MLP((1, 1), loss=Poisson(), weight_init="zeros")
    >>> net.predict([[1.0]]).item(), net.loss([[1.0]], [0])
    (1.0, 1.0)
    """

    name: ClassVar[str] = "poisson"
    code: ClassVar[int] = losses.POISSON
    target_range: ClassVar[tuple[float, float]] = (0.0, np.inf)
    activation: ClassVar[str] = "exp"
    from_logits: ClassVar[bool] = True

    def targets(
        self, y: Any, rows: int, outputs: int, dtype: np.dtype
    ) -> tuple[FloatArray | None, IntArray | None]:
        """At least 0."""
        targets = checks.targets(y, rows, outputs, dtype, OF_NAN)
        checks.where("y must be at least 0 for poisson: counts or rates", targets < 0, targets)
        return targets, None


@checks.explained_class
@dataclass(frozen=True)
class Gamma(Loss):
    """Half the gamma deviance, t / p - 1 - log(t / p), of targets t > 0 and p = exp(z).

    Notes
    -----
    McCullagh and Nelder, Generalized Linear Models, 1989, section 2.3.

    Examples
    --------
    >>> from fastbp import MLP, Gamma
    >>> net = MLP((1, 1), loss=Gamma(), weight_init="zeros")
    >>> net.predict([[1.0]]).item(), net.loss([[1.0]], [1.0])
    (1.0, 0.0)
    """

    name: ClassVar[str] = "gamma"
    code: ClassVar[int] = losses.GAMMA
    target_range: ClassVar[tuple[float, float]] = (float(np.finfo(np.float32).tiny), np.inf)
    activation: ClassVar[str] = "exp"
    from_logits: ClassVar[bool] = True

    def targets(
        self, y: Any, rows: int, outputs: int, dtype: np.dtype
    ) -> tuple[FloatArray | None, IntArray | None]:
        """Above 0, and normal numbers."""
        targets = checks.targets(y, rows, outputs, dtype, OF_NAN)
        least = self.target_range[0]
        checks.where(
            f"y must be above 0 (at least {least:.2g}) for gamma", targets < least, targets
        )
        return targets, None


class Smoothed(Loss):
    """The base of losses whose targets are probabilities, which label smoothing draws together."""

    label_smoothing: float
    from_logits: ClassVar[bool] = True
    classifies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.fraction("label_smoothing", self.label_smoothing)

    def parameters(self, outputs: int) -> npt.NDArray[np.float64]:
        """Factor and summand of the targets, and the value at which the loss is cut off."""
        smoothing = float(self.label_smoothing)
        return np.array([1.0 - smoothing, smoothing / max(2, outputs), np.inf])


@checks.explained_class
@dataclass(frozen=True)
class BinaryCrossEntropy(Smoothed):
    """-t log p - (1 - t) log(1 - p) for each output, p its sigmoid, t between 0 and 1.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Targets become (1 - label_smoothing) t + label_smoothing / 2.

    Examples
    --------
    >>> from fastbp import MLP, BinaryCrossEntropy
    >>> net = MLP((1, 1), loss=BinaryCrossEntropy(label_smoothing=0.1), weight_init="zeros")
    >>> round(net.loss([[1.0], [2.0]], [0, 1]), 4)  # the net says 1/2
    0.6931
    """

    label_smoothing: float = 0.0

    name: ClassVar[str] = "binary_cross_entropy"
    code: ClassVar[int] = losses.BINARY_CROSS_ENTROPY
    target_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    activation: ClassVar[str] = "sigmoid"

    def parameters(self, outputs: int) -> npt.NDArray[np.float64]:
        """Those of two classes, whatever the number of outputs."""
        return super().parameters(2)

    def targets(
        self, y: Any, rows: int, outputs: int, dtype: np.dtype
    ) -> tuple[FloatArray | None, IntArray | None]:
        """Between 0 and 1."""
        targets = checks.targets(y, rows, outputs, dtype, OF_NAN)
        checks.unit_interval(targets, self.name)
        return targets, None


@checks.explained_class
@dataclass(frozen=True)
class CrossEntropy(Smoothed):
    """-sum_i t_i log p_i for each row, p the softmax of the net inputs.

    Targets are class labels 0 ... outputs - 1, or the probabilities t_i of the classes.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Targets become (1 - label_smoothing) t + label_smoothing / classes.

    Notes
    -----
    Label smoothing: Szegedy et al., CVPR 2016, section 7.

    Examples
    --------
    >>> from fastbp import MLP, CrossEntropy
    >>> net = MLP((2, 4), loss=CrossEntropy(label_smoothing=0.1), weight_init="zeros")
    >>> net.predict([[1.0, 2.0]]).tolist(), round(net.loss([[1.0, 2.0]], [3]), 4)
    ([[0.25, 0.25, 0.25, 0.25]], 1.3863)
    """

    label_smoothing: float = 0.0

    name: ClassVar[str] = "cross_entropy"
    code: ClassVar[int] = losses.CROSS_ENTROPY
    takes_labels: ClassVar[bool] = True
    activation: ClassVar[str] = "softmax"

    @property
    def by_output(self) -> bool:
        """The outputs share one target."""
        return False

    def check_outputs(self, outputs: int) -> None:
        """There must be one output per class."""
        if outputs < 2:
            raise ValueError(
                "cross_entropy needs one output per class, at least 2; for two classes and one "
                "output use loss='binary_cross_entropy'"
            )

    def targets(
        self, y: Any, rows: int, outputs: int, dtype: np.dtype
    ) -> tuple[FloatArray | None, IntArray | None]:
        """Labels or probabilities."""
        return checks.classes(y, rows, outputs, dtype)


@checks.explained_class
@dataclass(frozen=True)
class CallableLoss(Loss):
    """A loss in Python, computed a batch at a time.

    Parameters
    ----------
    function : callable
        ``function(y_pred, y)``, or with sample weights ``function(y_pred, y, sample_weight)``,
        takes arrays (rows, outputs) of the net's dtype and returns the loss of the batch and its
        derivative by `y_pred`, (rows, outputs). The function does the averaging: it divides by
        the number of rows, or by the sum of the sample weights. The arrays other than `y_pred` are
        read-only: they may be views of the user's. Where several outputs have weights of their own,
        or targets that may be missing, `sample_weight` is (rows, outputs), and its sum is to be
        divided by the number of outputs; a missing target is 1, with a weight of 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, CallableLoss
    >>> def log_cosh(y_pred, y):
    ...     e = y_pred - y
    ...     return np.log(np.cosh(e)).sum() / len(e), np.tanh(e) / len(e)
    >>> net = MLP((1, 1), loss=CallableLoss(log_cosh), weight_init="zeros")
    >>> round(net.loss([[1.0]], [2.0]), 4)
    1.325
    """

    function: LossFunction

    def __repr__(self) -> str:
        return f"CallableLoss({checks.name_of(self.function)})"

    name: ClassVar[str] = "callable"
    code: ClassVar[int] = losses.CALLABLE

    @property
    def compiled(self) -> bool:
        """It is not."""
        return False

    def __call__(self, y_pred: FloatArray, *arguments: FloatArray) -> tuple[float, FloatArray]:
        """Loss and derivative, checked."""
        result = self.function(y_pred, *arguments)
        accepted = f"a loss must return (value, derivative by y_pred of shape {y_pred.shape})"
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(
                f"{accepted}; got {checks.described(result)}"
                f"{checks.instead('loss', checks.name_of(self.function), LOSSES)}"
            )
        try:
            value = float(result[0])
        except (TypeError, ValueError):
            raise TypeError(f"{accepted}; got the value {result[0]!r}") from None
        delta = np.asarray(result[1])
        if delta.shape != y_pred.shape:
            raise ValueError(f"{accepted}; got a derivative of shape {delta.shape}")
        if delta.dtype.kind not in "biuf":
            raise TypeError(f"{accepted}; got a derivative of dtype {delta.dtype}")
        with np.errstate(over="ignore"):
            return value, np.require(delta, y_pred.dtype, ["C", "A"])


NAMED = (
    SquaredError, AbsoluteError, Huber, Quantile, Hinge, Poisson, Gamma, BinaryCrossEntropy,
    CrossEntropy,
)  # fmt: skip
LOSSES: dict[str, type[Loss]] = {loss.name: loss for loss in NAMED}
"""Names, for ``MLP(loss=...)``."""


def as_loss(loss: str | Loss | MakesLoss | LossFunction) -> Loss:
    """A loss from its name (with its defaults), a `Loss`, a graph or a function."""
    if isinstance(loss, Loss):
        return loss
    if hasattr(loss, "as_loss"):
        made: Loss = loss.as_loss()
        return made
    if isinstance(loss, str):
        return LOSSES[checks.choice("loss", loss, LOSSES)]()
    if callable(loss) and not isinstance(loss, type):
        return CallableLoss(loss)
    raise TypeError(
        f"loss must be a name ({', '.join(map(repr, LOSSES))}), an object such as "
        f"Huber(delta=0.5), a graph of y_pred and y, or a function (y_pred, y) -> (value, "
        f"derivative by y_pred); got {checks.described(loss)}"
        f"{checks.instead('loss', loss, LOSSES, Loss)}"
    )
