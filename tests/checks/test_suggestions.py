"""Misspelt and foreign options: the error says what to write, and what it says works."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys

import numpy as np
import pytest
from bad_input import X, Y, check_refused

import fastbp
from fastbp import (
    MLP,
    SGD,
    Adam,
    AdamW,
    Callback,
    CosineDecay,
    Dense,
    EarlyStopping,
    Group,
    Huber,
    OneCycle,
    Optimizer,
    Perceptron,
    RMSprop,
    Rprop,
    StepDecay,
    WarmUp,
    checks,
    diagnose,
    find_learning_rate,
)
from fastbp.checks import suggestions, words
from fastbp.fit.metrics import METRICS
from fastbp.kernels.activations import ACTIVATIONS, HIDDEN_ACTIVATIONS
from fastbp.methods.algorithms import METHODS
from fastbp.model.initializers import WEIGHT_INITS
from fastbp.model.losses import LOSSES
from fastbp.model.optimizers import OPTIMIZERS

Y1 = Y["squared_error"]
ACCEPTED = {
    "activation": HIDDEN_ACTIVATIONS,
    "output_activation": tuple(ACTIVATIONS),
    "loss": tuple(LOSSES),
    "optimizer": tuple(OPTIMIZERS),
    "weight_init": WEIGHT_INITS,
    "metrics": tuple(METRICS),
    "method": tuple(METHODS),
    "mode": ("auto", "min", "max"),
    "dtype": ("float32", "float64"),
    "update": ("polak_ribiere", "fletcher_reeves"),
    "directions": ("random", "pca"),
    "solver": ("lbfgs", "sgd", "adam"),
}


def net(**options):
    return MLP((3, 4, 2), **{"seed": 0} | options)


def said(call, error=(TypeError, ValueError)) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


# ---- names ---------------------------------------------------------------------------------------

NAMES = [
    ("loss", "mse", "Write 'squared_error', which is half of it"),
    ("loss", "MSELoss", "Write 'squared_error'"),
    ("loss", "mae", "Write 'absolute_error'"),
    ("loss", "BCEWithLogitsLoss", "Write 'binary_cross_entropy'"),
    ("loss", "log_loss", "Write 'binary_cross_entropy'"),
    ("loss", "categorical_crossentropy", "Write 'cross_entropy'"),
    ("loss", "Binary-Cross-Entropy", "Write 'binary_cross_entropy'"),
    ("loss", "crossentropy", "Write 'cross_entropy'"),
    ("loss", "squard_error", "Write 'squared_error'"),
    ("optimizer", "Adam", "Write 'adam'"),
    ("optimizer", "RMSProp", "Write 'rmsprop'"),
    ("optimizer", "adagard", "Write 'adagrad'"),
    ("optimizer", "lbfgs", "write fit(X, y, method='lbfgs')"),
    ("activation", "ReLU", "Write 'relu'"),
    ("activation", "LeakyReLU", "Write 'leaky_relu'"),
    ("activation", "swish", "Write 'silu'"),
    ("activation", "logistic", "Write 'sigmoid'"),
    ("activation", "softmax", "write output_activation='softmax'"),
    ("output_activation", "linear", "Write 'identity'"),
    ("weight_init", "xavier_normal", "Write 'glorot_normal'"),
    ("weight_init", "kaiming", "Write 'he'"),
    ("weight_init", "Zeros", "Write 'zeros'"),
    ("dtype", "float16", "Write 'float32'"),
]


@pytest.mark.parametrize(("option", "given", "words"), NAMES)
def test_a_name_of_another_library_is_answered_by_the_name_to_write(option, given, words):
    message = said(lambda: net(**{option: given}), ValueError)
    assert message.startswith(f"{option} must be") and message.endswith(words)
    assert repr(given) in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metrics": "acc"}, "Write 'accuracy'"),
        ({"metrics": ["MSE"]}, "Write 'mean_squared_error'"),
        ({"metrics": "r2_score"}, "Write 'r2'"),
        ({"method": "L-BFGS"}, "Write 'lbfgs'"),
        ({"method": "adam"}, "leave method out and write optimizer='adam'"),
    ],
)
def test_names_of_fit_too(options, words):
    one = net()
    check_refused(one, lambda: one.fit(X, Y1, **options), ValueError, words)


def test_columns_of_a_history_too():
    one = net()
    history = one.fit(X, Y1, epochs=1, metrics="r2", validation_data=(X, Y1))
    with pytest.raises(KeyError, match="Write 'val_loss'"):
        history["valloss"]
    stopping = EarlyStopping(monitor="val_R2")
    options = {"metrics": "r2", "validation_data": (X, Y1), "callbacks": stopping}
    with pytest.raises(ValueError, match="metrics. Write 'val_r2'"):
        one.fit(X, Y1, **options)


def test_the_estimators_add_the_name_to_the_words_of_scikit_learn():
    from fastbp.sklearn import MLPClassifier, MLPRegressor

    for estimator, start, end in (
        (MLPClassifier(activation="ReLU"), "The 'activation' parameter of", "Write 'relu'"),
        (MLPClassifier(solver="Adam"), "The 'solver' parameter of", "Write 'adam'"),
        (MLPClassifier(optimizer=Adam), "The 'optimizer' parameter of", "instead of the class"),
        (MLPRegressor(loss="mae"), "The 'loss' parameter of", "Write 'absolute_error'"),
    ):
        message = said(lambda estimator=estimator: estimator.fit(X, [0, 1, 0, 1]), ValueError)
        assert message.startswith(start) and message.endswith(end)


def test_what_resembles_nothing_is_left_without_a_suggestion():
    assert said(lambda: net(loss="xyz")).endswith("got 'xyz'")
    assert said(lambda: net(activation=3)).endswith("got int 3")
    assert checks.instead("loss", None, LOSSES) == ""


@pytest.mark.parametrize("option", words.NAMES)
def test_every_name_that_is_suggested_is_accepted(option):
    accepted = ACCEPTED[option]
    exceptions = {"softmax", "exp"} if option == "activation" else set()  # see REMARKS
    for word, name in words.NAMES[option].items():
        assert word == suggestions.plain(word)
        assert name in accepted or name in exceptions
        if name in accepted:
            assert checks.instead(option, word.upper(), accepted) != ""


@pytest.mark.parametrize("option", [option for option in ACCEPTED if option != "solver"])
def test_a_name_in_other_letters_is_suggested(option):
    for name in ACCEPTED[option]:
        for form in (name.upper(), name.replace("_", "-"), name.replace("_", "")):
            if form != name:
                assert repr(name) in checks.instead(option, form, ACCEPTED[option])


# ---- classes instead of objects ------------------------------------------------------------------


class ReLU:
    """As in other libraries."""


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: net(optimizer=Adam), "got the class Adam. Write Adam(...), an object"),
        (lambda: net(loss=Huber), "got the class Huber. Write Huber(...), an object"),
        (lambda: net(activation=ReLU), "got the class ReLU. Write 'relu'"),
        (lambda: net(activation=[ReLU]), "got the class ReLU. Write 'relu'"),
        (lambda: Adam(CosineDecay), "got the class CosineDecay. Write CosineDecay(...)"),
        (lambda: WarmUp(CosineDecay, 3), "got the class CosineDecay. Write CosineDecay(...)"),
        (lambda: SGD(0.1, groups=[Group]), "got the class Group. Write Group(...)"),
        (lambda: net().fit(X, Y1, method=Rprop), "got the class Rprop. Write Rprop(...)"),
        (lambda: net().fit(X, Y1, callbacks=EarlyStopping), "Write EarlyStopping(...), an object"),
        (lambda: net().fit(X, Y1, callbacks=[EarlyStopping]), "Write EarlyStopping(...)"),
        (lambda: net().fit(X, Y1, augment=fastbp.ImageShift), "Write ImageShift(...), an object"),
    ],
)
def test_a_class_is_answered_by_the_object_to_write(call, words):
    assert words in said(call, TypeError)


def test_functions_of_other_libraries_are_answered_by_names():
    def mse(y_pred, y):
        return float(((y_pred - y) ** 2).mean())

    assert said(lambda: net(activation=np.tanh).predict(X)).endswith("Write 'tanh'")
    assert "Write 'squared_error'" in said(lambda: net(loss=mse).loss(X, Y1))


def test_schedules_by_name_are_answered_by_objects():
    assert said(lambda: Adam("cosine")).endswith("Write CosineDecay(0.01, epochs=100)")
    for (option, _), remark in words.REMARKS.items():
        if option == "learning_rate" and "(" in remark:
            code = re.search(r"Write ([A-Z]\w+\(.*\))$", remark)
            if code:
                assert isinstance(eval(code[1], vars(fastbp)), fastbp.Schedule)


# ---- options -------------------------------------------------------------------------------------

OPTIONS = [
    (lambda: net(lr=0.1), "The optimizer has it: optimizer=Adam(learning_rate=0.1)"),
    (lambda: net(learning_rate=0.1), "The optimizer has it: optimizer=Adam(learning_rate=0.1)"),
    (lambda: net(momentum=0.9), "The optimizer has it: optimizer=SGD(momentum=0.9)"),
    (lambda: net(epochs=5), "Fit has it: net.fit(X, y, epochs=5)"),
    (lambda: net(random_state=5), "Write seed=5"),
    (lambda: net(optimiser="sgd"), "Write optimizer='sgd'"),
    (lambda: net(droput=0.5), "Write dropout=0.5"),
    (lambda: net(criterion="huber"), "Write loss='huber'"),
    (lambda: net(kernel_initializer="he"), "Write weight_init='he'"),
    (lambda: net().fit(X, Y1, validation_split=0.2), "Write validation_fraction=0.2"),
    (lambda: net().fit(X, Y1, n_epochs=20), "Write epochs=20"),
    (lambda: net().fit(X, Y1, batchsize=20), "Write batch_size=20"),
    (lambda: net().fit(X, Y1, lr=0.1), "optimizer=Adam(learning_rate=0.1)"),
    (lambda: net().fit(X, Y1, optimizer="sgd"), "or later net.optimizer = 'sgd'"),
    (lambda: net().fit(X, Y1, loss="huber"), "The net has it: MLP(..., loss='huber')"),
    (lambda: AdamW(lr=0.1), "Write learning_rate=0.1"),
    (lambda: Adam(beta1=0.9), "Write beta_1=0.9"),
    (lambda: Adam(eps=1e-8), "Write epsilon=1e-08"),
    (lambda: RMSprop(alpha=0.9), "Write rho=0.9"),
    (lambda: SGD(0.1, nesterovs_momentum=True), "Write nesterov=True"),
    (lambda: CosineDecay(0.1, T_max=5), "Write period=5"),
    (lambda: StepDecay(0.1, step_size=5), "Write every=5"),
    (lambda: OneCycle(max_lr=0.1, total=5), "Write max_rate=0.1"),
    (lambda: Huber(threshold=2), "Accepted are delta"),
    (lambda: Dense(3, rate=0.5), "optimizer=Adam(learning_rate=0.5)"),
    (lambda: Dense(3, dropout_rate=0.5), "Write dropout=0.5"),
    (lambda: Rprop(tol=0.1), "Write tolerance=0.1"),
    (lambda: EarlyStopping(min_deltas=0.1), "Write min_delta=0.1"),
    (lambda: EarlyStopping(restore_best_weights=True), "Write restore_best=True"),
    (lambda: fastbp.ImageShift((2, 2), pixel=1), "Write pixels=1"),
    (lambda: Perceptron(2, lr=0.1), "Write learning_rate=0.1"),
    (lambda: net().freeze(layer=[0]), "Write layers=[0]"),
    (lambda: find_learning_rate(net(), X, Y1, max_lr=1.0), "Write max_rate=1.0"),
    (lambda: diagnose(net(), X, Y1, val_data=(X, Y1)), "Write validation_data=..."),
]


@pytest.mark.parametrize(("call", "words"), OPTIONS)
def test_an_option_of_another_library_is_answered_by_the_option_to_write(call, words):
    message = said(call, TypeError)
    assert re.match(r"[\w.]+\(\) got an unexpected keyword argument '\w+'\. ", message)
    assert message.endswith(words)


def test_options_of_estimators_too():
    from fastbp.sklearn import MLPClassifier

    unexpected = "MLPClassifier.__init__() got an unexpected keyword argument"
    message = said(lambda: MLPClassifier(lr=0.1), TypeError)
    assert message == f"{unexpected} 'lr'. Write learning_rate_init=0.1"
    message = said(lambda: MLPClassifier(epochs=9), TypeError)
    assert message == f"{unexpected} 'epochs'. Write max_iter=9"
    message = said(lambda: MLPClassifier().fit(X, [0, 1, 0, 1], validation_data=None), TypeError)
    assert message.endswith("got an unexpected keyword argument 'validation_data'. "
                            "Write eval_set=None")  # fmt: skip


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: MLP(4, 8, 2), "The sizes are one argument: MLP((4, 8, 2))"),
        (lambda: MLP((4, 8, 2), "tanh"), "Give the options by name: n_inputs=..., activation=..."),
        (lambda: Dense(10, "relu", 0.5), "Give the options by name: weight_init=..., dropout=..."),
        (lambda: net().fit(X, Y1, 100), "Give the options by name: epochs=..., batch_size=..."),
        (lambda: SGD(0.1, 0.9, True, 0.1), "Give the options by name: weight_decay=..., groups"),
        (lambda: Huber(1.0, 2.0), "Accepted are delta"),
    ],
)
def test_too_many_arguments_without_a_name_are_answered_by_how_to_give_them(call, words):
    message = said(call, TypeError)
    assert "positional argument" in message and words in message


def test_errors_from_within_a_call_stay_what_they_are():
    def inner(**options):
        raise TypeError("inner() got an unexpected keyword argument 'lr'")

    with pytest.raises(TypeError) as caught:
        checks.explained(lambda **options: inner(**options))(lr=0.1)
    assert str(caught.value) == "inner() got an unexpected keyword argument 'lr'"

    class Own(Callback):
        def on_epoch_end(self, fit):
            inner(lr=1)

    with pytest.raises(TypeError, match=r"'lr'$"):
        net().fit(X, Y1, callbacks=[Own()])
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'layer_sizes'$"):
        MLP()


def test_every_place_that_is_named_has_the_option():
    classes = {name: getattr(fastbp, name) for name in fastbp.__all__}
    for option, place in words.PLACES.items():
        for call in re.findall(r"(net\.fit|[A-Z]\w+)\(.*?(?=\)(?:,|$|\]))", place):
            function = MLP.fit if call == "net.fit" else classes[call]
            assert option in inspect.signature(function).parameters, (option, call)


def test_every_option_that_is_suggested_exists():
    from fastbp.sklearn import MLPClassifier

    public = [getattr(fastbp, name) for name in fastbp.__all__]
    functions = [value for value in public if hasattr(value, "__wrapped__")]
    functions += [value.__init__ for value in public if isinstance(value, type)]
    functions += [MLP.fit, MLPClassifier.__init__, MLPClassifier.fit]
    names = {name for function in functions for name in inspect.signature(function).parameters}
    for word, options in words.OPTIONS.items():
        assert word == suggestions.plain(word)
        assert set(options) <= names, word


# ---- attributes ----------------------------------------------------------------------------------

ATTRIBUTES = [
    ("learning_rate", 5, "net.optimizer = dataclasses.replace(net.optimizer, learning_rate=5)"),
    ("lr", 5, "net.optimizer = dataclasses.replace(net.optimizer, learning_rate=5)"),
    ("dropout", 0.5, "make another, with dropout=0.5, and copy: new.params[:] = old.params"),
    ("l2", 0.1, "make another, with l2=0.1, and copy: new.params[:] = old.params"),
    ("loss", "huber", "make another, with loss='huber', and copy: new.params[:] = old.params"),
    (
        "dtype",
        "float64",
        "make another, with dtype='float64', and copy: new.params[:] = old.params",
    ),
    (
        "layer_sizes",
        (3, 2),
        "make another, with layer_sizes=(3, 2), and copy: new.params[:] = old.params",
    ),
    (
        "activations",
        ("relu",),
        "make another, with activation=('relu',), and copy: new.params[:] = old.params",
    ),
    ("params", 0.0, "write .params[:] = values"),
    ("weights", [], "write .weights[i][...] = W"),
    ("biases", [], "write .biases[i][...] = b"),
    ("frozen", True, "or call .freeze()"),
    ("epochs", 3, "write net.fit(X, y, epochs=3)"),
    ("predict", None, "predict of a net cannot be set"),
    ("lerning", 3, "a net has no lerning to set: keep your own attributes in a subclass"),
]


@pytest.mark.parametrize(("name", "value", "words"), ATTRIBUTES)
def test_attributes_that_cannot_be_set_are_refused_with_the_way_that_works(name, value, words):
    one = net()
    check_refused(one, lambda: setattr(one, name, value), AttributeError, words)


def test_the_ways_that_work_do():
    one = net()
    one.optimizer = dataclasses.replace(one.optimizer, learning_rate=5)
    assert one.optimizer == Adam(learning_rate=5)
    one.optimizer = "sgd"
    one.params[:] = 1.0
    one.weights[0][...] = np.full((3, 4), 2.0)
    assert one.optimizer == SGD() and float(one.params.sum()) == 2 * 12 + 4 + 8 + 2

    class Own(MLP):
        """Has what it likes."""

    own = Own((3, 2), seed=0)
    own.title = "mine"
    assert own.title == "mine"
    with pytest.raises(AttributeError, match=r"net\.optimizer = "):
        own.learning_rate = 0.1


def test_perceptrons_refuse_them_too():
    unit = Perceptron(2)
    unit.learning_rate = 0.5
    for name, message in (
        ("weights", r"weights of a perceptron cannot be set: write \.weights\[i\]"),
        ("epochs", r"a perceptron has no epochs to set: write net\.fit\(X, y, epochs=3\)"),
        ("bias", "bias of a perceptron cannot be set: make another, with bias=3"),
        ("threshold", "a perceptron has no threshold to set: keep your own attributes"),
    ):
        with pytest.raises(AttributeError, match=message):
            setattr(unit, name, 3)


def test_fields_of_objects_that_do_not_change_say_how_to_get_others():
    one = net()
    with pytest.raises(dataclasses.FrozenInstanceError, match=r"write net\.optimizer = dataclass"):
        one.optimizer.learning_rate = 0.1
    with pytest.raises(dataclasses.FrozenInstanceError, match=r"replace\(old, delta=2\.0\)"):
        Huber().delta = 2.0
    with pytest.raises(dataclasses.FrozenInstanceError, match=r"replace\(old, units=2\)"):
        Dense(3).units = 2


# ---- signatures ----------------------------------------------------------------------------------


def test_signatures_stay():
    parameters = inspect.signature(MLP).parameters
    assert list(parameters)[:3] == ["layer_sizes", "n_inputs", "activation"]
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    assert "validation_fraction" in inspect.signature(MLP.fit).parameters
    assert str(inspect.signature(Huber)).startswith("(delta: 'float' = 1.0)")
    assert issubclass(Adam, Optimizer) and MLP.fit.__doc__.startswith("Continue training")


@pytest.mark.slow
def test_type_checkers_still_refuse_a_misspelling(tmp_path):
    pytest.importorskip("mypy", reason="mypy checks the signatures")
    program = tmp_path / "program.py"
    program.write_text(
        "from fastbp import MLP, Adam, Dense\n"
        "net = MLP((2, 1), optimizer=Adam(0.1))\n"
        "MLP((2, 1), lr=0.1)\n"
        "net.fit([[1.0, 2.0]], [1.0], validation_split=0.1)\n"
        "Adam(lr=0.1)\n"
        "Dense(3, 'relu', 0.5)\n"
        "net.learning_rate = 0.1\n"
        "net.optimizer = Adam(0.2)\n"
    )
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = {int(n) for n in re.findall(r"program\.py:(\d+): error", done.stdout)}
    assert lines == {3, 4, 5, 6, 7}, done.stdout + done.stderr
