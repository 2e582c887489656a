"""Every number of a step is that of the kernels that train."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
from helpers import DTYPES

import fastbp
from fastbp import MLP, SGD, Adam, CosineDecay, CrossEntropy, Group, Huber, Lion, Quantile, explain
from fastbp.graph import sigmoid, variable
from fastbp.kernels.layout import weight_views


def half_squares(y_pred, y):
    return 0.5 * ((y_pred - y) ** 2).sum(), y_pred - y


NETS = {
    "sigmoid": {"layer_sizes": (3, 4, 2), "activation": "sigmoid", "output_activation": "sigmoid"},
    "two hidden layers": {"layer_sizes": (3, 20, 17, 2), "activation": ("gelu", "selu")},
    "smooth": {"layer_sizes": (3, 5, 4, 2), "activation": ("silu", "softplus")},
    "kinked": {"layer_sizes": (3, 6, 5, 4, 2), "activation": ("leaky_relu", "elu", "hard_sigmoid")},
    "no hidden layer": {"layer_sizes": (3, 2)},
    "no biases": {"layer_sizes": (3, 4, 2), "activation": "tanh", "bias": False},
    "huber": {"layer_sizes": (3, 4, 2), "loss": Huber(0.3)},
    "quantile": {"layer_sizes": (3, 4, 2), "loss": Quantile((0.1, 0.8))},
    "absolute": {"layer_sizes": (3, 4, 2), "loss": "absolute_error"},
    "binary": {"layer_sizes": (3, 4, 2), "loss": fastbp.BinaryCrossEntropy(0.1)},
    "poisson": {"layer_sizes": (3, 4, 2), "loss": "poisson"},
    "gamma": {"layer_sizes": (3, 4, 2), "loss": "gamma"},
    "classes": {"layer_sizes": (3, 4, 2), "loss": "cross_entropy"},
    "smoothed classes": {"layer_sizes": (3, 4, 2), "loss": CrossEntropy(0.2), "l2": 0.1},
    "softmax of squares": {"layer_sizes": (3, 4, 2), "output_activation": "softmax"},
    "exp of squares": {"layer_sizes": (3, 4, 2), "output_activation": "exp"},
    "in Python": {"layer_sizes": (3, 4, 2), "loss": half_squares, "output_activation": "tanh"},
    "softmax in Python": {
        "layer_sizes": (3, 2),
        "loss": half_squares,
        "output_activation": "softmax",
    },
    "activation in Python": {
        "layer_sizes": (3, 4, 2),
        "activation": variable("z") * sigmoid(variable("z")),
    },
    "penalties": {
        "layer_sizes": (3, 4, 2),
        "l1": 0.01,
        "l2": 0.1,
        "optimizer": SGD(0.1, momentum=0.9),
    },
    "clipped": {
        "layer_sizes": (3, 4, 2),
        "clip_value": 0.05,
        "clip_norm": 0.1,
        "optimizer": SGD(0.1),
    },
    "max norm": {"layer_sizes": (3, 4, 2), "max_norm": 0.7, "optimizer": Lion(0.1)},
    "schedule": {"layer_sizes": (3, 4, 2), "optimizer": Adam(CosineDecay(0.1, 10))},
    "groups": {
        "layer_sizes": (3, 4, 2),
        "optimizer": SGD(
            0.1, groups=[Group(layers=[0], learning_rate=0.0), Group(weight_decay=0.1)]
        ),
    },
}
X, Y = np.array([0.5, -1.2, 0.8]), np.array([0.3, 0.7])


def trained(name, dtype):
    """A net that has made some updates, so that its optimiser has a state."""
    net = MLP(**NETS[name], dtype=dtype, seed=1)
    rng = np.random.default_rng(2)
    y = rng.dirichlet((1, 1), 8)
    net.fit(rng.normal(size=(8, 3)), y, epochs=2, batch_size=4)
    return net


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
def test_numbers_are_those_of_the_net(name, dtype) -> None:
    net = trained(name, dtype)
    net.state.frozen[1] = True
    before = pickle.dumps(net)
    step = explain(net, X, Y)
    assert pickle.dumps(net) == before  # nothing is changed, neither state nor random stream
    loss, grad = net.loss_and_grad([X], [Y])
    weights, biases = weight_views(grad, net.layer_table)
    assert step.losses.total == loss
    for index, layer in enumerate(step.layers):
        assert np.array_equal(layer.weights.gradient, weights[index])
        assert np.array_equal(layer.weights.old, net.weights[index])
        if net.bias:
            assert np.array_equal(layer.biases.gradient, biases[index])
            assert np.array_equal(layer.delta, biases[index])  # to the bit
    assert np.array_equal(step.layers[-1].output, net.predict([X])[0])

    rate = float(fastbp.model.schedules.rates_of(net.optimizer.learning_rate, 4, 1)[0])
    assert (step.learning_rate, step.number) == (rate, 4)
    net.step([X], [Y])  # what it would really do
    for index, layer in enumerate(step.layers):
        assert np.array_equal(layer.weights.new, net.weights[index])
        if net.bias:
            assert np.array_equal(layer.biases.new, net.biases[index])
    assert step.layers[0].weights.frozen.sum() == 1
    assert step.layers[0].weights.new[1, 0] == step.layers[0].weights.old[1, 0]
    assert step.losses.after == net.loss([X], [Y])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETS)
def test_factors_multiply_to_the_gradient(name, dtype) -> None:
    step = explain(trained(name, dtype), X, Y)
    tolerance = {"rtol": 5e-6 if dtype == "float32" else 1e-13, "atol": 1e-6 * (dtype == "float32")}
    inputs = X.astype(dtype)
    for index, layer in enumerate(step.layers):
        assert np.array_equal(layer.inputs, inputs)
        net = inputs @ layer.weights.old + (0 if layer.biases is None else layer.biases.old)
        np.testing.assert_allclose(layer.net, net, **tolerance)
        assert layer.jacobian.shape == (layer.net.size,) * 2
        np.testing.assert_allclose(layer.jacobian.T @ layer.d_output, layer.delta, **tolerance)
        data = layer.weights.gradient - layer.weights.penalty
        np.testing.assert_allclose(data, np.outer(layer.inputs, layer.delta), **tolerance)
        if index + 1 < len(step.layers):
            above = step.layers[index + 1]
            np.testing.assert_allclose(layer.d_output, above.weights.old @ above.delta, **tolerance)
        inputs = layer.output
    if step.losses.by_output is not None:
        total = step.losses.by_output.sum() + step.losses.penalty
        np.testing.assert_allclose(total, step.losses.total, **tolerance)


@pytest.mark.parametrize("name", NETS)
def test_slopes_are_derivatives_of_the_outputs(name) -> None:
    net = trained(name, "float64")
    step = explain(net, X, Y)
    for activation, layer in zip(net.activations, step.layers, strict=True):
        for j in range(layer.net.size):
            nudged = np.stack([layer.net, layer.net])
            nudged[:, j] += (-1e-6, 1e-6)
            low, high = (fastbp.insight.quantities.activated(z, activation)
                         for z in nudged)  # fmt: skip
            np.testing.assert_allclose((high - low) / 2e-6, layer.jacobian[:, j], atol=1e-8)


def test_penalties_and_clipping() -> None:
    step = explain(trained("penalties", "float64"), X, Y)
    for layer in step.layers:
        w = layer.weights.old
        np.testing.assert_allclose(layer.weights.penalty, 0.01 * np.sign(w) + 0.1 * w, atol=1e-15)
        assert not layer.biases.penalty.any()
        assert np.array_equal(layer.weights.used, layer.weights.gradient)
    weights = np.concatenate([layer.weights.old.ravel() for layer in step.layers])
    expected = 0.01 * np.abs(weights).sum() + 0.05 * (weights**2).sum()
    assert step.losses.penalty == pytest.approx(expected, rel=1e-12)

    net = trained("clipped", "float64")
    step, grad = explain(net, X, Y), net.loss_and_grad([X], [Y])[1]
    clipped = np.clip(grad, -0.05, 0.05)
    assert np.linalg.norm(clipped) > 0.1
    used = weight_views(clipped * 0.1 / np.linalg.norm(clipped), net.layer_table)
    for layer, weights, biases in zip(step.layers, *used, strict=True):
        np.testing.assert_allclose(layer.weights.used, weights, rtol=1e-14)
        np.testing.assert_allclose(layer.biases.used, biases, rtol=1e-14)
        np.testing.assert_allclose(layer.weights.new, layer.weights.old - 0.1 * weights, rtol=1e-14)


def test_softmax_with_cross_entropy() -> None:
    net = MLP((3, 4), loss="cross_entropy", dtype="float64", seed=0)
    step = explain(net, X, 2)
    (layer,) = step.layers
    target = np.eye(4)[2]
    np.testing.assert_allclose(layer.delta, layer.output - target, rtol=1e-14)
    assert layer.slope is None
    assert step.targets.tolist() == target.tolist()
    assert step.losses.by_output[[0, 1, 3]].tolist() == [0, 0, 0]
    assert step.losses.by_output[2] == pytest.approx(-np.log(layer.output[2]), rel=1e-14)
    assert layer.d_output.tolist() == [0, 0, -1 / layer.output[2], 0]
    same = explain(net, [X], [target])
    assert np.array_equal(same.layers[0].weights.new, layer.weights.new)


def test_saturated_outputs_have_a_delta_and_no_quotient() -> None:
    net = MLP((1, 1), loss="binary_cross_entropy", dtype="float32", seed=0, weight_init="zeros")
    net.biases[0][...] = 90
    (layer,) = explain(net, [1.0], 0).layers
    assert layer.slope.tolist() == [0]
    assert np.isnan(layer.d_output).all()
    assert layer.delta.tolist() == [1]


def test_dropout_is_left_out_and_said_so() -> None:
    net = MLP((3, 8, 1), dropout=0.5, input_dropout=0.3, optimizer=SGD(0.1), seed=0)
    plain = MLP((3, 8, 1), optimizer=SGD(0.1), seed=0)
    plain.params[:] = net.params
    step, expected = explain(net, X, 1.0), explain(plain, X, 1.0)
    assert step.drops_out
    assert not expected.drops_out
    assert "without dropout" in str(step)
    assert "without dropout" not in str(expected)
    assert np.array_equal(step.after.params, expected.after.params)


def test_divergence_is_that_of_the_step() -> None:
    net = MLP((1, 1), optimizer=SGD(1e30), seed=0, weight_init=[[[1.0]]])
    with pytest.warns(fastbp.DivergenceWarning):
        step = explain(net, [1e20], 0.0)
    assert step.layers[0].weights.new.tolist() == [[1.0]]


def test_one_sample_in_several_shapes() -> None:
    net = MLP((3, 1), seed=0)
    steps = [explain(net, x, y) for x, y in ((X, 1), (X.tolist(), [1]), ([X], [[1.0]]))]
    for step in steps:
        assert np.array_equal(step.after.params, steps[0].after.params)
    labels = MLP((3, 2), loss="cross_entropy", seed=0)
    for y in (1, [1], np.int64(1), [[1]], [0.0, 1.0], [[0.0, 1.0]]):
        assert explain(labels, X, y).targets.tolist() == [0, 1]
    several = MLP((3, 2), loss=Quantile((0.2, 0.7)), seed=0)
    assert explain(several, X, 1.5).targets.tolist() == [1.5, 1.5]


def test_inputs_are_copied() -> None:
    net, x = MLP((3, 1), dtype="float64", seed=0), X.copy()
    step = explain(net, x, 1)
    x[:] = 0
    assert step.inputs.tolist() == X.tolist()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.zeros((2, 3)), [1, 2]), ValueError, r"explain takes one sample, .*\(3,\); got 2 rows"),
        ((np.zeros(4), 1), ValueError, r"X must have shape \(rows, 3\)"),
        ((np.zeros((1, 1, 3)), 1), ValueError, r"X must have shape \(rows, 3\)"),
        (([0, np.nan, 0], 1), ValueError, "only finite numbers"),
        ((X, [1, 2]), ValueError, "y must have shape|the same number of rows"),
        ((X, np.nan), ValueError, "only finite numbers"),
        ((["a", "b", "c"], 1), TypeError, "real numbers"),
    ],
)
def test_bad_input(arguments, error, message) -> None:
    net = MLP((3, 1), seed=0)
    before = net.params.copy()
    with pytest.raises(error, match=message):
        explain(net, *arguments)
    assert np.array_equal(net.params, before)


def test_what_is_no_net_or_cannot_be_trained() -> None:
    with pytest.raises(TypeError, match="net must be an MLP; got int 3"):
        explain(3, X, 1)
    with pytest.raises(ValueError, match="step units cannot be trained"):
        explain(MLP((3, 2, 1), activation="step"), X, 1)


def test_twins_share_nothing_that_changes() -> None:
    net = trained("penalties", "float32")
    twin = fastbp.insight.quantities.twin_with(net, l2=0.0)
    kept = copy.deepcopy(net.params)
    with warnings.catch_warnings():
        twin.step([X], [Y])
    assert np.array_equal(net.params, kept)
    assert net.regularization.l2 == 0.1


def test_a_loss_that_cannot_be_copied_is_explained() -> None:
    class Halved:
        def __call__(self, y_pred, y):
            return 0.25 * np.sum((y_pred - y) ** 2) / len(y), 0.5 * (y_pred - y) / len(y)

        def __deepcopy__(self, memo):
            raise TypeError("has a lock")

    net = MLP((2, 2, 1), activation="tanh", loss=Halved(), optimizer=SGD(0.1), seed=0)
    y = net.predict([[1.0, 2.0]])[0]
    assert explain(net, [1.0, 2.0], y + 1).losses.total == pytest.approx(0.25)
