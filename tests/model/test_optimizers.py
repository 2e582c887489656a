"""Optimisers: ten updates as PyTorch does them, hyper-parameters, names."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import MLP
from fastbp.kernels import optimizers as steps
from fastbp.kernels import updates
from fastbp.kernels.state import GROUPS, REGULATED
from fastbp.model import optimizers
from fastbp.model.optimizers import (
    OPTIMIZERS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    AMSGrad,
    Group,
    Lion,
    NAdam,
    RMSprop,
    as_optimizer,
)

HERE = Path(__file__).parents[1] / "reference_values"
FIGURES, OPTAX = (
    json.loads((HERE / name).read_text("utf-8"))
    for name in ("torch_updates.json", "optax_updates.json")
)
RUNS = FIGURES["runs"] | OPTAX["runs"]
ALL = tuple(OPTIMIZERS.values())


def net_of(run, dtype):
    groups = tuple(Group(**group) for group in run.get("groups", ()))
    optimizer = getattr(optimizers, run["optimizer"])(**run["options"], groups=groups)
    options = run.get("net", {})
    net = MLP(FIGURES["sizes"], activation="tanh", optimizer=optimizer, dtype=dtype, **options)
    net.params[:] = FIGURES["params"]
    return net


def tolerance(run):
    """PyTorch adds 1e-6 to the norm before it divides by it."""
    return 1e-6 if "clip_norm" in run.get("net", {}) else 1e-9


@pytest.mark.parametrize("name", RUNS)
def test_ten_updates_agree_with_pytorch_or_optax(name):
    run = RUNS[name]
    net = net_of(run, "float64")
    assert len(run["params"]) == len(run["losses"]) == 10
    for expected_loss, expected in zip(run["losses"], run["params"], strict=True):
        loss = net.step(FIGURES["inputs"], FIGURES["targets"])
        assert loss == pytest.approx(expected_loss, rel=1e-6)
        np.testing.assert_allclose(net.params, expected, rtol=1e-6, atol=tolerance(run))
    assert np.abs(net.params - FIGURES["params"]).max() > 0.005


@pytest.mark.parametrize("name", RUNS)
def test_ten_updates_in_one_fit_agree_with_pytorch_or_optax(name):
    run = RUNS[name]
    net = net_of(run, "float64")
    history = net.fit(FIGURES["inputs"], FIGURES["targets"], epochs=10, batch_size=5)
    np.testing.assert_allclose(history.loss, run["losses"], rtol=1e-6)
    np.testing.assert_allclose(net.params, run["params"][-1], rtol=1e-6, atol=tolerance(run))


@pytest.mark.parametrize("name", RUNS)
def test_ten_updates_in_float32_agree_with_pytorch_or_optax(name):
    run = RUNS[name]
    net = net_of(run, "float32")
    net.fit(FIGURES["inputs"], FIGURES["targets"], epochs=10, batch_size=5)
    np.testing.assert_allclose(net.params, run["params"][-1], rtol=1e-4, atol=1e-5)


def test_figures_differ_between_the_runs_and_know_every_optimizer():
    ends = [tuple(run["params"][-1]) for run in RUNS.values()]
    assert len(set(ends)) == len(RUNS) == 25
    assert {run["optimizer"] for run in RUNS.values()} == {kind.__name__ for kind in ALL}
    means = [run["losses"] for run in RUNS.values()]
    assert all(losses[-1] < losses[0] for losses in means)


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
    assert {name: kind.__name__ for name, kind in OPTIMIZERS.items()} == {
        kind.__name__.lower(): kind.__name__
        for kind in (SGD, Adam, AdamW, AMSGrad, NAdam, RMSprop, Adagrad, Adadelta, Lion)
    }
    for name, kind in OPTIMIZERS.items():
        assert as_optimizer(name) == kind()
        assert type(as_optimizer(name)) is kind
    assert SGD() == SGD(learning_rate=0.01, momentum=0.0, nesterov=False, weight_decay=0.0)
    assert Adam() == Adam(learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, groups=())
    assert AdamW() == AdamW(1e-3, 0.9, 0.999, 1e-8, weight_decay=0.01)
    assert AMSGrad() == AMSGrad(1e-3, 0.9, 0.999, 1e-8, weight_decay=0.0)
    assert NAdam() == NAdam(2e-3, 0.9, 0.999, 1e-8, momentum_decay=4e-3)
    assert RMSprop() == RMSprop(1e-3, 0.9, momentum=0.0, epsilon=1e-7, centered=False)
    assert Adagrad() == Adagrad(0.01, 1e-10)
    assert Adadelta() == Adadelta(1.0, 0.9, 1e-6)
    assert Lion() == Lion(1e-4, 0.9, 0.99)
    optimizer = SGD(0.5)
    assert as_optimizer(optimizer) is optimizer
    with pytest.raises(dataclasses.FrozenInstanceError):
        optimizer.learning_rate = 1.0


def test_codes_and_slots():
    assert [kind.code for kind in ALL] == [
        updates.SGD, updates.ADAM, updates.ADAM, updates.AMSGRAD, updates.NADAM, updates.RMSPROP,
        updates.ADAGRAD, updates.ADADELTA, updates.LION,
    ]  # fmt: skip
    assert [kind.n_slots for kind in ALL] == [1, 2, 2, 3, 2, 3, 1, 2, 1]
    for kind in ALL:
        net = MLP((2, 3), optimizer=kind(), seed=0)
        assert net.state.slots.size == kind.n_slots * 9


WRITTEN = [
    (SGD(0.5, 0.25, True), {"LEARNING_RATE": 0.5, "MOMENTUM": 0.25, "NESTEROV": 1}),
    (Adam(0.5, 0.25, 0.75, 0.125), {"BETA_1": 0.25, "BETA_2": 0.75, "EPSILON": 0.125}),
    (NAdam(0.5, 0.25, 0.75, 0.125, 0.375), {"BETA_2": 0.75, "MOMENTUM_DECAY": 0.375}),
    (
        RMSprop(0.5, 0.25, 0.75, 0.125, True),
        {"RHO": 0.25, "MOMENTUM": 0.75, "EPSILON": 0.125, "CENTERED": 1},
    ),
    (Adagrad(0.5, 0.25), {"LEARNING_RATE": 0.5, "EPSILON": 0.25}),
    (Adadelta(0.5, 0.25, 0.75), {"RHO": 0.25, "EPSILON": 0.75}),
    (Lion(0.5, 0.25, 0.75), {"LEARNING_RATE": 0.5, "BETA_1": 0.25, "BETA_2": 0.75}),
]
STATE = [steps.UPDATES, steps.WEIGHTS_1, steps.WEIGHTS_2, steps.MOMENTA]


@pytest.mark.parametrize(("optimizer", "expected"), WRITTEN)
def test_write_and_reset(optimizer, expected):
    scalars = np.full(steps.N_SCALARS, 7.0)
    optimizer.write(scalars)
    for name, value in expected.items():
        assert scalars[getattr(steps, name)] == value
    kept = [steps.UPDATES, steps.MOMENTA]
    if isinstance(optimizer, Adam):
        kept = STATE
    assert scalars[kept].tolist() == [7] * len(kept)
    optimizer.reset(scalars)
    for name, value in expected.items():
        assert scalars[getattr(steps, name)] == value
    if isinstance(optimizer, Adam):
        assert scalars[STATE].tolist() == [0, 0, 0, isinstance(optimizer, NAdam)]
    assert scalars[steps.UPDATES] == 0


def test_repr_shows_what_may_stand_by_place_and_what_was_changed():
    assert repr(SGD(0.5)) == "SGD(learning_rate=0.5, momentum=0.0, nesterov=False)"
    assert repr(AdamW()) == "AdamW(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-08)"
    assert repr(AdamW(weight_decay=0.5)).endswith("epsilon=1e-08, weight_decay=0.5)")
    assert repr(AdamW(weight_decay=0.0)).endswith("epsilon=1e-08, weight_decay=0.0)")
    assert repr(Adagrad(weight_decay=0.5)) == (
        "Adagrad(learning_rate=0.01, epsilon=1e-10, weight_decay=0.5)"
    )
    group = Group(layers=[1], learning_rate=0.5)
    assert repr(Lion(groups=[group])) == (
        f"Lion(learning_rate=0.0001, beta_1=0.9, beta_2=0.99, groups=({group!r},))"
    )
    for optimizer in (*(kind() for kind in ALL), Lion(groups=group), *(o for o, _ in WRITTEN)):
        assert eval(repr(optimizer), vars(fastbp)) == optimizer
        assert pickle.loads(pickle.dumps(optimizer)) == optimizer
        assert hash(optimizer) == hash(dataclasses.replace(optimizer))


# ---- groups --------------------------------------------------------------------------------------


def table(optimizer, n_layers=2):
    """(factor, decay) by layer and kind."""
    return optimizer.group_table(n_layers).reshape(n_layers, 2, 2)


def test_no_groups_are_a_factor_of_1_and_one_decay():
    assert table(SGD(0.5)).tolist() == [[[1, 0]] * 2] * 2
    assert table(AdamW()).tolist() == [[[1, 0.01]] * 2] * 2
    for kind in ALL:
        assert table(kind(weight_decay=0.25))[..., 1].tolist() == [[0.25] * 2] * 2


def test_a_group_replaces_what_it_names():
    groups = Group(layers=[1], weights=False, learning_rate=0.25)
    assert table(SGD(0.5, weight_decay=0.125, groups=groups)).tolist() == [
        [[1, 0.125], [1, 0.125]],
        [[1, 0.125], [0.5, 0.125]],
    ]
    groups = [Group(biases=False, weight_decay=0.0), Group(layers=0, learning_rate=0)]
    assert table(SGD(0.5, weight_decay=0.125, groups=groups)).tolist() == [
        [[0, 0.0], [0, 0.125]],
        [[1, 0.0], [1, 0.125]],
    ]
    assert table(SGD(groups=Group(weights=False, biases=False, learning_rate=9.0))).tolist() == (
        table(SGD()).tolist()
    )


def test_of_several_groups_the_last_one_counts():
    groups = [
        Group(learning_rate=1.0, weight_decay=0.5),
        Group(layers=[0, 1], weights=False, learning_rate=0.25),
        Group(layers=(i for i in [1]), learning_rate=0.125),
    ]
    assert table(SGD(0.5, groups=groups)).tolist() == [
        [[2, 0.5], [0.5, 0.5]],
        [[0.25, 0.5], [0.25, 0.5]],
    ]


def test_with_a_schedule_a_group_scales_it():
    optimizer = SGD(lambda update: 0.5, groups=[Group(layers=[0], learning_rate=0.25)])
    assert table(optimizer)[0, 0].tolist() == [0.25, 0.0]


def test_groups_that_change_with_the_optimizer():
    net = MLP((2, 2, 1), activation="tanh", optimizer=SGD(0.5), seed=0)
    assert not net.settings[REGULATED]
    net.optimizer = SGD(0.5, groups=Group(layers=[1], learning_rate=0.0))
    assert net.settings[GROUPS:].tolist() == [1, 0, 1, 0, 0, 0, 0, 0]
    before = net.params.copy()
    net.step([[1.0, 2.0]], [3.0])
    assert np.array_equal(net.params[6:], before[6:])
    assert not np.array_equal(net.params[:6], before[:6])
    kept = net.settings.tolist()
    with pytest.raises(ValueError, match="layers must be 0 to 1; got 2"):
        net.optimizer = SGD(groups=[Group(layers=[2])])
    assert net.optimizer.groups[0].layers == (1,)
    assert net.settings.tolist() == kept
    with pytest.raises(ValueError, match="layers must be 0 to 1; got 2"):
        MLP((2, 2, 1), optimizer=SGD(groups=[Group(layers=[2])]))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"layers": [-1]}, ValueError, "layers must be at least 0; got -1"),
        ({"layers": "01"}, TypeError, "layers must be a sequence of layer numbers"),
        ({"layers": [0.5]}, TypeError, "layers must be a whole number"),
        ({"weights": 1}, TypeError, "weights must be True or False; got 1"),
        ({"biases": None}, TypeError, "biases must be True or False; got None"),
        ({"learning_rate": -1}, ValueError, "learning_rate must be .* at least 0; got -1"),
        ({"learning_rate": "a"}, TypeError, "learning_rate must be a number"),
        ({"learning_rate": len}, TypeError, "learning_rate must be a number"),
        ({"weight_decay": float("inf")}, ValueError, "weight_decay must be .* at least 0; got inf"),
    ],
)
def test_bad_groups(options, error, words):
    with pytest.raises(error, match=words):
        Group(**options)


@pytest.mark.parametrize("bad", [1, None, "a", [1], [Group(), {"layers": [0]}], [Group]])
def test_what_is_no_group(bad):
    with pytest.raises(TypeError, match="groups must hold Group objects; got "):
        SGD(groups=bad)


# ---- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.longdouble(0.5), 0.5])
def test_numbers_of_numpy_are_accepted(number):
    net = MLP((1, 1), optimizer=SGD(number), dtype="float64", bias=False)
    net.weights[0][...] = 0
    net.step([[1.0]], [1.0])
    assert net.params.tolist() == [0.5]
    assert SGD(np.int64(1)).learning_rate == 1


INF, NAN = float("inf"), float("nan")
BAD = [
    (SGD, "learning_rate", bad, "a finite number above 0 or a schedule")
    for bad in (0, -0.1, NAN, INF, -INF, 10**400, np.float32(NAN), np.longdouble("1e4000"))
]
BAD += [
    (kind, name, bad, "at least 0 and below 1")
    for kind, name in (
        (SGD, "momentum"), (Adam, "beta_1"), (NAdam, "beta_2"), (Lion, "beta_1"), (Lion, "beta_2"),
        (RMSprop, "rho"), (RMSprop, "momentum"), (Adadelta, "rho"),
    )
    for bad in (-0.1, 1, 1.5, NAN, INF, -(10**400))
]  # fmt: skip
BAD += [
    (kind, "epsilon", bad, "a finite number above 0")
    for kind in (Adam, AMSGrad, RMSprop, Adagrad, Adadelta)
    for bad in (0, -1.0, NAN, INF, 10**400)
]
BAD += [(kind, "learning_rate", -1, "above 0 or a schedule") for kind in ALL]
BAD += [(kind, "weight_decay", INF, "a finite number of at least 0") for kind in ALL]
BAD += [(NAdam, "momentum_decay", -0.5, "a finite number of at least 0")]


def short(value):
    return str(value)[:20]


@pytest.mark.parametrize(("kind", "name", "bad", "accepted"), BAD, ids=short)
def test_numbers_out_of_range(kind, name, bad, accepted):
    with pytest.raises(ValueError, match=f"{name} must be .*{accepted}; got ") as caught:
        kind(**{name: bad})
    assert str(caught.value).endswith(repr(bad))


@pytest.mark.parametrize("bad", [True, "0.1", None, [0.1], 1j, np.complex64(1), np.array(0.1)])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (SGD, "learning_rate"),
        (SGD, "momentum"),
        (Adam, "beta_1"),
        (Adam, "epsilon"),
        (AdamW, "weight_decay"),
        (NAdam, "momentum_decay"),
        (RMSprop, "rho"),
    ],
)
def test_what_is_no_number(kind, name, bad):
    with pytest.raises(TypeError, match=f"{name} must be a number") as caught:
        kind(**{name: bad})
    assert str(caught.value).endswith(repr(bad))


def test_learning_rates_that_are_functions():
    assert SGD(lambda update: 0.25).first_rate == 0.25
    assert Lion(0.5).first_rate == 0.5
    scalars = np.zeros(steps.N_SCALARS)
    Adam(lambda update: 0.125).write(scalars)
    assert scalars[steps.LEARNING_RATE] == 0.125
    with pytest.raises(ValueError, match="learning rate must be"):
        SGD(lambda update: NAN)
    with pytest.raises(TypeError, match="learning rate must be"):
        SGD(lambda update: "fast")
    with pytest.raises(TypeError, match="learning_rate must be a number.* a schedule such as"):
        SGD(float)  # a class is no schedule


def test_centered_is_true_or_false():
    for bad in (1, None, "yes"):
        with pytest.raises(TypeError, match="centered must be True or False"):
            RMSprop(centered=bad)


def test_nesterov_needs_momentum():
    with pytest.raises(ValueError, match="nesterov=True needs a momentum above 0"):
        SGD(nesterov=True)
    for bad in (1, None, "yes"):
        with pytest.raises(TypeError, match="nesterov must be True or False"):
            SGD(momentum=0.9, nesterov=bad)
    assert SGD(momentum=0.9, nesterov=np.True_).nesterov


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("adamax", ValueError),
        ("Adam", ValueError),
        (Adam, TypeError),
        (None, TypeError),
        (1, TypeError),
    ],
)
def test_unknown_optimizers(bad, error):
    with pytest.raises(error, match="optimizer must be .*Adam\\(learning_rate=1e-3\\)"):
        as_optimizer(bad)
    net = MLP((2, 1), optimizer="sgd", seed=0)
    net.fit([[1.0, 2.0]], [3.0])
    kept = net.state.slots.tobytes(), net.state.scalars.tobytes()
    with pytest.raises(error):
        net.optimizer = bad
    assert (net.state.slots.tobytes(), net.state.scalars.tobytes()) == kept
    assert net.optimizer == SGD()
