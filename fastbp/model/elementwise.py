"""Activations and losses that are a user's functions of single numbers, compiled into the net."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.kernels.elementwise import ACTIVATION, LOSS
from fastbp.kernels.losses import CALLABLE
from fastbp.machine.elementwise import Kind, Loop, check_parameters, loop_of, python_function
from fastbp.model.activations import Activation
from fastbp.model.losses import Loss

FloatArray = npt.NDArray[np.floating]


class Elementwise:
    """The base of both: a function, and the loops that were compiled around it.

    The loops are kept here, so that their code stays as long as a net has the function.
    """

    kind: ClassVar[Kind]
    function: Any

    def __post_init__(self) -> None:
        check_parameters(self.kind, self.function)
        loops: dict[str, Loop] = {}
        object.__setattr__(self, "_loops", loops)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({checks.name_of(self.function)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.function,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Elementwise:
        return self

    def code_for(self, dtype: np.dtype[Any]) -> int:
        """Where the compiled loop stands, which is the code that the kernels know it by."""
        loops: dict[str, Loop] = vars(self)["_loops"]
        if dtype.char not in loops:
            loops[dtype.char] = loop_of(self.kind, self.function, dtype)
        return loops[dtype.char].address


@checks.explained_class
@dataclass(frozen=True, repr=False)
class ElementwiseActivation(Elementwise, Activation):
    """An activation of your own, compiled into the net: a function of one number.

    Parameters
    ----------
    function : callable
        ``function(z) -> (y, slope)``: the output for a net input and its derivative dy/dz, all of
        them single numbers. A Python function or one compiled by `numba.njit`, also from a
        notebook; what it calls may be either, too.

    Raises
    ------
    TypeError
        If it takes other parameters; and when a net is made with it, if Numba cannot compile it,
        it does not return two numbers, or may raise an exception.

    Notes
    -----
    It is compiled once for a dtype, in some tenths of a second, into a loop that LLVM vectorises;
    it then costs what a built-in activation of the same formula costs, or up to twice that. So do
    exp, expm1, log, log1p and tanh of `math` and NumPy, for which fastbp has its own; others, such
    as sin, are called number by number, a few nanoseconds each.

    It is compiled anew with fastbp's options, whatever its own are: a division by 0 is infinite
    or NaN, and nothing may raise. Its floats, those that it reads from outside included, are taken
    in the net's dtype, as NumPy takes Python's floats; they are constants from then on. A whole
    number among float32, as in ``2 * z``, makes float64 of them: write ``2.0 * z``. A NaN ends
    training as one of a built-in activation does. The function must end for every number.

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> from fastbp import MLP, ElementwiseActivation
    >>> def snake(z):  # Ziyin, Hartwig and Ueda, NeurIPS 2020
    ...     s = math.sin(z)
    ...     return z + s * s, 1.0 + 2.0 * s * math.cos(z)
    >>> net = MLP((1, 16, 1), activation=ElementwiseActivation(snake), seed=0)
    >>> net.predict(np.zeros((2, 1))).shape
    (2, 1)
    """

    function: Callable[..., tuple[float, float]]

    kind: ClassVar[Kind] = ACTIVATION

    @property
    def compiled(self) -> bool:
        """It is."""
        return True

    def __str__(self) -> str:
        return checks.name_of(self.function)

    def __call__(self, z: FloatArray, with_slope: bool) -> tuple[FloatArray, FloatArray]:
        """Outputs and derivatives, number by number in Python."""
        found = [python_function(self.function)(number) for number in z.flat]
        both = np.array(found, z.dtype).reshape(*z.shape, 2)
        return both[..., 0], both[..., 1]


@checks.explained_class
@dataclass(frozen=True, repr=False)
class ElementwiseLoss(Elementwise, Loss):
    """A loss of your own, compiled into the net: a function of one output and its target.

    The loss of a row is the sum over its outputs. Rows and outputs are averaged and weighted as
    with a built-in loss, missing targets left out.

    Parameters
    ----------
    function : callable
        ``function(y, t) -> (value, slope)``: the loss of an output and its derivative by y, all
        of them single numbers. Otherwise as in `ElementwiseActivation`.

    Raises
    ------
    TypeError
        As `ElementwiseActivation`.

    Notes
    -----
    The output activation is the identity unless you name another.

    Examples
    --------
    >>> import math
    >>> from fastbp import MLP, ElementwiseLoss
    >>> def log_cosh(y, t):
    ...     e = abs(y - t)
    ...     return e + math.log1p(math.exp(-2.0 * e)) - math.log(2.0), math.tanh(y - t)
    >>> net = MLP((1, 1), loss=ElementwiseLoss(log_cosh), weight_init="zeros", seed=0)
    >>> round(net.loss([[1.0]], [[1.0]]), 6)
    0.433781
    """

    function: Callable[..., tuple[float, float]]

    kind: ClassVar[Kind] = LOSS
    name: ClassVar[str] = "elementwise"
    code: ClassVar[int] = CALLABLE  # none of the built-in ones: see code_for
    kinked: ClassVar[bool] = True  # it may be
    target_range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
