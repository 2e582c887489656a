"""One epoch of a plane, against the same in NumPy; its shuffle, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from sklearn.utils._seq_dataset import ArrayDataset64

from fastbp.kernels.state import Entries
from fastbp.perceptron import plane

ROWS, K = 30, 21


def reference(w, bias, q, X, t, weights, order, rules):
    rate, decay, l2, l1, sparse = rules
    total, losses, u, learned = 0.0, 0.0, 0.0, 0
    squares, magnitudes = w @ w, np.abs(w).sum()
    for row in order:
        if weights[row] < 0:
            continue
        learned += 1
        margin = t[row] * (w @ X[row] + bias)
        touched = (X[row] != 0) if sparse else np.ones(len(w), bool)
        losses += max(0.0, -margin)
        total += max(0.0, -margin) + l2 * squares / 2 + l1 * magnitudes
        shrink = max(0.0, 1 - rate * l2)
        w *= shrink
        squares, magnitudes = squares * shrink**2, magnitudes * shrink
        if margin <= 0:
            w += rate * weights[row] * t[row] * X[row]
            bias += decay * rate * weights[row] * t[row]
            if weights[row]:
                squares, magnitudes = w[touched] @ w[touched], np.abs(w[touched]).sum()
        u += rate * l1
        before = w.copy()
        down = np.where(w > 0, np.maximum(0, w - (u + q)), np.minimum(0, w + (u - q)))
        w[touched] = np.where(w == 0, 0, down)[touched]
        q += w - before
    return total / learned, bias, u, losses / learned


@pytest.mark.parametrize(
    "rules",
    [
        (1.0, 1.0, 0, 0, 0),
        (0.3, 0.0, 0.1, 0, 0),
        (0.5, 1, 0.1, 0.05, 0),
        (1.0, 0.01, 0, 0, 1),
        (0.5, 0.01, 0, 0.02, 1),
        (0.5, 0.0, 0.1, 0.05, 1),
        (0.9, 1, 1, 0.1, 1),
        (1.0, 1.0, 1.5, 0, 1),
    ],
)
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_epoch(rules, start) -> None:
    """From 0 the first net input is 0, which is a mistake."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(ROWS, K)) * (rng.random((ROWS, K)) < 0.5)
    t, weights = rng.choice([-1.0, 1.0], ROWS), rng.uniform(0, 2, ROWS)
    weights[[4, 9]] = -1  # held out
    weights[5] = 0
    w, q = start * rng.normal(size=K), np.zeros(K)
    state = np.array([start / 2, 0.0, w @ w, np.abs(w).sum(), 1.0, 0.0])
    expected_w, expected_q = w.copy(), q.copy()
    expected = reference(expected_w, start / 2, expected_q, X, t, weights, range(ROWS), rules)
    settings = np.array(rules[:4], float)
    if rules[4]:
        rows = scipy.sparse.csr_array(X)
        entries = Entries(rows.data, rows.indices.astype(np.int32), rows.indptr.astype(np.int64))
        steps = rules[1] * rules[0] * weights * t
        loss = plane.sparse_plane_epoch(
            w, state, q, entries, t, weights, steps, np.arange(ROWS), settings, -1
        )
        w *= state[4]
    else:
        loss = plane.plane_epoch(w, state, q, X, t, weights, np.arange(ROWS), settings, -1)
    found = [loss, *state[:2], state[plane.MEAN_LOSS]]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(w, expected_w, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(q, expected_q, rtol=1e-11, atol=1e-13)


def test_shuffle_is_scikit_learns() -> None:
    X, one = np.zeros((ROWS, 1)), np.ones(ROWS)
    for seed in (1, 12345, 2**31 - 2):
        theirs = ArrayDataset64(np.arange(ROWS, dtype=float)[:, None].copy(), one, one)
        order = np.arange(ROWS)
        for _ in range(3):  # goes on from the order before, with the same stream
            theirs._shuffle_py(seed)
            plane.plane_epoch(
                np.zeros(1), np.zeros(6), np.zeros(1), X, one, one, order, np.zeros(4), seed
            )
            expected = [int(theirs._next_py()[3]) for _ in range(ROWS)]
            assert order.tolist() == expected
