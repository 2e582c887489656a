"""Penalties, clipping and limits against NumPy; all at once and block by block the same bits."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from entry_points import entry_point
from helpers import DTYPES

from fastbp import MLP
from fastbp import SGD as PlainSGD
from fastbp.kernels import optimizers as steps
from fastbp.kernels import regularization as kernels
from fastbp.kernels import updates
from fastbp.kernels.layout import table_of_layers, weight_views
from fastbp.kernels.state import (
    CLIP_NORM,
    CLIP_VALUE,
    GROUPS,
    L1,
    L2,
    MAX_NORM,
    REGULATED,
    Network,
    OptimizerState,
    parameters_of,
)
from fastbp.kernels.updates import ADAM, SGD, begin_update
from fastbp.machine.simd import advance, pointer

SIZES = (5, 7, 3)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


# ---- single functions ----------------------------------------------------------------------------


@entry_point
def run_penalties(g, w, l1, l2, count):
    """Add the gradient of the penalties of `count` weights to g and return them."""
    kernels.add_penalties(pointer(g, 0), pointer(w, 0), l1, l2, count)
    return kernels.penalty_of_run(pointer(w, 0), l1, l2, count)


@entry_point
def run_clip_values(g, limit, count):
    kernels.clip_values(pointer(g, 0), limit, count)
    return kernels.sum_of_squares(pointer(g, 0), count)


@each_dtype
@pytest.mark.parametrize("count", [1, 3, 16, 50])
def test_penalties(count, dtype) -> None:
    rng = np.random.default_rng(count)
    w, g = rng.normal(size=(2, 55)).astype(dtype)
    w[:count:4] = 0.0
    eps, wide = float(np.finfo(dtype).eps), w[:count].astype(np.float64)
    for l1, l2 in ((0.5, 0.0), (0.0, 0.25), (0.5, 0.25)):
        out, l1, l2 = g.copy(), float(l1), float(l2)
        value = run_penalties(out, w, l1, l2, count)
        exact = l1 * np.abs(wide).sum() + l2 / 2 * (wide**2).sum()
        assert value == pytest.approx(exact, rel=8 * eps)
        expected = g[:count] + l1 * np.sign(wide) + l2 * wide
        np.testing.assert_allclose(out[:count], expected, rtol=4 * eps, atol=4 * eps)
        assert np.array_equal(out[count:], g[count:])
        assert np.array_equal(out[:count:4], g[:count:4]), "the sign of 0 is 0"


@each_dtype
def test_clipping_of_values(dtype) -> None:
    g = np.array([-9.0, -0.5, -0.25, 0.0, 0.25, 3.0, np.inf, -np.inf, np.nan, 9.0], dtype)
    run_clip_values(g, 0.5, 9)
    expected = [-0.5, -0.5, -0.25, 0.0, 0.25, 0.5, 0.5, -0.5, np.nan, 9.0]
    assert np.array_equal(g, np.array(expected, dtype), equal_nan=True)
    values = np.arange(40, dtype=dtype) / 8  # squares and their sums are exact
    assert run_clip_values(values, 100.0, 37) == (np.arange(37.0) ** 2).sum() / 64


# ---- a network -----------------------------------------------------------------------------------


@numba.njit
def network_and_state(params, layers, n_layers, code, scalars, slots, frozen, settings):
    network = Network(
        pointer(params, 0), pointer(layers, 0), params.shape[0], n_layers, 0, pointer(scalars, 0)
    )
    state = OptimizerState(
        code, pointer(scalars, 0), pointer(slots, 0), pointer(frozen, 0), pointer(settings, 0),
        params.shape[0], frozen.shape[0], 1.0,
    )  # fmt: skip
    return network, state


@entry_point
def run_clip_norm(grad, limit, arguments):
    _, state = network_and_state(*arguments)
    kernels.clip_norm(pointer(grad, 0), state, limit, grad.shape[0])


@entry_point
def run_limit_norms(limit, start, k, n, arguments):
    network, state = network_and_state(*arguments)
    kernels.limit_norms(network.params, state, limit, start, k, n)


@entry_point
def run_penalty(arguments):
    network, state = network_and_state(*arguments)
    return kernels.penalty(network, state)


@entry_point
def run_all(grad, arguments):
    network, state = network_and_state(*arguments)
    begin_update(state)
    updates.update_all(network, state, pointer(grad, 0))


@entry_point
def run_blocks(grad, blocks, arguments):
    """Update by blocks: rows of (layer, first unit, units, where its gradient stands, biases)."""
    network, state = network_and_state(*arguments)
    begin_update(state)
    for i in range(blocks.shape[0]):
        number, done, units, at, last = blocks[i]
        layer = parameters_of(network, number)
        g = advance(pointer(grad, 0), at)
        updates.update_regulated(layer, state, done, units, g, last != 0)


class Net:
    """The buffers of a network and its optimiser, as the kernels take them."""

    def __init__(self, dtype, code=SGD, bias=True, settings=None, frozen=(), sizes=SIZES) -> None:
        rng = np.random.default_rng(5)
        self.layers, n_params = table_of_layers(sizes, [0] * (len(sizes) - 1), bias)
        self.params = rng.normal(size=n_params).astype(dtype)
        self.grad = rng.normal(size=n_params).astype(dtype)
        self.code, self.scalars = code, np.zeros(steps.N_SCALARS)
        self.scalars[steps.LEARNING_RATE] = 0.25
        if code == ADAM:
            self.scalars[[steps.BETA_1, steps.BETA_2, steps.EPSILON]] = 0.5, 0.75, 0.01
        self.slots = np.zeros(2 * n_params, dtype)
        self.frozen = np.zeros(n_params if len(frozen) else 0, np.uint8)
        self.frozen[list(frozen)] = 1
        self.settings = np.zeros(GROUPS + 4 * len(self.layers))
        self.settings[GROUPS::2] = 1.0
        if settings is not None:
            self.settings[REGULATED] = 1.0
            for name, value in settings.items():
                self.settings[name] = value

    def arguments(self):
        return (
            self.params, self.layers.reshape(-1), len(self.layers), self.code, self.scalars,
            self.slots, self.frozen, self.settings,
        )  # fmt: skip

    def views(self, of):
        return weight_views(of, self.layers)

    def blocks(self, units):
        """Blocks of so many units, the last of a layer with the biases."""
        rows = []
        for number in range(len(self.layers) - 1, -1, -1):
            n_in, n_out, weights, biases = (int(x) for x in self.layers[number, :4])
            for done in range(0, n_out, units):
                some = min(units, n_out - done)
                last = done + some == n_out and biases >= 0
                rows.append([number, done, some, weights + done * n_in, last])
        return np.array(rows, np.int64)


@each_dtype
def test_clipping_of_the_norm(dtype) -> None:
    eps = float(np.finfo(dtype).eps)
    net = Net(dtype)
    norm = float(np.linalg.norm(net.grad.astype(float)))
    before = net.grad.copy()
    run_clip_norm(net.grad, norm * 1.001, net.arguments())
    assert np.array_equal(net.grad, before)
    run_clip_norm(net.grad, norm / 4, net.arguments())
    np.testing.assert_allclose(net.grad, before / 4, rtol=10 * eps)
    net.grad[:] = 0
    run_clip_norm(net.grad, 1.0, net.arguments())
    assert not net.grad.any()


@each_dtype
def test_frozen_parameters_are_no_part_of_the_norm(dtype) -> None:
    net = Net(dtype, frozen=range(30))
    net.grad[:30], free = 1e6, net.grad[30:].copy()
    norm = float(np.linalg.norm(free.astype(float)))
    run_clip_norm(net.grad, norm / 2, net.arguments())
    assert not net.grad[:30].any()
    np.testing.assert_allclose(net.grad[30:], free / 2, rtol=1e-5)


@each_dtype
def test_limits_of_norms(dtype) -> None:
    """Units above the limit come down to it, the others and frozen ones stay as they are."""
    net = Net(dtype, frozen=[5 * 3 + 2])  # a weight of unit 3
    weights = net.views(net.params)[0][0]
    before, whole = weights.copy(), net.params.copy()
    norms = np.linalg.norm(before.astype(float), axis=0)
    limit = float(np.median(norms))
    assert norms[3] > limit, "the frozen unit is one to be limited"
    run_limit_norms(limit, 0, 5, 7, net.arguments())
    expected = np.where(norms > limit, before * (limit / norms), before)
    expected[:, 3] = before[:, 3]
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(weights, expected, rtol=10 * eps)
    kept = (norms < limit) | (np.arange(7) == 3)
    assert np.array_equal(weights[:, kept], before[:, kept])
    assert np.array_equal(net.params[35:], whole[35:])
    some = Net(dtype)
    run_limit_norms(1e-3, 10, 5, 2, some.arguments())  # two units of a block
    assert np.flatnonzero(some.params != whole).tolist() == list(range(10, 20))


@each_dtype
@pytest.mark.parametrize("bias", [True, False])
def test_penalty_of_a_network_is_of_its_weights(bias, dtype) -> None:
    net = Net(dtype, bias=bias, settings={L1: 0.5, L2: 0.25})
    exact = 0.0
    for weights in net.views(net.params)[0]:
        wide = weights.astype(np.float64)
        exact += 0.5 * np.abs(wide).sum() + 0.125 * (wide**2).sum()
    assert run_penalty(net.arguments()) == pytest.approx(exact, rel=1e-5)
    assert run_penalty(Net(dtype, bias=bias).arguments()) == 0.0
    assert run_penalty(Net(dtype, bias=bias, settings={MAX_NORM: 1.0}).arguments()) == 0.0


def sgd_of(net):
    """What update_all does with SGD at a rate of 0.25, in float64 and in the stated order."""
    settings, params = net.settings, net.params.astype(np.float64)
    grad, frozen = net.grad.astype(np.float64), np.zeros(params.size, bool)
    frozen[: net.frozen.size] = net.frozen.astype(bool)
    for w, g in zip(net.views(params)[0], net.views(grad)[0], strict=True):
        g += settings[L1] * np.sign(w) + settings[L2] * w
    if settings[CLIP_VALUE]:
        grad = np.clip(grad, -settings[CLIP_VALUE], settings[CLIP_VALUE])
    if settings[CLIP_NORM]:
        grad[frozen] = 0
        grad *= min(1.0, settings[CLIP_NORM] / np.linalg.norm(grad))
    new, groups = params.copy(), settings[GROUPS:].reshape(-1, 2, 2)
    for kind in (0, 1):
        views = (net.views(x)[kind] for x in (new, grad, frozen))
        for layer, (w, g, still) in enumerate(zip(*views, strict=True)):
            rate, decay = 0.25 * groups[layer, kind, 0], groups[layer, kind, 1]
            w[...] = np.where(still, w, w * (1 - rate * decay) - rate * g)
            if settings[MAX_NORM] and kind == 0 and rate:
                norms = np.linalg.norm(w, axis=0)
                scale = np.where(norms > settings[MAX_NORM], settings[MAX_NORM] / norms, 1.0)
                w *= np.where(still.any(axis=0), 1.0, scale)
    return new


SETTINGS = {
    "nothing": {},
    "l1": {L1: 0.5},
    "l2": {L2: 0.5},
    "values": {CLIP_VALUE: 0.5},
    "max_norm": {MAX_NORM: 1.5},
    "a rate of 0": {GROUPS: 0.0, GROUPS + 6: 0.0, L2: 0.5, MAX_NORM: 0.5},
    "groups": {GROUPS: 0.5, GROUPS + 2: 2.0, GROUPS + 3: 0.25, GROUPS + 5: 0.5, GROUPS + 6: 0.25},
}
SETTINGS["all"] = SETTINGS["groups"] | {L1: 0.125, L2: 0.5, CLIP_VALUE: 1.0, MAX_NORM: 1.5}


@each_dtype
@pytest.mark.parametrize("frozen", [(), range(4, 60, 3)], ids=["free", "frozen"])
@pytest.mark.parametrize("norm", [0.0, 0.75])
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_in_their_order(name, norm, frozen, dtype) -> None:
    net = Net(dtype, settings=SETTINGS[name] | {CLIP_NORM: norm}, frozen=frozen)
    expected, before = sgd_of(net), net.params.copy()
    run_all(net.grad, net.arguments())
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(net.params, expected, rtol=20 * eps, atol=20 * eps)
    assert np.abs(net.params - before).max() > 0.01


@each_dtype
@pytest.mark.parametrize("code", [SGD, ADAM])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("frozen", [(), range(4, 50, 3)], ids=["free", "frozen"])
@pytest.mark.parametrize("name", SETTINGS)
def test_block_by_block_the_same_bits(name, frozen, bias, code, dtype) -> None:
    ends = []
    for units in (100, 1, 3):
        net = Net(dtype, code, bias, SETTINGS[name], frozen, sizes=(5, 7, 6))
        for _ in range(2):
            grad = net.grad.copy()
            if units == 100:
                run_all(grad, net.arguments())
            else:
                run_blocks(grad, net.blocks(units), net.arguments())
        ends.append((net.params.tobytes(), net.slots.tobytes()))
    assert ends[0] == ends[1] == ends[2]


@each_dtype
def test_without_settings_all_is_a_plain_update(dtype) -> None:
    plain, neutral = Net(dtype, ADAM), Net(dtype, ADAM, settings={})
    for net in (plain, neutral):
        run_all(net.grad, net.arguments())
    assert plain.params.tobytes() == neutral.params.tobytes()
    assert np.abs(plain.params - Net(dtype).params).min() > 0.01


@entry_point
def run_norm(p, count):
    """The Euclidean norm."""
    return kernels.norm(pointer(p, 0), count)


@each_dtype
@pytest.mark.parametrize("count", [1, 3, 8, 50])
def test_a_norm_whose_squares_overflow_or_vanish(count, dtype) -> None:
    """Else max_norm makes weights 0, and clip_norm no update at all."""
    values = np.random.default_rng(count).normal(size=count).astype(dtype)
    powers = [-30, -20, -10, 0, 10, 18, 22, 36]
    for power in powers if dtype == "float32" else [*powers, -290, -160, 150, 290]:
        given = values * np.dtype(dtype).type(10.0**power)
        largest = float(np.abs(given).max())
        expected = largest * float(np.linalg.norm(given.astype(np.float64) / largest))
        assert run_norm(given, count) == pytest.approx(expected, rel=1e-6)
    assert run_norm(np.zeros(count, dtype), count) == 0.0
    assert run_norm(np.full(count, np.inf, dtype), count) == np.inf


@each_dtype
def test_limits_hold_where_float32_cannot_square(dtype) -> None:
    net = MLP((3, 1), dtype=dtype, seed=0, optimizer=PlainSGD(1e22), max_norm=2.0, bias=False)
    net.step([[3.0, 4.0, 12.0]], [[100.0]])
    np.testing.assert_allclose(net.params, np.array([3.0, 4.0, 12.0]) / 13 * 2, rtol=1e-6)
    net = MLP((3, 1), dtype=dtype, seed=0, optimizer=PlainSGD(1.0), clip_norm=1.0, bias=False)
    net.params[:] = 0.0
    net.step([[3e18, 4e18, 12e18]], [[100.0]])
    np.testing.assert_allclose(net.params, np.array([3.0, 4.0, 12.0]) / 13, rtol=1e-6)
