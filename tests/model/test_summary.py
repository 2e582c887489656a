"""`MLP.summary`: counts by hand, memory as the net has it, and how it prints."""

from __future__ import annotations

import numpy as np
import pytest

from fastbp import MLP, SGD, Huber, graph
from fastbp.model.summary import LayerSummary

(z,) = graph.variables("z")


def test_counts() -> None:
    net = MLP((784, 30, 10), activation="tanh", loss="cross_entropy", seed=0)
    net.freeze(layers=[0], biases=False)
    net.frozen[-1] = True
    summary = net.summary()
    assert summary.layers == (
        LayerSummary(784, 30, "tanh", 23550, 23520),
        LayerSummary(30, 10, "softmax", 310, 1),
    )
    assert (summary.n_params, summary.n_frozen) == (23860, 23521)
    assert (
        summary.n_params
        == net.n_params
        == net.params.size
        == sum(layer.n_params for layer in summary.layers)
    )
    assert (summary.dtype, summary.loss) == ("float32", "cross_entropy")
    assert summary.optimizer == repr(net.optimizer)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_memory(dtype) -> None:
    net = MLP((3, 4, 2), dtype=dtype, seed=0)
    size = np.dtype(dtype).itemsize
    summary = net.summary()
    assert (summary.parameter_bytes, summary.optimizer_bytes) == (26 * size, 2 * 26 * size)
    assert summary.batch_size == 32
    work = net.workspace(32, training=True).work
    assert summary.workspace_bytes == work.values.nbytes + work.offsets.nbytes
    assert summary.workspace_bytes > 32 * (3 + 4 + 2) * size
    assert net.summary(64).workspace_bytes > summary.workspace_bytes
    assert net.summary(10**9).workspace_bytes == net.summary(10**6).workspace_bytes
    clipped = MLP((3, 4, 2), dtype=dtype, clip_norm=1.0, seed=0).summary()
    assert clipped.workspace_bytes == summary.workspace_bytes + 26 * size


def test_it_changes_nothing() -> None:
    net, twin = MLP((3, 4, 1), dropout=0.5, seed=0), MLP((3, 4, 1), dropout=0.5, seed=0)
    X = np.random.default_rng(0).normal(size=(20, 3))
    net.fit(X, X[:, 0], batch_size=7, epochs=2)
    twin.fit(X, X[:, 0], batch_size=7, epochs=1)
    twin.summary()
    twin.fit(X, X[:, 0], batch_size=7, epochs=1)
    assert np.array_equal(net.params, twin.params)


def test_text() -> None:
    net = MLP(
        (3, 4, 1), bias=False, activation=z * graph.tanh(z), loss=Huber(0.5), l2=0.25,
        optimizer=SGD(0.5), seed=0,
    )  # fmt: skip
    summary = net.summary(100)
    total = summary.parameter_bytes + summary.optimizer_bytes + summary.workspace_bytes
    assert str(summary).splitlines() == [
        "MLP 3-4-1, float32",
        "layer  input shape  output shape   activation  parameters  frozen",
        "    0    (rows, 3)     (rows, 4)  z * tanh(z)          12       0",
        "    1    (rows, 4)     (rows, 1)     identity           4       0",
        "total                                                  16       0",
        "loss: Huber(delta=0.5), l2=0.25",
        "optimizer: SGD(learning_rate=0.5, momentum=0.0, nesterov=False)",
        f"memory: {total:,} bytes; parameters 64, optimizer 64, workspace of 100 rows "
        f"{summary.workspace_bytes:,}",
    ]
    assert repr(summary) == str(summary)


def test_in_a_notebook() -> None:
    html = MLP((3, 4, 1), activation=z**2 * 1, seed=0).summary()._repr_html_()
    assert "<b>MLP 3-4-1, float32</b><br>loss: squared_error<br>optimizer: Adam(" in html
    assert "<td>0</td><td>(rows, 3)</td><td>(rows, 4)</td>" in html
    assert html.count("<tr>") == 1 + 2 + 1


def test_functions_in_python_have_their_names() -> None:
    def square(z):
        return z * z, 2 * z

    def own(y_pred, y):
        return 0.0, y_pred

    summary = MLP((3, 4, 1), activation=square, loss=own, seed=0).summary()
    assert summary.layers[0].activation == "square"
    assert summary.loss == "CallableLoss(own)"


def test_a_perceptron_without_hidden_layers() -> None:
    summary = MLP((3, 1), output_activation="step", seed=0).summary()
    assert summary.layers == (LayerSummary(3, 1, "step", 4, 0),)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "32", True])
def test_bad_batches(batch_size) -> None:
    with pytest.raises((TypeError, ValueError), match="batch_size must be"):
        MLP((3, 1), seed=0).summary(batch_size)


def test_the_count_cannot_be_set() -> None:
    with pytest.raises(AttributeError, match="n_params of a net cannot be set"):
        MLP((3, 1), seed=0).n_params = 3
