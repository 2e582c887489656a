"""Systems of linear equations by SciPy and by NumPy."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from fastbp.methods.cholesky import solve_by_numpy, solver


def test_scipys_is_taken_where_it_is_there(monkeypatch) -> None:
    assert solver() is not solve_by_numpy
    actual = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("scipy"):
            raise ImportError(name)
        return actual(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert solver() is solve_by_numpy


@pytest.mark.parametrize("solve", [solver(), solve_by_numpy])
@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_only_the_lower_triangle_counts(size, solve) -> None:
    rng = np.random.default_rng(size)
    root = rng.normal(size=(size, size))
    matrix = root @ root.T + 0.1 * np.eye(size)
    x = rng.normal(size=size)
    given = np.tril(matrix) + np.triu(np.full_like(matrix, 1e6), 1)
    np.testing.assert_allclose(solve(given, matrix @ x), x, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("solve", [solver(), solve_by_numpy])
def test_none_where_it_is_not_positive_definite(solve) -> None:
    assert solve(np.array([[1.0, 0.0], [2.0, 1.0]]), np.ones(2)) is None
    assert solve(np.array([[0.0]]), np.ones(1)) is None
