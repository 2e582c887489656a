"""The first layer on sparse rows, against dense rows: the same model but for rounding."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from helpers import DTYPES, counts

from fastbp import MLP
from fastbp.kernels import workspace
from fastbp.model import net as model_net

SEEDS = range(counts(24, 400, 6))


def random_case(seed: int, dtype: str):
    """Two equal nets of random shape, and sparse rows that are neither sorted nor summed."""
    rng = np.random.default_rng(seed)
    n_in = int(rng.choice([1, 3, 17, 150]))
    sizes = (n_in, *rng.integers(1, 23, int(rng.integers(1, 4))).tolist())
    options = {
        "activation": str(rng.choice(["relu", "tanh"])), "dtype": dtype, "seed": seed,
        "bias": bool(rng.integers(3)), "l2": float(rng.choice([0, 0.1])),
        "clip_norm": (None, 0.5)[rng.integers(2)], "max_norm": (None, 0.7)[rng.integers(2)],
        "optimizer": str(rng.choice(["sgd", "adam"])),
    }  # fmt: skip
    rows = int(rng.choice([1, 2, 9, 40]))
    lengths = rng.integers(0, int(rng.choice([2, 12])), rows)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    columns = rng.integers(0, n_in, starts[-1])
    values = rng.normal(size=starts[-1]) * (rng.random(starts[-1]) < 0.8)  # zeros among them
    kind = (scipy.sparse.csr_matrix, scipy.sparse.csr_array)[rng.integers(2)]
    X = kind((values.astype(dtype), columns, starts), shape=(rows, n_in))
    index = (np.int32, np.int64)[rng.integers(2)]
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    y = rng.normal(size=(rows, sizes[-1]))
    return MLP(sizes, **options), MLP(sizes, **options), X, y, int(rng.integers(1, rows + 1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_as_dense_rows(seed: int, dtype: str, monkeypatch) -> None:
    if seed % 3 == 0:  # several passes
        monkeypatch.setattr(model_net, "SPARSE_PASS_ROWS", 7)
    if seed % 2 == 0:  # one unit at a time
        monkeypatch.setattr(workspace, "SECOND_CACHE_BYTES", 64)
    dense, sparse, X, y, batch_size = random_case(seed, dtype)
    rows = X.toarray()
    exact = 1e-12 if dtype == "float64" else 2e-5
    close = {"rtol": exact, "atol": exact}
    np.testing.assert_allclose(sparse.predict(X), dense.predict(rows), **close)
    (loss, grad), (expected_loss, expected) = (
        sparse.loss_and_grad(X, y),
        dense.loss_and_grad(rows, y),
    )
    assert loss == pytest.approx(expected_loss, rel=exact)
    np.testing.assert_allclose(grad, expected, **close)
    for net, inputs in ((dense, rows), (sparse, X)):
        net.optimizer = type(net.optimizer)(1e-3)
        net.fit(inputs, y, epochs=2, batch_size=batch_size)
    np.testing.assert_allclose(sparse.history["loss"], dense.history["loss"], rtol=100 * exact)
    if type(dense.optimizer).__name__ == "SGD":  # Adam divides by a gradient that may be 0
        np.testing.assert_allclose(sparse.params, dense.params, **close)


def test_adam_takes_the_same_steps() -> None:
    rng = np.random.default_rng(0)
    X = scipy.sparse.random(60, 30, 0.2, format="csr", random_state=0)
    y = rng.normal(size=(60, 3))
    nets = [MLP((30, 9, 3), dtype="float64", seed=0) for _ in range(2)]
    for net, rows in zip(nets, (X, X.toarray()), strict=True):
        net.fit(rows, y, epochs=5, batch_size=16)
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=1e-10, atol=1e-13)


def test_no_part_of_the_workspace_grows_with_rows_times_inputs() -> None:
    net = MLP((5000, 8, 1), seed=0)
    sizes = {rows: net.workspace(rows, True, sparse=True).work.values.size for rows in (100, 400)}
    assert sizes[400] - sizes[100] < 400 * 50
    assert sizes[400] < 5000 * 25
