"""The peers: all of them do the same arithmetic. PyTorch and JAX are not installed for tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up import SMALL

import fastbp
from compare.peer_base import LEARNING_RATE
from compare.peer_numpy import NumPy, activate, slope
from compare.peers import PEERS, FastBP, ScikitLearn
from fastbp import Adam

EPOCHS = 5  # 20 updates


def trained(peer):
    peer.train(EPOCHS, shuffle=False)
    return peer.parameters()


@pytest.mark.parametrize(
    ("library", "batch_size"), [(NumPy, 1), (NumPy, 6), (NumPy, 24), (ScikitLearn, 6)]
)
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_peers_make_the_updates_of_fastbp(activation, library, batch_size) -> None:
    workload = replace(SMALL, activation=activation, batch_size=batch_size)
    ours, theirs = FastBP(workload, "float64"), library(workload, "float64")
    if not library.same_epsilon:  # one so small that it does not matter where it is added
        ours.net.optimizer = Adam(learning_rate=LEARNING_RATE, epsilon=1e-30)
        theirs.net.set_params(epsilon=1e-30)
    start = theirs.parameters()
    for a, b, first in zip(trained(ours), trained(theirs), start, strict=True):
        assert a.dtype == b.dtype == np.float64
        assert np.abs(a - first).max() > 1e-3
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)
    assert ours.loss() == pytest.approx(theirs.loss(), rel=1e-9)
    assert theirs.predict(theirs.X).shape == (24, 2)
    np.testing.assert_allclose(ours.predict(ours.X), theirs.predict(ours.X), rtol=0, atol=1e-9)


@pytest.mark.parametrize("library", [FastBP, NumPy, ScikitLearn])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(library, dtype) -> None:
    peer = library(SMALL, dtype)
    peer.train(2)
    assert all(array.dtype == dtype for array in peer.parameters())
    assert peer.predict(peer.X[:1]).dtype == dtype
    assert peer.predict(peer.X[:1]).shape == (1, 2)


@pytest.mark.parametrize("library", [FastBP, NumPy, ScikitLearn])
def test_one_output_keeps_its_axis(library) -> None:
    peer = library(replace(SMALL, layer_sizes=(3, 4, 1)))
    peer.train(1)
    assert peer.predict(peer.X).shape == (24, 1)
    assert [array.shape for array in peer.parameters()] == [(3, 4), (4, 1), (4,), (1,)]


@pytest.mark.parametrize("library", [FastBP, NumPy, ScikitLearn])
def test_reset_starts_again(library) -> None:
    peer = library(SMALL, "float64")
    first = [array.copy() for array in peer.parameters()]
    once = trained(peer)
    assert not np.array_equal(once[0], first[0])
    peer.reset()
    for a, b in zip(peer.parameters(), first, strict=True):
        assert np.array_equal(a, b)
    for a, b in zip(trained(peer), once, strict=True):
        assert np.array_equal(a, b)


def test_numpy_shuffles_every_epoch() -> None:
    peer = NumPy(SMALL, "float64")
    seen: list[bytes] = []
    forward = peer.forward
    peer.forward = lambda: (seen.append(peer.targets.tobytes()), forward())
    peer.train(2)
    first, second = set(seen[:4]), set(seen[4:])
    assert len(first) == len(second) == 4
    assert first != second
    rows = np.concatenate([np.frombuffer(batch).reshape(-1, 2) for batch in seen[:4]])
    assert np.array_equal(np.sort(rows, axis=0), np.sort(peer.Y, axis=0))


def test_numpy_allocates_no_arrays_in_a_step() -> None:
    peer = NumPy(SMALL, "float32")
    kept = {id(v): v.ctypes.data for v in vars(peer).values() if isinstance(v, np.ndarray)}
    peer.train(1)
    now = {id(v): v.ctypes.data for v in vars(peer).values() if isinstance(v, np.ndarray)}
    assert now == kept
    assert peer.weights[0].base is not None and np.shares_memory(peer.weights[0], peer.flat)


def test_unknown_activation_is_an_error() -> None:
    z = np.zeros((2, 2))
    with pytest.raises(ValueError, match="no activation 'mish'"):
        activate("mish", z)
    with pytest.raises(ValueError, match="no activation 'mish'"):
        slope("mish", z, z)


def test_names_are_those_of_the_goals_and_in_order() -> None:
    assert list(PEERS) == ["sklearn", "torch", "torch_compile", "jax", "numpy"]
    assert NumPy.installed() and NumPy.version() == f"NumPy {np.__version__}"
    assert FastBP.version() == f"fastbp {fastbp.__version__}"
