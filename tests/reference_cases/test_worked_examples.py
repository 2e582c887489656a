"""The worked examples of the lecture decks, by name, to the printed digits.

Decks: TJ = TJ Machine Learning Club, Neural Networks II; MC886 = Unicamp MC886/MO444, Artificial
Neural Networks (after M. Mazur); ECE448 = M. Hasegawa-Johnson, Lecture 10; ID2223 =
A. Payberah, Deep Feedforward Networks; CS109A = Protopapas & Rader, Lecture 12.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import COMPILED, DTYPES

from fastbp import MLP, SGD, graph

POINTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
XOR = np.array([0, 1, 1, 0])


def printed(value, digits):
    """Rounded to the digits that the deck prints."""
    return np.round(np.asarray(value, np.float64), digits).tolist()


# ---- case 1: linear 2-3-1 network, one step (TJ) ----


def linear_2_3_1(dtype):
    net = MLP(
        (2, 3, 1), activation="identity", bias=False, dtype=dtype, optimizer=SGD(learning_rate=0.1)
    )
    net.weights[0][...] = [[1, 4, 3], [3, 2, -2]]
    net.weights[1][...] = [[-1], [-3], [2]]
    return net


@pytest.mark.parametrize("dtype", DTYPES)
def test_case_1_linear_2_3_1_outputs(dtype):
    net = linear_2_3_1(dtype)
    hidden = MLP((2, 3), bias=False, dtype=dtype)
    hidden.weights[0][...] = net.weights[0]
    assert hidden.predict([[3, -2]]).tolist() == [[-3, 8, 13]]
    assert net.predict([[3, -2]]).tolist() == [[5]]
    assert net.loss([[3, -2]], [9]) == 8.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_case_1_linear_2_3_1_one_step(dtype):
    net = linear_2_3_1(dtype)
    loss, grad = net.loss_and_grad([[3, -2]], [9])
    # Unit by unit: into hidden 3, 4, 5, then into the output.
    assert loss == 8.0
    assert grad.tolist() == [12, -8, 36, -24, -24, 16, 12, -32, -52]
    assert net.step([[3, -2]], [9]) == 8.0
    assert printed(net.weights[1][0, 0], 6) == -2.2
    assert printed(net.weights[0][0, 0], 6) == -0.2  # with the old W36; the new one gives -1.64
    assert printed(net.weights[0], 5) == [[-0.2, 0.4, 5.4], [3.8, 4.4, -3.6]]
    assert printed(net.weights[1], 5) == [[-2.2], [0.2], [7.2]]


# ---- case 2: sigmoid 2-2-2 network (MC886, ID2223) ----

X2, T2 = [[0.05, 0.10]], [[0.01, 0.99]]


def sigmoid_2_2_2(dtype="float64"):
    net = MLP(
        (2, 2, 2),
        activation="sigmoid",
        output_activation="sigmoid",
        dtype=dtype,
        optimizer=SGD(learning_rate=0.5),
    )
    net.weights[0][...] = np.array([[0.15, 0.20], [0.25, 0.30]]).T  # w1, w2 feed h1
    net.weights[1][...] = np.array([[0.40, 0.45], [0.50, 0.55]]).T  # w5, w6 feed o1
    net.biases[0][...], net.biases[1][...] = 0.35, 0.60
    net.freeze(weights=False, biases=True)
    return net


def beginning(net, layers, output_activation):
    """The net of the first layers, with the same parameters."""
    part = MLP(
        net.layer_sizes[: layers + 1],
        activation=net.activations[: layers - 1],
        output_activation=output_activation,
        dtype=net.dtype,
    )
    part.params[...] = net.params[: part.params.size]
    return part


def test_case_2_sigmoid_2_2_2_forward():
    net = sigmoid_2_2_2()
    assert printed(beginning(net, 1, "identity").predict(X2)[0, 0], 4) == 0.3775
    assert printed(beginning(net, 1, "sigmoid").predict(X2), 9) == [[0.593269992, 0.596884378]]
    assert printed(beginning(net, 2, "identity").predict(X2)[0, 0], 9) == 1.105905967
    out = net.predict(X2)
    assert printed(out[0, 0], 8) == 0.75136507
    assert printed(out[0, 1], 9) == 0.772928465
    errors = 0.5 * (np.array(T2) - out) ** 2
    assert printed(errors, 9) == [[0.274811083, 0.023560026]]
    assert printed(net.loss(X2, T2), 9) == 0.298371109


def test_case_2_sigmoid_2_2_2_deltas():
    net = sigmoid_2_2_2()
    loss, grad = net.loss_and_grad(X2, T2)
    assert printed(loss, 9) == 0.298371109
    # Flat: w1 w2 w3 w4, two biases, w5 w6 w7 w8, two biases. A bias's gradient is its delta.
    dw1, dw5, delta_h1, delta_o1 = grad[0], grad[6], grad[4], grad[10]
    assert printed(delta_o1, 9) == 0.138498562
    assert printed(dw5, 9) == 0.082167041
    assert printed(dw1, 9) == 0.000438568
    out = net.predict(X2)[0]
    hidden = beginning(net, 1, "sigmoid").predict(X2)[0]
    assert printed(out[0] - T2[0][0], 8) == 0.74136507  # dE/dout_o1
    assert printed(delta_o1 / (out[0] - T2[0][0]), 9) == 0.186815602  # dout_o1/dnet_o1
    assert printed(hidden[0] * (1 - hidden[0]), 9) == 0.241300709  # dout_h1/dnet_h1
    assert printed(delta_o1 * net.weights[1][0, 0], 9) == 0.055399425
    # MC886 multiplies rounded numbers; the exact one is -0.0190491183.
    assert grad[11] * net.weights[1][0, 1] == pytest.approx(-0.019049119, abs=1e-9)
    assert printed(delta_h1 / (hidden[0] * (1 - hidden[0])), 9) == 0.036350306  # dE/dout_h1


def test_case_2_sigmoid_2_2_2_one_step():
    net = sigmoid_2_2_2()
    assert printed(net.step(X2, T2), 9) == 0.298371109
    w = np.concatenate([net.weights[0].T.ravel(), net.weights[1].T.ravel()])
    assert printed(w[0], 9) == 0.149780716
    assert printed(w[1:4], 8) == [0.19956143, 0.24975114, 0.29950229]
    assert printed(w[4], 8) == 0.35891648
    assert printed(w[5:], 9) == [0.408666186, 0.511301270, 0.561370121]
    assert net.biases[0].tolist() == [0.35, 0.35]  # held fixed
    assert net.biases[1].tolist() == [0.60, 0.60]
    loss = net.loss(X2, T2)
    assert printed(loss, 8) == 0.29102777
    assert loss == pytest.approx(0.291027924, abs=2e-7)  # as MC886 prints it


@pytest.mark.parametrize("dtype", DTYPES)
def test_case_2_sigmoid_2_2_2_after_10_000_steps(dtype):
    if dtype == "float32" and not COMPILED:
        pytest.skip("20,000 uncompiled updates take long; float64 runs")
    net = sigmoid_2_2_2(dtype)
    history = net.fit(X2, T2, epochs=10_000, batch_size=1)
    assert len(history) == 10_000
    assert history.loss[0] == pytest.approx(0.298371109, rel=1e-6)
    assert net.loss(X2, T2) == pytest.approx(3.51e-5, rel=1e-3)
    np.testing.assert_allclose(net.predict(X2), [[0.01591, 0.98406]], rtol=1e-3)
    assert net.biases[0].tolist() == np.full(2, 0.35, dtype).tolist()


def test_case_2_sigmoid_2_2_2_in_float32():
    net = sigmoid_2_2_2("float32")
    assert net.step(X2, T2) == pytest.approx(0.298371109, rel=1e-6)
    np.testing.assert_allclose(
        net.weights[1].T.ravel(), [0.35891648, 0.408666186, 0.511301270, 0.561370121], rtol=1e-6
    )


# ---- case 3: computational graphs (MC886, CS109A) ----

PRODUCT_AT = {"x": -2, "y": 5, "z": -4}
UNIT_AT = {"X": 3, "y": 1, "W": 3}


def product_graph():
    x, y, z = graph.variables("x y z")
    return ((x + y).named("q") * z).named("f")


def unit_graph(branch="y"):
    """L = -y log p, with the other branch -(1 - y) log(1 - p) too; p = 1 / (1 + exp(-W X))."""
    W, X, y = graph.variables("W X y")
    xi1 = (-W * X).named("xi1")
    xi2 = graph.exp(xi1).named("xi2")
    xi3 = (1 + xi2).named("xi3")
    xi4 = (1 / xi3).named("xi4")
    xi5 = graph.log(xi4).named("xi5")
    if branch == "y":
        return (-y * xi5).named("L")
    return (-y * xi5 - (1 - y) * graph.log(1 - xi4).named("xi6")).named("L")


def test_case_3_product_graph():
    f = product_graph()
    assert f.value(PRODUCT_AT) == -12
    assert f.gradient(PRODUCT_AT, wrt=["x", "y", "z", "q"]) == {"x": -4, "y": -4, "z": 3, "q": -4}
    backward = f.backward_table(PRODUCT_AT)
    assert backward["q"] == ("q", "x + y", 3, {"x": 1, "y": 1}, -4)
    assert backward["f"].local == {"q": -4, "z": 3}
    for name, slope in (("x", -4), ("y", -4), ("z", 3)):
        assert backward[name].running == slope
        assert f.forward_table(name, PRODUCT_AT)["f"].running == slope
        assert f.jvp(PRODUCT_AT, {name: 1}) == (-12, slope)


E = np.exp(-9)
VALUES = {
    "xi1": -9, "xi2": E, "xi3": 1 + E, "xi4": 1 / (1 + E), "xi5": -np.log1p(E), "L": np.log1p(E)
}  # fmt: skip
LOCAL = {
    "xi1": {"W": -3, "X": -3}, "xi2": {"xi1": E}, "xi3": {"xi2": 1},
    "xi4": {"xi3": -1 / (1 + E) ** 2}, "xi5": {"xi4": 1 + E}, "L": {"xi5": -1, "y": np.log1p(E)},
}  # fmt: skip


def check_steps(table, running):
    for name, value in VALUES.items():
        assert table[name].value == pytest.approx(value, rel=1e-11)
        assert table[name].local == pytest.approx(LOCAL[name], rel=1e-11)
        assert table[name].running == pytest.approx(running[name], rel=1e-11)


def test_case_3_cross_entropy_in_forward_mode():
    s = 3 * E / (1 + E)
    running = {
        "xi1": -3, "xi2": -3 * E, "xi3": -3 * E, "xi4": s / (1 + E), "xi5": s, "L": -s
    }  # fmt: skip
    table = unit_graph().forward_table("W", UNIT_AT)
    assert [row.name for row in table][-6:] == list(VALUES)
    check_steps(table, running)
    assert printed(table["L"].running, 14) == printed(-0.00037018372796, 14)
    assert printed(table["L"].running, 11) == -0.00037018373
    assert table["L"].running == pytest.approx(-0.00037018372, abs=1e-11)


def test_case_3_cross_entropy_in_backward_mode():
    p = 1 / (1 + E)
    running = {"L": 1, "xi5": -1, "xi4": -(1 + E), "xi3": p, "xi2": p, "xi1": E * p}
    table = unit_graph().backward_table(UNIT_AT)
    assert [row.name for row in table][:6] == list(VALUES)[::-1]
    check_steps(table, running)
    assert table["W"].running == pytest.approx(-0.00037018372, abs=1e-11)
    assert unit_graph().jvp(UNIT_AT, {"W": 1})[1] == pytest.approx(table["W"].running, rel=1e-14)


@pytest.mark.parametrize("label", [0, 1])
def test_case_3_full_cross_entropy(label):
    """dL/dW = (p - y) X, the identity of the matched pair."""
    at, L = UNIT_AT | {"y": label}, unit_graph("both")
    p = 1 / (1 + E)
    assert L.value(at) == pytest.approx(-np.log(p) if label else -np.log(1 - p), rel=1e-11)
    slope = (p - label) * 3
    assert L.gradient(at)["W"] == pytest.approx(slope, rel=1e-8)  # 1 - p has lost digits
    assert L.jvp(at, {"W": 1})[1] == pytest.approx(slope, rel=1e-8)
    assert L.forward_table("W", at)["L"].running == L.jvp(at, {"W": 1})[1]
    backward = L.backward_table(at)
    assert backward["W"].running == L.gradient(at)["W"]
    assert backward["xi5"].running == -label
    assert backward["xi6"].running == label - 1
    if label:
        assert slope == pytest.approx(-0.00037018372, abs=1e-11)
    # As a net: one logistic unit, its loss built in, and its loss the graph.
    for loss in ("binary_cross_entropy", graph_of_entropy()):
        net = MLP((1, 1), output_activation="sigmoid", loss=loss, bias=False, dtype="float64")
        net.weights[0][...] = 3
        assert net.loss_and_grad([[3]], [label])[1][0] == pytest.approx(slope, rel=1e-8)


def graph_of_entropy():
    p, y = graph.variables("y_pred y")
    return -y * graph.log(p) - (1 - y) * graph.log(1 - p)


def test_case_3_a_node_is_added_and_nothing_is_derived_again():
    x, w = graph.variables("x w")
    before = graph.tanh(w * x)
    after = graph.sin(before) ** 2
    at = {"x": 0.7, "w": -1.3}
    inner = np.tanh(-0.91)
    slope = 0.7 * (1 - inner**2)
    assert before.gradient(at)["w"] == pytest.approx(slope, rel=1e-14)
    assert after.gradient(at)["w"] == pytest.approx(np.sin(2 * inner) * slope, rel=1e-14)


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3), (4, 3, 5)])
def test_case_3_a_layer_is_added_and_nothing_is_derived_again(hidden):
    """The net's gradient is that of a graph written out unit by unit."""
    rng = np.random.default_rng(1)
    net = MLP((2, *hidden, 1), activation="tanh", dtype="float64", seed=3)
    net.params[:] = rng.normal(size=net.params.size)
    x, t, params = [0.3, -0.8], 0.4, graph.vector("params", net.params.size)
    units, at = list(graph.Vector(x)), 0
    for layer, n_out in enumerate(net.layer_sizes[1:]):
        n_in, last = len(units), layer == len(hidden)
        rows = [params[at + i * n_in : at + (i + 1) * n_in] for i in range(n_out)]
        sums = [graph.dot(r, units) + params[at + n_in * n_out + i] for i, r in enumerate(rows)]
        units, at = sums if last else [graph.tanh(s) for s in sums], at + (n_in + 1) * n_out
    loss = 0.5 * (units[0] - t) ** 2
    value, found = loss.value_and_gradient(params=net.params)
    expected, grad = net.loss_and_grad([x], [t])
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(found["params"], grad, rtol=1e-10, atol=1e-13)


# ---- case 4: threshold units and XOR (ECE448, ID2223) ----


def threshold_unit(weights, bias, dtype="float32"):
    net = MLP((len(weights), 1), output_activation="step", dtype=dtype)
    net.weights[0][...] = np.reshape(weights, (-1, 1))
    net.biases[0][...] = bias
    return net


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("weights", "bias", "expected"),
    [((1, 1), -1.5, [0, 0, 0, 1]), ((1, 1), -0.5, [0, 1, 1, 1])],
    ids=["and", "or"],
)
def test_case_4_mcculloch_pitts_unit(weights, bias, expected, dtype):
    net = threshold_unit(weights, bias, dtype)
    assert net.predict(POINTS).ravel().tolist() == expected
    assert net.loss(POINTS, expected) == 0.0
    assert net.loss(POINTS, 1 - np.array(expected)) == 0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_case_4_mcculloch_pitts_not(dtype):
    assert threshold_unit((-1,), 0.5, dtype).predict([[0], [1]]).tolist() == [[1], [0]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_case_4_xor_by_hand_set_step_units(dtype):
    net = MLP((2, 2, 1), activation="step", output_activation="step", dtype=dtype)
    net.weights[0][...] = 1
    net.biases[0][...] = (-1.5, -0.5)
    net.weights[1][...] = [[-1], [1]]
    net.biases[1][...] = -0.5
    assert net.predict(POINTS).ravel().tolist() == XOR.tolist()
    assert beginning(net, 1, "identity").predict(POINTS).tolist() == [
        [-1.5, -0.5],
        [-0.5, 0.5],
        [-0.5, 0.5],
        [0.5, 1.5],
    ]
    outputs = beginning(net, 2, "identity").predict(POINTS)
    assert outputs.ravel().tolist() == [-0.5, 0.5, 0.5, -0.5]
    with pytest.raises(ValueError, match="step units cannot be trained"):
        net.fit(POINTS, XOR)


@pytest.mark.parametrize("dtype", DTYPES)
def test_case_4_least_squares_fit_of_xor(dtype):
    net = MLP((2, 1), optimizer=SGD(learning_rate=0.5), dtype=dtype, seed=1)
    net.fit(POINTS, XOR, epochs=2000, batch_size=4)
    np.testing.assert_allclose(net.weights[0], 0, atol=1e-6)
    np.testing.assert_allclose(net.biases[0], 0.5, atol=1e-6)
    np.testing.assert_allclose(net.predict(POINTS), 0.5, atol=1e-6)
    assert net.loss(POINTS, XOR) == pytest.approx(0.125, rel=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_case_4_xor_learned_by_backpropagation(activation, dtype):
    net = MLP(
        (2, 4, 1),
        activation=activation,
        loss="binary_cross_entropy",
        optimizer=SGD(learning_rate=1.0, momentum=0.9),
        dtype=dtype,
        seed=0,
    )
    before = net.loss(POINTS, XOR)
    net.fit(POINTS, XOR, epochs=1000, batch_size=4)
    assert before > 0.5
    assert net.loss(POINTS, XOR) < 0.01
    assert net.predict(POINTS).round().ravel().tolist() == XOR.tolist()
