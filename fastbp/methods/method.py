"""What a full-batch method is: the base class of all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from fastbp import checks
from fastbp.methods.objective import Objective
from fastbp.model.net import Net

LOWEST = "no step lowers the loss any further"

Report = Callable[..., bool]
"""Called after each iteration, when parameters, loss and gradient belong together, and given the
method's own `columns` by their names; returns whether to stop."""


class NotFiniteError(ArithmeticError):
    """The loss or a derivative is not finite; the fit ends as diverged."""


@dataclass(frozen=True)
class Method(ABC):
    """Base class of the full-batch methods.

    Parameters
    ----------
    tolerance : float, default=1e-5
        Training stops when no partial derivative exceeds it; at least 0. SciPy's gtol.

    Attributes
    ----------
    name : str
        Its name in ``fit(method=...)``.
    smooth_only : bool
        Whether an L1 penalty is rejected, which has a kink at 0, where it drives weights to.
    columns : tuple of str
        Columns of the history that it has beside those of all methods.

    Examples
    --------
    >>> from fastbp.methods import METHODS, Method
    >>> sorted(METHODS)
    ['conjugate_gradient', 'gradient_descent', 'lbfgs', 'lm', 'rprop', 'scaled_conjugate_gradient']
    >>> all(issubclass(kind, Method) for kind in METHODS.values())
    True
    """

    tolerance: float = 1e-5

    name: ClassVar[str]
    smooth_only: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        checks.at_least_zero("tolerance", self.tolerance)

    def check(self, net: Net) -> None:  # noqa: B027 - most methods can train any
        """Raise a ValueError for a net that this method cannot train."""

    @abstractmethod
    def minimise(self, objective: Objective, report: Report) -> str:
        """Minimise an objective, starting from its current parameters, where it has been evaluated.

        Parameters
        ----------
        objective : Objective
        report : callable
            See `Report`.

        Returns
        -------
        str
            Why it ended; "" if `report` asked for it.
        """
