"""Warnings that point at the line of the user's program that led to them."""

from __future__ import annotations

import sys
import warnings

NOT_THE_USERS = ("fastbp", "sklearn", "abc")
"""Packages that warnings do not point into: scikit-learn wraps the methods of estimators, and `abc`
makes their subclasses."""


class DivergenceWarning(RuntimeWarning):
    """Training produced numbers that are not finite and was stopped.

    Examples
    --------
    A program that rather stops than goes on with the parameters of an earlier epoch:

    >>> import warnings
    >>> from fastbp import MLP, SGD, DivergenceWarning
    >>> net = MLP((1, 4, 1), optimizer=SGD(1e30), seed=0)
    >>> with warnings.catch_warnings(action="error", category=DivergenceWarning):
    ...     try:
    ...         history = net.fit([[1], [2]], [1, 2])
    ...     except DivergenceWarning:
    ...         print("diverged")
    diverged
    """


def warn(message: str, category: type[Warning] = UserWarning, module: str | None = None) -> None:
    """Warn at the innermost line outside this package and scikit-learn that led here.

    A count of the frames from here to there would be wrong with every function that is extracted.
    From Python 3.12 on, ``skip_file_prefixes`` of `warnings.warn` does the same.

    Parameters
    ----------
    message : str
    category : type of Warning, default=UserWarning
    module : str, default=None
        The name of the module that filters see; None means that of the line.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and _package(frame.f_globals) in NOT_THE_USERS:
        frame = frame.f_back
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module or str(frame.f_globals.get("__name__") or "<unknown>"),
        frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _package(names: dict[str, object]) -> str:
    """The package of a module, by its global names."""
    return str(names.get("__name__")).partition(".")[0]
