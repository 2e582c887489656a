"""`diagnose`: each fault is found on a net that has it; a healthy net has none."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import long_uncompiled
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_moons

from fastbp import MLP, SGD, Adam, CosineDecay, DivergenceWarning, History, diagnose

pytestmark = long_uncompiled
MOONS, CLASSES = make_moons(400, noise=0.15, random_state=0)
RNG = np.random.default_rng(6)
silent = pytest.mark.filterwarnings("ignore::fastbp.DivergenceWarning")


def net(sizes=(2, 16, 16, 1), **options):
    given = {"loss": "binary_cross_entropy", "seed": 0} | options
    return MLP(sizes, **given)


def scaled(a):
    return (a - a.mean(axis=0)) / a.std(axis=0)


def problems():
    digits, iris, diabetes = load_digits(), load_iris(), load_diabetes()
    return {
        "moons": (MOONS, CLASSES, (2, 16, 16, 1), "binary_cross_entropy"),
        "digits": (digits.data / 16, digits.target, (64, 64, 10), "cross_entropy"),
        "iris": (scaled(iris.data), iris.target, (4, 8, 3), "cross_entropy"),
        "diabetes": (scaled(diabetes.data), scaled(diabetes.target), (10, 8, 1), "squared_error"),
    }


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("name", ["moons", "digits", "iris", "diabetes"])
def test_a_healthy_net_has_none(name: str, activation: str) -> None:
    X, y, sizes, loss = problems()[name]
    order = np.random.default_rng(0).permutation(len(X))
    train, held = order[: len(X) * 3 // 4], order[len(X) * 3 // 4 :]
    rate = 0.01 if name == "moons" else 3e-3
    one = net(sizes, loss=loss, activation=activation, optimizer=Adam(rate))
    assert diagnose(one, X[train], y[train]).names == ()
    data = X[held], y[held]
    one.fit(X[train], y[train], epochs=20, validation_data=data)
    found = diagnose(one, X[train], y[train], validation_data=data)
    assert found.names == (), str(found)
    assert str(found).startswith("No problems found")
    assert found.loss == pytest.approx(one.loss(X[train], y[train]))


def test_unscaled_inputs_and_targets() -> None:
    found = diagnose(net(), MOONS * [1.0, 300.0], CLASSES)
    assert "column 1" in found["unscaled inputs"].seen
    expected = np.sqrt(np.mean((300 * MOONS[:, 1]) ** 2))
    assert found["unscaled inputs"].values["largest"] == pytest.approx(expected)
    assert found["unscaled inputs"].values["columns"] == 1
    assert "unscaled inputs" in diagnose(net(), MOONS * 1e-4, CLASSES)
    regression = net(loss="squared_error")
    assert "unscaled targets" in diagnose(regression, MOONS, 1e4 * MOONS[:, 0])
    assert "unscaled targets" not in diagnose(regression, MOONS, MOONS[:, 0])


def test_dead_units() -> None:
    one = net()
    one.biases[1][:8] = -50.0
    finding = diagnose(one, MOONS, CLASSES)["dead units"]
    assert finding.values == {"layer 1": 0.5}
    assert finding.seen == "8 of 16 units of layer 1 (relu) are 0 for every row"
    assert finding.severity == "warning"
    one.biases[1][:] = -50.0
    found = diagnose(one, MOONS, CLASSES)
    assert found[0].name == "dead units" and found[0].severity == "error"
    assert "vanishing gradient" not in found and "small updates" not in found


def test_dead_units_by_a_large_learning_rate() -> None:
    one = net(optimizer=SGD(30.0))
    one.fit(MOONS, CLASSES, epochs=3)
    assert "dead units" in diagnose(one, MOONS, CLASSES)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "hard_sigmoid"])
def test_saturated_units(activation: str) -> None:
    one = net((2, 10, 1), activation=activation)
    assert "saturated units" not in diagnose(one, MOONS, CLASSES)
    one.biases[0][:4] = [30.0, -30.0, 30.0, 30.0]
    assert diagnose(one, MOONS, CLASSES)["saturated units"].values == {"layer 0": 0.4}
    one.biases[0][:] = 0
    one.weights[0][...] *= 200
    assert "saturated units" in diagnose(one, MOONS, CLASSES)


def test_vanishing_gradient() -> None:
    found = diagnose(net((2, *[16] * 8, 1), activation="sigmoid"), MOONS, CLASSES)
    norms = found["vanishing gradient"].values
    assert norms["layer 0"] < 1e-3 * norms["layer 8"]
    assert norms["layer 0"] == found.layers[0].gradient_norm
    shallow = net((2, *[16] * 2, 1), activation="sigmoid")
    assert "vanishing gradient" not in diagnose(shallow, MOONS, CLASSES)
    # Frozen layers are not asked.
    one = net((2, *[16] * 8, 1), activation="sigmoid")
    one.freeze(layers=range(7))
    assert "vanishing gradient" not in diagnose(one, MOONS, CLASSES)


def test_vanishing_gradient_by_small_weights() -> None:
    small = net((2, *[16] * 6, 1), weight_init=lambda g, shape: 0.02 * g.normal(size=shape))
    found = diagnose(small, MOONS, CLASSES == 1, np.where(CLASSES == 1, 2.0, 1.0))
    assert "vanishing gradient" in found


@silent
def test_exploding_gradient() -> None:
    large = net((2, *[16] * 8, 1), loss="squared_error", activation="leaky_relu",
                weight_init=lambda g, shape: 1.5 * g.normal(size=shape))  # fmt: skip
    finding = diagnose(large, MOONS, CLASSES)["exploding gradient"]
    assert finding.values["layer 0"] > 1e3
    usual = net((2, *[16] * 8, 1), loss="squared_error", activation="leaky_relu")
    assert "exploding gradient" not in diagnose(usual, MOONS, CLASSES)


def test_large_and_small_updates() -> None:
    large = diagnose(net(optimizer=Adam(1.0)), MOONS, CLASSES)
    assert large["large updates"].values["layer 2"] > 0.1
    small = diagnose(net(optimizer=SGD(1e-6)), MOONS, CLASSES)
    assert max(small["small updates"].values.values()) < 1e-5


def test_the_ratio_of_update_to_weight_is_that_of_an_update() -> None:
    one = net(optimizer=SGD(0.01))
    found = diagnose(one, MOONS, CLASSES, batch_size=400)
    _, gradient = one.loss_and_grad(MOONS, CLASSES)
    twin = net(optimizer=SGD(0.01))
    twin.params[:] = gradient
    for layer, report in enumerate(found.layers):
        norm = np.linalg.norm(twin.weights[layer])
        assert report.gradient_norm == pytest.approx(norm, rel=1e-5)
        assert report.weight_norm == pytest.approx(np.linalg.norm(one.weights[layer]), rel=1e-5)
        ratio = 0.01 * report.gradient_norm / report.weight_norm
        assert report.update_ratio == pytest.approx(ratio, rel=0.2)  # the median of ten updates


def test_a_learning_rate_that_is_too_large() -> None:
    X, y, _, _ = problems()["diabetes"]
    one = net((10, 16, 1), loss="squared_error", optimizer=SGD(1.0))
    finding = diagnose(one, X, y)["learning rate too large"]
    assert finding.severity == "error" and "diverges" in finding.seen
    assert finding.values["loss at 1 x"] == np.inf > finding.values["loss at 0.1 x"]
    assert "learning rate too large" in diagnose(net(optimizer=Adam(3.0)), MOONS, CLASSES)
    good = net((10, 16, 1), loss="squared_error", optimizer=SGD(0.01))
    with pytest.warns(DivergenceWarning):
        history = one.fit(X, y, epochs=5)
    assert "diverged in epoch 1" in diagnose(good, X, y, history=history)[0].seen


def test_a_learning_rate_that_spoils_a_trained_net() -> None:
    one = net(optimizer=Adam(0.01))
    one.fit(MOONS, CLASSES, epochs=100)
    assert "learning rate too large" not in diagnose(one, MOONS, CLASSES)
    one.optimizer = Adam(1.0)
    finding = diagnose(one, MOONS, CLASSES)["learning rate too large"]
    assert finding.values["loss at 1 x"] > 1.2 * one.loss(MOONS, CLASSES)


@pytest.mark.parametrize("rate", [1e-5, 1e-6])
def test_a_learning_rate_that_is_too_small(rate: float) -> None:
    found = diagnose(net(optimizer=SGD(rate)), MOONS, CLASSES)
    assert "learning rate too small" in found and "learning rate too large" not in found


def test_overfitting() -> None:
    digits = load_digits()
    X, noise = digits.data[:300] / 16, RNG.integers(10, size=100)
    one = net((64, 200, 10), loss="cross_entropy", optimizer=Adam(1e-3))
    held = X[100:], digits.target[100:300]
    history = one.fit(X[:100], noise, epochs=60, validation_data=held)
    finding = diagnose(one, X[:100], noise, validation_data=held)["overfitting"]
    assert finding.values["validation"] == pytest.approx(one.loss(*held))
    by_history = diagnose(one, X[:100], noise)["overfitting"]
    assert by_history.values["best epoch"] == np.argmin(history["val_loss"]) + 1
    assert by_history.values["last"] == history["val_loss"][-1]


def test_underfitting() -> None:
    X = RNG.uniform(-1, 1, size=(400, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)  # no line tells them apart
    one = net((2, 1), optimizer=Adam(0.01))
    assert "underfitting" not in diagnose(one, X, y)  # not trained yet
    one.fit(X, y, epochs=50)
    share = y.mean()
    constant = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    finding = diagnose(one, X, y)["underfitting"]
    assert finding.values["constant"] == pytest.approx(constant, rel=1e-4)


@pytest.mark.parametrize(
    ("loss", "y", "constant"),
    [("squared_error", [1.0, 2.0, 6.0], 7 / 3), ("cross_entropy", [0, 0, 1], 0.63651),
     ("poisson", [1.0, 2.0, 6.0], np.log(2**2 * 6**6 / 3**9) / 3),
     ("absolute_error", [1.0, 2.0, 6.0], 2.0)],
)  # fmt: skip
def test_the_loss_of_a_constant(loss: str, y: list[float], constant: float) -> None:
    outputs = 2 if loss == "cross_entropy" else 1
    one = MLP((1, outputs), loss=loss, weight_init="zeros", optimizer=SGD(1e-30))
    X = np.zeros((3, 1))
    history = one.fit(X, y, epochs=1)
    one.biases[0][...] = 20.0 if loss != "cross_entropy" else [20.0, -20.0]
    finding = diagnose(one, X, y, history=history)["underfitting"]
    assert finding.values["constant"] == pytest.approx(constant, rel=1e-4)


def test_the_net_and_the_data_are_as_they_were() -> None:
    one, twin = (net(dropout=0.1, optimizer=Adam(0.01)) for _ in range(2))
    for each in (one, twin):
        each.fit(MOONS, CLASSES, epochs=2)
    before, X = (one.params.tobytes(), one.state.random.tobytes(), one.optimizer), MOONS.copy()
    history, weights = one.history, np.linspace(0, 1, 400)
    first = diagnose(one, X, CLASSES, weights, validation_data=(X, CLASSES, weights))
    assert (one.params.tobytes(), one.state.random.tobytes(), one.optimizer) == before
    assert one.history is history and np.array_equal(X, MOONS)
    again = diagnose(one, X, CLASSES, weights, validation_data=(X, CLASSES, weights))
    assert str(first) == str(again)
    for each in (one, twin):
        each.fit(MOONS, CLASSES, epochs=2)
    assert np.array_equal(one.params, twin.params)


def test_many_rows_are_drawn_from() -> None:
    X = RNG.normal(size=(5000, 2))
    X[:, 0] *= 1000
    found = diagnose(net(), X, X[:, 1] > 0)
    size = found["unscaled inputs"].values["largest"]
    assert size == pytest.approx(1000, rel=0.1) and size != np.sqrt(np.mean(X[:, 0] ** 2))


def test_bad_input() -> None:
    with pytest.raises(TypeError, match="net must be an MLP; got str"):
        diagnose("net", MOONS, CLASSES)
    with pytest.raises(TypeError, match="history must be a History, as returned by fit; got"):
        diagnose(net(), MOONS, CLASSES, history={"loss": [1.0]})
    with pytest.raises(TypeError, match=r"validation_data must be \(X, y\) or"):
        diagnose(net(), MOONS, CLASSES, validation_data=MOONS)
    with pytest.raises(ValueError, match="X and y must have the same number of rows"):
        diagnose(net(), MOONS, CLASSES[:7])
    with pytest.raises(ValueError, match="step"):
        diagnose(net(activation="step"), MOONS, CLASSES)
    assert diagnose(net(), MOONS, CLASSES, history=History()).names == ()


LINE = np.linspace(-7, 7, 200)[:, None]
BOUNDED = ("tanh", "sigmoid", "hard_sigmoid", "relu", "softplus", "exp", "elu", "gelu", "silu")


@pytest.mark.parametrize("name", BOUNDED)
def test_outputs_that_cannot_reach_the_targets(name: str) -> None:
    one = MLP((1, 8, 1), activation="tanh", output_activation=name, seed=0)
    below = -3 - np.abs(LINE)
    one.fit(LINE, below, epochs=20)
    found = diagnose(one, LINE, below)
    assert found[0].name == "unreachable targets" and found[0].severity == "error"
    assert found[0].values == {"share": 1.0, "least": -10.0, "most": below.max()}
    assert f"of {name} outputs" in found[0].seen
    assert "underfitting" not in found
    one = MLP((1, 8, 1), activation="tanh", seed=0)
    assert "unreachable targets" not in diagnose(one, LINE, below)


def test_units_that_start_alike_stay_alike() -> None:
    X = RNG.uniform(-1, 1, (200, 2))
    y = X[:, 0] * X[:, 1] > 0
    one = net((2, 16, 1), activation="sigmoid", weight_init="zeros")
    one.fit(X, y, epochs=30)
    finding = diagnose(one, X, y)["identical units"]
    assert finding.severity == "error"
    assert finding.seen == "15 of 16 units of layer 0 are copies of others"
    assert "identical units" not in diagnose(net((2, 16, 1)), X, y)


def test_dead_outputs() -> None:
    one = MLP((1, 8, 2), output_activation="relu", seed=0)
    one.biases[1][:] = -50.0
    y = np.hstack([np.ones((200, 1)), np.zeros((200, 1))])  # the second output is rightly 0
    found = diagnose(one, LINE, y)
    assert found["dead units"].values == {"layer 1": 0.5}
    assert found["dead units"].advice.startswith("For the outputs take")
    assert found["vanishing gradient"].severity == "error"
    assert {layer.gradient_norm for layer in found.layers} == {0.0}
    assert "small updates" not in found


@pytest.mark.parametrize("name", ["hard_sigmoid", "sigmoid", "tanh"])
def test_saturated_outputs(name: str) -> None:
    one = MLP((1, 8, 1), output_activation=name, seed=0)
    one.biases[1][:] = 50.0
    astray = np.where(LINE > 0, 0.3, 0.6)
    finding = diagnose(one, LINE, astray)["saturated units"]
    assert finding.values == {"layer 1": 1.0} and finding.severity == "error"
    right = np.where(LINE > 6.9, 0.3, 1.0)
    assert "saturated units" not in diagnose(one, LINE, right)
    # The cross-entropy is computed from net inputs: its gradient does not vanish.
    sure = MLP((1, 8, 1), loss="binary_cross_entropy", seed=0)
    sure.biases[1][:] = 50.0
    assert "saturated units" not in diagnose(sure, LINE, LINE > 0)


@pytest.mark.filterwarnings("ignore:the mean loss of the first epoch")
def test_a_loss_above_that_of_a_constant() -> None:
    one = MLP((1, 16, 1), seed=0)
    y = 5e5 + 2e4 * LINE
    one.fit(LINE, y, epochs=2)
    finding = diagnose(one, LINE, y)["underfitting"]
    assert finding.values["loss"] > 10 * finding.values["constant"]
    assert "is above that of a constant prediction" in finding.seen


@pytest.mark.parametrize("name", ["softplus", "elu", "gelu", "silu", "selu", "leaky_relu", "tanh"])
def test_the_loss_of_a_constant_for_every_range_of_outputs(name: str) -> None:
    one = MLP((1, 1), output_activation=name, weight_init="zeros", optimizer=SGD(1e-30), seed=0)
    y = np.array([-0.1, 0.05, 0.8])
    history = one.fit(np.zeros((3, 1)), y, epochs=1)
    one.biases[0][:] = 20.0
    finding = diagnose(one, np.zeros((3, 1)), y, history=history)["underfitting"]
    assert finding.values["constant"] == pytest.approx(np.var(y) / 2, rel=1e-4)


def test_a_schedule_at_its_end_makes_no_updates() -> None:
    one = net((2, 4, 1), optimizer=Adam(CosineDecay(0.001, 2)))
    one.fit(MOONS, CLASSES, epochs=1)
    finding = diagnose(one, MOONS, CLASSES)["small updates"]
    assert "an update changes the weights not at all" in finding.seen
    assert "where its schedule has come to" in finding.advice


def test_schedules_that_count_epochs_count_those_of_all_rows() -> None:
    X = np.tile(MOONS, (10, 1)) + RNG.normal(0, 0.01, (4000, 2))
    y = np.tile(CLASSES, 10)
    by_epochs = net((2, 4, 1), optimizer=Adam(CosineDecay(0.01, epochs=4)))
    by_updates = net((2, 4, 1), optimizer=Adam(CosineDecay(0.01, 4 * 125)))
    for one in (by_epochs, by_updates):
        one.fit(X, y, epochs=2)
    first, second = (diagnose(one, X, y) for one in (by_epochs, by_updates))
    assert str(first).partition("optimizer")[0] == str(second).partition("optimizer")[0]
    assert [r.update_ratio for r in first.layers] == [r.update_ratio for r in second.layers]
    assert "epochs=4" in str(first)
