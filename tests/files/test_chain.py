"""A net as a chain of layers, which every exchange format begins or ends with."""

from __future__ import annotations

import numpy as np
import pytest

from fastbp import MLP, SGD, graph
from fastbp.files.chain import Layer, chain_of, net_of
from fastbp.kernels.activations import HIDDEN_ACTIVATIONS

SEED = 17


def rows(n: int = 40, columns: int = 3) -> np.ndarray:
    return np.random.default_rng(SEED).normal(2.0, 3.0, (n, columns))


def layer(n_in: int, n_out: int, activation: str = "identity", **others) -> Layer:
    generator = np.random.default_rng(SEED)
    parts = {"weight": generator.normal(size=(n_in, n_out)), "bias": np.zeros(n_out)} | others
    return Layer(**parts, activation=activation)


def test_a_net_there_and_back_has_the_same_outputs() -> None:
    hidden = list(HIDDEN_ACTIVATIONS)
    hidden.remove("step")
    net = MLP((3, *[4] * len(hidden), 2), activation=hidden, loss="cross_entropy", seed=SEED)
    net.biases[0][...] = 0.5
    back = net_of(chain_of(net).layers)
    assert (back.predict(rows()) == net.predict(rows())).all()
    assert back.spec.loss == net.spec.loss
    assert back.dtype == np.float32


def test_without_biases_there_are_none() -> None:
    chain = chain_of(MLP((3, 4, 1), bias=False, dtype="float64"))
    assert [one.bias for one in chain.layers] == [None, None]
    assert net_of(chain.layers).bias is False
    mixed = [layer(3, 4, bias=None), layer(4, 1)]
    assert [len(b) for b in net_of(mixed).biases] == [4, 1]


def test_sizes_and_a_dtype_of_its_own() -> None:
    chain = chain_of(MLP((3, 4, 2), seed=SEED), dtype="float64")
    assert (chain.n_in, chain.n_out, chain.dtype) == (3, 2, np.float64)
    assert all(one.weight.dtype == np.float64 for one in chain.layers)
    assert all(one.weight.flags.c_contiguous for one in chain.layers)


def test_a_graph_comes_along_and_a_function_is_refused() -> None:
    z = graph.variable("z")
    assert chain_of(MLP((3, 4, 1), activation=z * z)).layers[0].activation.expression is not None
    net = MLP((3, 4, 1), activation=lambda z: (z, np.ones_like(z)))
    with pytest.raises(ValueError, match="layer 0 has the activation <lambda>, a function in Pyt"):
        chain_of(net)


@pytest.mark.parametrize("wrong", [None, "net.onnx", np.ones((3, 2)), MLP])
def test_what_is_no_net_is_refused(wrong) -> None:
    with pytest.raises(TypeError, match="net must be an MLP, or a fitted MLPClassifier"):
        chain_of(wrong)


def test_weights_that_the_dtype_does_not_hold_are_refused() -> None:
    net = MLP((2, 1), dtype="float64")
    net.weights[0][...] = 1e300
    with pytest.raises(ValueError, match="weight of layer 0 .*1e\\+300"):
        chain_of(net, dtype="float32")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "the bias of layer 0 holds nan at row 0, column 1; only finite numbers are acc"),
        (np.inf, "the bias of layer 0 holds inf at row 0, column 1; only finite numbers are acc"),
    ],
)
def test_weights_that_are_not_finite_are_refused_in_words_of_their_own(value, message) -> None:
    net = MLP((2, 3, 1))
    net.biases[0][1] = value
    with pytest.raises(ValueError, match=f"{message}epted. Train the net anew, or write a number"):
        chain_of(net)


# ---------------------------------------------------------------- estimators


@pytest.mark.parametrize("library", ["fastbp.sklearn", "sklearn.neural_network"])
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 1, 2], [0, 1, 2]),
        (["a", "b", "c"], ["a", "b", "c"]),
        ([False, True, True], [0, 1]),
        ([4.0, 5.0, 6.0], [4, 5, 6]),
        ([[0, 1], [1, 1], [1, 0]], None),
    ],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_estimators_bring_their_classes(library: str, labels, expected) -> None:
    module = pytest.importorskip(library)
    y = np.array(labels)[np.arange(40) % 3]
    estimator = module.MLPClassifier((4,), "logistic", max_iter=2, random_state=0).fit(rows(), y)
    chain = chain_of(estimator)
    assert chain.labels == expected
    assert chain.threshold == 0.5
    assert chain.layers[0].activation == "sigmoid"
    mine = net_of(chain.layers).predict(rows())
    theirs = estimator.predict_proba(rows())
    np.testing.assert_allclose(mine, theirs[:, 1:] if mine.shape[1] == 1 else theirs, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_of_an_estimator_that_was_cut_the_rest_is_left_out() -> None:
    from fastbp.sklearn import MLPRegressor

    estimator = MLPRegressor(hidden_layer_sizes=(4, 5), max_iter=2).fit(rows(), rows()[:, 0])
    estimator.n_layers_ = 3
    estimator.intercepts_[1] = np.array([0.25])
    chain = chain_of(estimator)
    assert [one.weight.shape for one in chain.layers] == [(3, 4), (4, 5)]
    assert chain.layers[1].bias.tolist() == [0.25] * 5


def test_an_estimator_that_is_not_fitted_is_refused() -> None:
    from fastbp.sklearn import MLPRegressor

    with pytest.raises(TypeError, match="Fit it first"):
        chain_of(MLPRegressor())


# ---------------------------------------------------------------- labels and scalers


@pytest.mark.parametrize(
    "wrong",
    [
        "abc", ["a", "b"], ["a", "b", "b"], [0, 1, 2.5], ["a", 1, 2], [0, 1, 2, 3], None, 3,
        [0, 1, 2**63], [0, 1, -(2**63) - 1], ["a", "b", "c\0"], ["a", "b", "\ud800"],
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_are_refused(wrong) -> None:
    net = MLP((2, 3), loss="cross_entropy")
    if wrong is None:
        assert chain_of(net, class_labels=wrong).labels is None
        return
    with pytest.raises(
        ValueError, match="class_labels must be 3 different whole numbers of 64 bits, or str"
    ):
        chain_of(net, class_labels=wrong)


def test_the_least_and_the_largest_label() -> None:
    labels = [-(2**63), 2**63 - 1, 0]
    assert chain_of(MLP((2, 3), loss="cross_entropy"), class_labels=labels).labels == labels


def test_one_output_has_two_labels_and_its_threshold() -> None:
    chain = chain_of(MLP((2, 1), loss="binary_cross_entropy"), class_labels=("no", "yes"))
    assert chain.labels == ["no", "yes"]
    assert chain.threshold == 0.5
    assert chain_of(MLP((2, 1), loss="hinge"), class_labels=[-1, 1]).threshold == 0.0
    with pytest.raises(ValueError, match="class_labels and output_scaler exclude each other"):
        chain_of(MLP((2, 1)), class_labels=[0, 1], output_scaler=(0, 1))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("StandardScaler", {}),
        ("StandardScaler", {"with_mean": False}),
        ("StandardScaler", {"with_std": False}),
        ("MinMaxScaler", {"feature_range": (-2, 3)}),
        ("MaxAbsScaler", {}),
        ("RobustScaler", {}),
        ("RobustScaler", {"with_centering": False}),
        ("RobustScaler", {"with_scaling": False}),
    ],
)
def test_scalers_of_scikit_learn_are_read(name: str, options: dict) -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    scaler = getattr(preprocessing, name)(**options).fit(rows())
    chain = chain_of(MLP((3, 3)), input_scaler=scaler, output_scaler=scaler)
    found = (rows() - chain.input_scaling.mean) / chain.input_scaling.scale
    np.testing.assert_allclose(found, scaler.transform(rows()), rtol=1e-12, atol=1e-12)
    back = found * chain.output_scaling.scale + chain.output_scaling.mean
    np.testing.assert_allclose(back, rows(), rtol=1e-12, atol=1e-12)


def test_a_pair_is_a_number_or_one_for_each_column() -> None:
    chain = chain_of(MLP((3, 1)), input_scaler=(1, [1, 2, 4]), output_scaler=(0.5, 3.0))
    assert chain.input_scaling.mean.tolist() == [1.0, 1.0, 1.0]
    assert chain.input_scaling.scale.tolist() == [1.0, 2.0, 4.0]
    assert chain.output_scaling.scale.tolist() == [3.0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (([1, 2], 1), "the mean of input_scaler must be a number or have the shape \\(3,\\)"),
        ((np.nan, 1), "the mean of input_scaler must be finite"),
        ((0, 0), "the scale of input_scaler must be above 0"),
        ((0, [1, -1, 1]), "the scale of input_scaler must be above 0"),
        (("a", 1), "the mean of input_scaler"),
        (5, "input_scaler must be \\(mean, scale\\) or a fitted StandardScaler"),
        ("standard", "input_scaler must be \\(mean, scale\\) or a fitted StandardScaler"),
    ],
)
def test_other_scalers_are_refused(wrong, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        chain_of(MLP((3, 1)), input_scaler=wrong)


@pytest.mark.parametrize("name", ["MinMaxScaler", "MaxAbsScaler"])
def test_scalers_that_are_not_fitted_or_clip_are_refused(name: str) -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    with pytest.raises(TypeError, match="fitted StandardScaler"):
        chain_of(MLP((3, 1)), input_scaler=getattr(preprocessing, name)())
    clips = getattr(preprocessing, name)()
    if not hasattr(clips, "clip"):
        pytest.skip(f"this scikit-learn has no {name} that clips")
    clips.set_params(clip=True).fit(rows())
    with pytest.raises(ValueError, match="input_scaler must not clip"):
        chain_of(MLP((3, 1)), input_scaler=clips)


# ---------------------------------------------------------------- a net from layers


@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        ("softmax", "cross_entropy"),
        ("sigmoid", "binary_cross_entropy"),
        ("exp", "poisson"),
        ("tanh", "squared_error"),
        ("identity", "squared_error"),
    ],
)
def test_a_net_without_a_loss_gets_the_one_of_its_outputs(activation: str, loss: str) -> None:
    net = net_of([layer(3, 2, activation)], optimizer=SGD(0.5))
    assert net.spec.loss.name == loss
    assert net.activations == (activation,)
    assert net.optimizer == SGD(0.5)
    assert net.dtype == np.float64


def test_logits_and_a_loss_of_logits_give_probabilities() -> None:
    logits = net_of([layer(3, 2)])
    net = net_of([layer(3, 2)], loss="cross_entropy")
    assert net.activations == ("softmax",)
    np.testing.assert_allclose(net.predict(rows(), logits=True), logits.predict(rows()), rtol=1e-14)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "at least one layer"),
        ([layer(3, 4), layer(5, 1)], "layer 1 must have 4 inputs, the outputs of layer 0"),
        ([layer(3, 4, "softmax"), layer(4, 1)], "softmax"),
        ([layer(3, 4, "swish")], "swish"),
        ([layer(1, 1, weight=np.array([[np.inf]]))], "weight of layer 0 .*inf"),
    ],
)
def test_layers_that_no_net_has_are_refused(layers, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        net_of(layers)
