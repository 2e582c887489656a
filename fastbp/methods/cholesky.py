"""Linear systems of symmetric, positive definite matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
Solve = Callable[[Matrix, Vector], Vector | None]


def solver() -> Solve:
    """The fastest function here that solves A x = b from the lower triangle of A.

    It overwrites A, and returns None where A is not positive definite.
    """
    try:
        import scipy.linalg.lapack
    except ImportError:
        return solve_by_numpy
    lapack: Any = scipy.linalg.lapack

    def solve(a: Matrix, b: Vector) -> Vector | None:
        """By LAPACK's potrf and potrs: the lower triangle by rows is the upper one by columns."""
        factor, failed = lapack.dpotrf(a.T, lower=0, overwrite_a=1, clean=0)
        if failed:
            return None
        found: Vector = lapack.dpotrs(factor, b, lower=0)[0]
        return found

    return solve


def solve_by_numpy(a: Matrix, b: Vector) -> Vector | None:
    """The same where there is no SciPy: NumPy does not know that a factor is triangular."""
    try:
        lower = np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        return None
    return np.linalg.solve(lower.T, np.linalg.solve(lower, b))
