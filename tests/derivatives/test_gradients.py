"""First derivatives against complex steps of the oracle, against each other, and bad input."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import scipy.sparse
from derivatives.cases import (
    ALL_LOSSES,
    HIDDEN,
    OUTPUTS,
    by_inputs,
    by_params,
    close,
    half_square,
    net_of,
    outputs,
    own_tanh,
    rows_for,
    wide,
)

from fastbp import MLP, Adam, CosineDecay, DivergenceWarning, Group
from fastbp.model import net as nets
from fastbp.model.optimizers import OPTIMIZERS


def check_vjp(net, rows, factor=1.0):
    X, _ = rows_for(net, rows)
    dY = np.random.default_rng(2).normal(size=(rows, net.layer_sizes[-1])).astype(net.dtype)
    dX, grad = net.vjp(X, dY)
    assert dX.dtype == grad.dtype == net.dtype
    close(grad, by_params(lambda p: (dY * outputs(net, p, X)).sum(), net.params), net.dtype, factor)
    params = wide(net.params)
    close(dX, by_inputs(lambda x: (dY * outputs(net, params, x)).sum(), X), net.dtype, factor)


def loss_at(net, T, weights=None):
    """The oracle's loss as a function of the inputs."""
    params = wide(net.params)
    return lambda X: oracle.loss(oracle.net_of(net), params, X, T, weights)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", HIDDEN)
def test_vjp_of_every_hidden_activation(name, dtype) -> None:
    check_vjp(net_of(name, dtype=dtype), 9)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_vjp_of_every_output_activation(name, dtype) -> None:
    check_vjp(net_of(output=name, dtype=dtype), 9)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "poisson", "gamma"])
def test_vjp_is_of_what_predict_returns(loss) -> None:
    """Also where the loss is computed from the net inputs of the outputs."""
    net = net_of(loss=loss)
    check_vjp(net, 5)
    X, T = rows_for(net, 5)  # and the workspaces of the two stay apart
    first = net.loss_and_grad(X, T)[1]
    net.vjp(X, T)
    np.testing.assert_array_equal(net.loss_and_grad(X, T)[1], first)


@pytest.mark.parametrize("rows", [1, 2, 40])
@pytest.mark.parametrize("options", [{"bias": False}, {"layer_sizes": (3, 2)}, {"dropout": 0.5}])
def test_vjp_of_few_rows(options, rows) -> None:
    check_vjp(net_of(**options), rows)


@pytest.mark.parametrize("sizes", [(1, 3, 1), (40, 9, 3), (2, 50, 7), (70, 2)])
@pytest.mark.parametrize("rows", [1, 5, 33])
def test_vjp_of_ragged_shapes(sizes, rows) -> None:
    net = net_of(layer_sizes=sizes)
    X, _ = rows_for(net, rows)
    dY = np.random.default_rng(2).normal(size=(rows, sizes[-1]))
    params = wide(net.params)
    some = np.random.default_rng(3).choice(X.size, min(X.size, 20), replace=False)
    found = net.vjp(X, dY)[0].ravel()[some]
    expected = np.empty(len(some))
    for i, at in enumerate(some):
        moved = wide(X)
        moved.flat[at] += 1e-30j
        expected[i] = (dY * outputs(net, params, moved)).sum().imag / 1e-30
    close(found, expected)


def test_passes_and_calls_add_up(monkeypatch) -> None:
    monkeypatch.setattr(nets, "PASS_ROWS", 32)
    monkeypatch.setattr(nets, "WHOLE_BATCH", 50)
    net = net_of(hidden="gelu", seed=3)
    net.rows_in_a_call = 64
    X, T = rows_for(net, 203)
    dY = np.random.default_rng(2).normal(size=T.shape)
    dX, grad = net.vjp(X, dY)
    parts = [net.vjp(X[i : i + 1], dY[i : i + 1]) for i in range(203)]
    close(dX, np.concatenate([part[0] for part in parts]))
    close(grad, sum(part[1] for part in parts))
    each = net.sample_gradients(X, T)
    close(each.mean(axis=0), net.loss_and_grad(X, T)[1])
    each_input = np.concatenate([net.input_gradient(X[[i]], T[[i]]) for i in range(203)])
    close(net.input_gradient(X, T, reduction="sum"), each_input)


def test_groups_of_wide_rows(monkeypatch) -> None:
    """The inputs of a pass go through the workspace a group of rows at a time."""
    net = net_of(layer_sizes=(700, 20, 2), dtype="float32")
    X, T = rows_for(net, 300)
    table = net.workspace(300, training=True)
    from fastbp.kernels.workspace import INPUT_GROUP

    assert table.work.places[INPUT_GROUP] < 300
    found = net.input_gradient(X, T)
    wide_net = net_of(layer_sizes=(700, 20, 2))
    wide_net.params[:] = net.params
    close(found, wide_net.input_gradient(X.astype("f8"), T.astype("f8")), "float32")
    deltas = X.astype("f8") @ wide_net.weights[0] + wide_net.biases[0]
    y = np.tanh(deltas)
    last = (y @ wide_net.weights[1] + wide_net.biases[1] - T) / 300
    expected = (last @ wide_net.weights[1].T * (1 - y * y)) @ wide_net.weights[0].T
    close(found, expected, "float32")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", ALL_LOSSES)
def test_input_gradient_of_every_loss(loss, dtype) -> None:
    net = net_of(loss=loss, dtype=dtype)
    X, T = rows_for(net, 9)
    weights = np.random.default_rng(3).uniform(0.5, 2, 9)
    for weight in (None, weights):
        close(net.input_gradient(X, T, weight), by_inputs(loss_at(net, T, weight), X), dtype)
    close(net.input_gradient(X, T, weights, reduction="sum"),
          by_inputs(loss_at(net, T, weights), X) * weights.sum(), dtype)  # fmt: skip


def test_input_gradient_is_vjp_of_the_losses_derivative() -> None:
    net = net_of(loss="squared_error", output="softplus")
    X, T = rows_for(net, 20)
    np.testing.assert_allclose(
        net.input_gradient(X, T), net.vjp(X, (net.predict(X) - T) / 20)[0], rtol=1e-12, atol=1e-15
    )


def test_weights_of_outputs_and_missing_targets() -> None:
    net = net_of(missing_targets=True)
    X, T = rows_for(net, 20)
    rng = np.random.default_rng(4)
    weights = rng.uniform(0.5, 2, T.shape)
    gaps = rng.random(T.shape) < 0.3
    counted = weights * ~gaps
    with_gaps = np.where(gaps, np.nan, T)
    close(net.input_gradient(X, with_gaps, weights), by_inputs(loss_at(net, T, counted), X))
    each = net.sample_gradients(X, with_gaps, weights)
    close(each.sum(axis=0) / (counted.sum() / 2), net.loss_and_grad(X, T, counted)[1])
    assert not net.sample_gradients(X[:1], [[np.nan, np.nan]]).any()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", ALL_LOSSES)
def test_sample_gradients_are_those_of_single_rows(loss, dtype) -> None:
    net = net_of(loss=loss, dtype=dtype, bias=loss != "huber")
    X, T = rows_for(net, 6)
    each = net.sample_gradients(X, T)
    assert each.shape == (6, net.n_params)
    for row in range(6):
        np.testing.assert_array_equal(each[row], net.loss_and_grad(X[[row]], T[[row]])[1])
    close(each.mean(axis=0), net.loss_and_grad(X, T)[1], dtype)


def test_sample_gradients_of_labels_and_of_sparse_rows() -> None:
    net = net_of(loss="cross_entropy", l2=0.1)
    X, _ = rows_for(net, 8)
    X *= np.random.default_rng(1).random(X.shape) < 0.5
    labels = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    each = net.sample_gradients(X, labels)
    _, total = net.loss_and_grad(X, labels, reduction="sum")
    close(each.sum(axis=0), total)
    close(net.sample_gradients(scipy.sparse.csr_array(X), labels), each)


def test_sample_gradients_of_sparse_rows_by_a_loss_in_python() -> None:
    net, plain = net_of(loss=half_square), net_of()
    X, T = rows_for(net, 8)
    X *= np.random.default_rng(1).random(X.shape) < 0.5
    sparse = scipy.sparse.csr_array(X)
    close(net.sample_gradients(sparse, T), plain.sample_gradients(X, T))
    close(net.loss_and_grad(sparse, T, reduction="sum")[1],
          plain.loss_and_grad(X, T, reduction="sum")[1])  # fmt: skip


# ---- loss and gradient ----


@pytest.mark.parametrize("loss", ALL_LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_shards(loss, weighted) -> None:
    net = net_of(loss=loss, l2=0.1, l1=0.01)
    X, T = rows_for(net, 12)
    weights = np.random.default_rng(5).uniform(0, 2, 12) if weighted else None
    shards = [slice(0, 5), slice(5, 6), slice(6, 12)]
    each = [
        net.loss_and_grad(X[s], T[s], None if weights is None else weights[s], reduction="sum")
        for s in shards
    ]
    total = 12 if weights is None else weights.sum()
    plain = net_of(loss=loss)
    expected, grad = plain.loss_and_grad(X, T, weights)
    assert sum(part[0] for part in each) / total == pytest.approx(expected, rel=1e-12)
    close(sum(part[1] for part in each) / total, grad)


def test_other_parameters_and_an_array_for_the_gradient() -> None:
    net = net_of(l2=0.1, dtype="float32")
    other = net_of(l2=0.1, dtype="float32", seed=8)
    X, T = rows_for(net, 12)
    before = net.params.copy()
    loss, grad = other.loss_and_grad(X, T)
    out = np.empty_like(grad)
    found, same = net.loss_and_grad(X, T, params=other.params.astype("f8"), out=out)
    assert same is out
    assert found == loss
    np.testing.assert_array_equal(out, grad)
    np.testing.assert_array_equal(net.params, before)
    assert net.loss_and_grad(X, T)[0] != loss  # the workspace has forgotten them
    assert np.isnan(net.loss_and_grad(X, T, params=np.full(net.n_params, np.nan))[0])


@pytest.mark.parametrize("options", [{}, {"hidden": own_tanh}, {"loss": half_square},
                                     {"hidden": own_tanh, "loss": half_square}])  # fmt: skip
def test_parts_in_python(options) -> None:
    """The same derivatives as of built-in parts, but for rounding."""
    net, plain = net_of(**options, l2=0.1), net_of(l2=0.1)
    X, T = rows_for(net, 300)
    weights = np.random.default_rng(6).uniform(0, 2, 300)
    dY = np.random.default_rng(7).normal(size=T.shape)
    for found, expected in zip(net.vjp(X, dY), plain.vjp(X, dY), strict=True):
        close(found, expected)
    other = plain.params + 0.1
    for weight in (None, weights, weights[:, None] * [1.0, 0.5]):
        for reduction in ("mean", "sum"):
            settings = {"reduction": reduction, "params": other}
            (loss, grad), (value, expected) = (
                n.loss_and_grad(X, T, weight, **settings) for n in (net, plain)
            )
            assert loss == pytest.approx(value, rel=1e-12)
            close(grad, expected)
            close(
                net.input_gradient(X, T, weight, reduction=reduction),
                plain.input_gradient(X, T, weight, reduction=reduction),
            )
        some = (a if a is None else a[:5] for a in (X, T, weight))
        given = list(some)
        close(net.sample_gradients(*given), plain.sample_gradients(*given))


# ---- a gradient of the caller's own ----

REGULATED = (
    {}, {"l2": 0.1, "l1": 0.01}, {"clip_value": 0.01}, {"clip_norm": 0.1, "l2": 0.1},
    {"max_norm": 0.5}, {"optimizer": Adam(CosineDecay(1e-2, 50))},
    {"optimizer": Adam(groups=Group(weights=False, learning_rate=0.1, weight_decay=0.1))},
)  # fmt: skip


@pytest.mark.parametrize("options", [*REGULATED, *({"optimizer": name} for name in OPTIMIZERS)])
@pytest.mark.parametrize("rows", [1, 8])
def test_an_applied_gradient_is_a_step_to_the_bit(options, rows) -> None:
    nets_ = a, b, c = [net_of(dtype="float32", **options) for _ in range(3)]
    X, T = rows_for(a, rows)
    for net in nets_:
        net.freeze(layers=[1], biases=False)
    for _ in range(3):
        a.step(X, T)
        b.apply_gradient(b.loss_and_grad(X, T)[1])
        np.testing.assert_array_equal(a.params, b.params)
        np.testing.assert_array_equal(a.state.slots, b.state.slots)
        np.testing.assert_array_equal(a.state.scalars, b.state.scalars)
        total = sum(
            c.loss_and_grad(X[i : i + 4], T[i : i + 4], reduction="sum")[1]
            for i in range(0, rows, 4)
        )
        c.apply_gradient(total / rows, penalties=True)
    if options.get("optimizer") != "lion":  # which goes by signs alone
        np.testing.assert_allclose(c.params, a.params, rtol=1e-3, atol=1e-4)


def test_a_large_batch_is_a_step_to_the_bit() -> None:
    a, b = net_of(dtype="float32"), net_of(dtype="float32")
    X, T = rows_for(a, 700)
    a.step(X, T)
    b.apply_gradient(b.loss_and_grad(X, T)[1])
    np.testing.assert_array_equal(a.params, b.params)


def test_a_given_gradient_stays_as_it_is() -> None:
    net = net_of(clip_norm=0.1, l2=0.5)
    grad = np.random.default_rng(0).normal(size=net.n_params)
    given = grad.copy()
    net.apply_gradient(grad, penalties=True)
    np.testing.assert_array_equal(grad, given)
    grad.setflags(write=False)
    net.apply_gradient(grad)
    net.apply_gradient(grad.tolist())


def test_an_update_that_overflows_is_taken_back() -> None:
    net = net_of(optimizer="sgd", dtype="float32")
    before = net.params.copy()
    with pytest.warns(DivergenceWarning, match="diverged"):
        net.optimizer = net.optimizer.__class__(1e30)
        net.apply_gradient(np.full(net.n_params, 1e30))
    np.testing.assert_array_equal(net.params, before)
    net.params[0] = np.nan
    with pytest.warns(DivergenceWarning, match="not finite before"):
        net.apply_gradient(np.ones(net.n_params))


# ---- bad input ----


def test_bad_input_is_refused() -> None:
    net = net_of()
    X, T = rows_for(net, 4)
    before = net.params.copy()
    sparse = scipy.sparse.csr_array(X)
    P = net.n_params
    shared = net.params[:]
    cases = [
        (lambda: net.vjp(sparse, T), TypeError, "vjp takes dense rows.*toarray"),
        (lambda: net.input_gradient(sparse, T), TypeError, "input_gradient takes dense rows"),
        (lambda: net.vjp(X, T[:2]), ValueError, "dY must have a row for each of the 4 rows"),
        (lambda: net.vjp(X, T[:, :1]), ValueError, "dY must have shape.*2"),
        (lambda: net.vjp(X, T * np.nan), ValueError, "dY holds nan at row 0, column 0"),
        (lambda: net.vjp(X * np.inf, T), ValueError, "X holds"),
        (lambda: net.input_gradient(X, T, reduction="none"), ValueError, "'mean', 'sum'"),
        (lambda: net.loss_and_grad(X, T, reduction=None), TypeError, "'mean', 'sum'"),
        (lambda: net.loss_and_grad(X, T, params=[1.0]), ValueError, rf"shape \({P},\)"),
        (lambda: net.loss_and_grad(X, T, params="a"), TypeError, "params must hold real numbers"),
        (lambda: net.loss_and_grad(X, T, out=[0.0]), TypeError, "out must be a C-contig.*list"),
        (lambda: net.loss_and_grad(X, T, out=np.zeros(P, "f4")), ValueError, "float64; got.*32"),
        (lambda: net.loss_and_grad(X, T, out=shared), ValueError, "share memory"),
        (lambda: net.apply_gradient(np.ones(3)), ValueError, r"grad must have shape.*\(3,\)"),
        (lambda: net.apply_gradient(np.full(P, np.inf)), ValueError, "grad must be finite.*at 0"),
        (lambda: net.apply_gradient(np.ones(P), penalties=1), TypeError, "penalties"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()
    np.testing.assert_array_equal(net.params, before)
    assert net.state.scalars[0] == net_of().state.scalars[0]


def test_step_units_are_refused() -> None:
    net = MLP((3, 4, 2), activation="step", seed=0)
    X, T = rows_for(net, 4)
    grad = np.zeros(net.n_params)
    for call in (
        lambda: net.vjp(X, T), lambda: net.input_gradient(X, T), lambda: net.apply_gradient(grad),
        lambda: net.sample_gradients(X, T), lambda: net.hessian_product(X, T, grad),
        lambda: net.objective(X, T),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="step units"):
            call()
