"""Optimisers: ten updates as PyTorch does them, hyper-parameters, names."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import MLP, SGD, Adam
from fastbp.kernels import updates
from fastbp.optimizers import OPTIMIZERS, as_optimizer

FIGURES = json.loads((Path(__file__).parent / "figures/torch_updates.json").read_text("utf-8"))


def torch_net(run, dtype):
    optimizer = getattr(fastbp, run["optimizer"])(**run["options"])
    net = MLP(FIGURES["sizes"], activation="tanh", optimizer=optimizer, dtype=dtype)
    net.params[:] = FIGURES["params"]
    return net


@pytest.mark.parametrize("name", FIGURES["runs"])
def test_ten_updates_agree_with_pytorch(name):
    run = FIGURES["runs"][name]
    net = torch_net(run, "float64")
    assert len(run["params"]) == len(run["losses"]) == 10
    for expected_loss, expected in zip(run["losses"], run["params"], strict=True):
        loss = net.step(FIGURES["inputs"], FIGURES["targets"])
        assert loss == pytest.approx(expected_loss, rel=1e-6)
        np.testing.assert_allclose(net.params, expected, rtol=1e-6, atol=1e-9)
    assert np.abs(net.params - FIGURES["params"]).max() > 0.005


@pytest.mark.parametrize("name", FIGURES["runs"])
def test_ten_updates_in_one_fit_agree_with_pytorch(name):
    run = FIGURES["runs"][name]
    net = torch_net(run, "float64")
    history = net.fit(FIGURES["inputs"], FIGURES["targets"], epochs=10, batch_size=5)
    np.testing.assert_allclose(history.loss, run["losses"], rtol=1e-6)
    np.testing.assert_allclose(net.params, run["params"][-1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", FIGURES["runs"])
def test_ten_updates_in_float32_agree_with_pytorch(name):
    run = FIGURES["runs"][name]
    net = torch_net(run, "float32")
    net.fit(FIGURES["inputs"], FIGURES["targets"], epochs=10, batch_size=5)
    np.testing.assert_allclose(net.params, run["params"][-1], rtol=1e-4, atol=1e-5)


def test_pytorch_figures_differ_between_the_runs():
    ends = [tuple(run["params"][-1]) for run in FIGURES["runs"].values()]
    assert len(set(ends)) == 5


def test_adam_never_divides_zero_by_zero():
    # A ReLU that is off: gradient, m and v stay 0.
    for dtype in ("float32", "float64"):
        net = MLP((2, 3, 1), dtype=dtype, optimizer=Adam(learning_rate=0.1, epsilon=1e-30), seed=0)
        net.weights[0][...], net.biases[0][...] = 0, -1
        before = net.params[:9].copy()
        net.fit([[1.0, 2.0]], [3.0], epochs=20)
        assert net.params[:9].tobytes() == before.tobytes()
        assert net.params[12] > 1.5
        assert np.isfinite(net.params).all()


def test_names_and_defaults():
    assert OPTIMIZERS == {"sgd": SGD, "adam": Adam}
    assert as_optimizer("sgd") == SGD(learning_rate=0.01, momentum=0.0, nesterov=False)
    assert as_optimizer("adam") == Adam(learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
    optimizer = SGD(0.5)
    assert as_optimizer(optimizer) is optimizer
    assert (SGD.n_slots, Adam.n_slots) == (1, 2)
    assert (SGD.code, Adam.code) == (updates.SGD, updates.ADAM)
    with pytest.raises(dataclasses.FrozenInstanceError):
        optimizer.learning_rate = 1.0


def test_write_and_reset():
    scalars = np.full(updates.N_SCALARS, 7.0)
    Adam(0.25, beta_1=0.5, beta_2=0.75, epsilon=0.125).write(scalars)
    assert scalars[updates.LEARNING_RATE] == 0.25
    assert scalars[[updates.BETA_1, updates.BETA_2, updates.EPSILON]].tolist() == [0.5, 0.75, 0.125]
    assert scalars[[updates.WEIGHTS_1, updates.WEIGHTS_2]].tolist() == [7, 7]
    Adam().reset(scalars)
    assert scalars[[updates.WEIGHTS_1, updates.WEIGHTS_2]].tolist() == [0, 0]
    SGD(0.5, momentum=0.25, nesterov=True).reset(scalars)
    assert scalars[[updates.LEARNING_RATE, updates.MOMENTUM, updates.NESTEROV]].tolist() == [
        0.5,
        0.25,
        1,
    ]
    assert scalars[[updates.WEIGHTS_1, updates.WEIGHTS_2]].tolist() == [0, 0]


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.longdouble(0.5), 0.5])
def test_numbers_of_numpy_are_accepted(number):
    net = MLP((1, 1), optimizer=SGD(number), dtype="float64", bias=False)
    net.weights[0][...] = 0
    net.step([[1.0]], [1.0])
    assert net.params.tolist() == [0.5]
    assert SGD(np.int64(1)).learning_rate == 1


INF, NAN = float("inf"), float("nan")
BAD = [
    (SGD, "learning_rate", bad, "a finite number above 0")
    for bad in (0, -0.1, NAN, INF, -INF, 10**400, np.float32(NAN), np.longdouble("1e4000"))
]
BAD += [
    (kind, name, bad, "at least 0 and below 1")
    for kind, name in ((SGD, "momentum"), (Adam, "beta_1"), (Adam, "beta_2"))
    for bad in (-0.1, 1, 1.5, NAN, INF, -(10**400))
]
BAD += [(Adam, "learning_rate", -1, "above 0"), (Adam, "epsilon", 0, "above 0")]


@pytest.mark.parametrize(("kind", "name", "bad", "accepted"), BAD)
def test_numbers_out_of_range(kind, name, bad, accepted):
    with pytest.raises(ValueError, match=f"{name} must be .*{accepted}; got ") as caught:
        kind(**{name: bad})
    assert str(caught.value).endswith(repr(bad))


@pytest.mark.parametrize("bad", [True, "0.1", None, [0.1], 1j, np.complex64(1), np.array(0.1)])
@pytest.mark.parametrize(
    ("kind", "name"),
    [(SGD, "learning_rate"), (SGD, "momentum"), (Adam, "beta_1"), (Adam, "epsilon")],
)
def test_what_is_no_number(kind, name, bad):
    with pytest.raises(TypeError, match=f"{name} must be a number") as caught:
        kind(**{name: bad})
    assert str(caught.value).endswith(repr(bad))


def test_nesterov_needs_momentum():
    with pytest.raises(ValueError, match="nesterov=True needs a momentum above 0"):
        SGD(nesterov=True)
    for bad in (1, None, "yes"):
        with pytest.raises(TypeError, match="nesterov must be True or False"):
            SGD(momentum=0.9, nesterov=bad)
    assert SGD(momentum=0.9, nesterov=np.True_).nesterov


@pytest.mark.parametrize(
    ("bad", "error"),
    [("rmsprop", ValueError), (Adam, TypeError), (None, TypeError), (1, TypeError)],
)
def test_unknown_optimizers(bad, error):
    with pytest.raises(error, match="optimizer must be .*Adam\\(learning_rate=1e-3\\)"):
        as_optimizer(bad)
    net = MLP((2, 1), optimizer="sgd", seed=0)
    net.fit([[1.0, 2.0]], [3.0])
    kept = net._slots.tobytes(), net._scalars.tobytes()
    with pytest.raises(error):
        net.optimizer = bad
    assert (net._slots.tobytes(), net._scalars.tobytes()) == kept
    assert net.optimizer == SGD()
