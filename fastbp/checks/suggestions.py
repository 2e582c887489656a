"""What to write instead: for misspelt names and options, and for those of other libraries.

`instead` suggests values such as names of losses, `explained` adds a suggestion to Python's own
error for an option that a function does not have, and `way_to_set` says how to change what is no
attribute to set. The tables hold all that they know; they compare words in lower case, without
anything between the letters.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)

CLOSE = 0.7
"""How similar a word must be to a name, as difflib counts it, to be taken for a slip."""
LONGEST_VALUE = 40
"""Values with a longer text are left out of what a suggestion repeats."""

ACTIVATION_NAMES = {
    "logistic": "sigmoid",
    "swish": "silu",
    "lrelu": "leaky_relu",
    "linear": "identity",
    "none": "identity",
    "relu6": "relu",
    "heaviside": "step",
    "threshold": "step",
    "sign": "step",
    "exponential": "exp",
    "logsoftmax": "softmax",
    "logits": "identity",
}
NAMES: dict[str, dict[str, str]] = {
    "activation": ACTIVATION_NAMES,
    "output_activation": ACTIVATION_NAMES,
    "loss": {
        "mse": "squared_error",
        "meansquared": "squared_error",
        "l2": "squared_error",
        "mae": "absolute_error",
        "meanabsolute": "absolute_error",
        "l1": "absolute_error",
        "smoothl1": "huber",
        "logcosh": "huber",
        "pinball": "quantile",
        "bce": "binary_cross_entropy",
        "bcewithlogits": "binary_cross_entropy",
        "logistic": "binary_cross_entropy",
        "log": "binary_cross_entropy",
        "binarylog": "binary_cross_entropy",
        "ce": "cross_entropy",
        "categoricalcrossentropy": "cross_entropy",
        "sparsecategoricalcrossentropy": "cross_entropy",
        "softmax": "cross_entropy",
        "nll": "cross_entropy",
        "poissonnll": "poisson",
        "svm": "hinge",
    },
    "optimizer": {
        "gd": "sgd",
        "momentum": "sgd",
        "nesterov": "sgd",
        "nag": "sgd",
        "adamax": "adam",
        "stochasticgradientdescent": "sgd",
    },
    "weight_init": {
        "xavier": "glorot",
        "xavieruniform": "glorot_uniform",
        "xaviernormal": "glorot_normal",
        "kaiming": "he",
        "kaiminguniform": "he_uniform",
        "kaimingnormal": "he_normal",
        "uniform": "glorot_uniform",
        "normal": "glorot_normal",
        "randomuniform": "glorot_uniform",
        "randomnormal": "glorot_normal",
        "random": "auto",
        "default": "auto",
        "zero": "zeros",
    },
    "metrics": {
        "acc": "accuracy",
        "accuracyscore": "accuracy",
        "binaryaccuracy": "accuracy",
        "categoricalaccuracy": "accuracy",
        "sparsecategoricalaccuracy": "accuracy",
        "mse": "mean_squared_error",
        "squarederror": "mean_squared_error",
        "mae": "mean_absolute_error",
        "absoluteerror": "mean_absolute_error",
        "r2score": "r2",
        "rsquared": "r2",
    },
    "method": {
        "gd": "gradient_descent",
        "cg": "conjugate_gradient",
        "scg": "scaled_conjugate_gradient",
        "bfgs": "lbfgs",
        "lbfgsb": "lbfgs",
        "resilientpropagation": "rprop",
    },
    "mode": {"minimize": "min", "minimum": "min", "maximize": "max", "maximum": "max"},
    "dtype": {
        "float": "float64",
        "double": "float64",
        "single": "float32",
        "half": "float32",
        "float16": "float32",
        "bfloat16": "float32",
    },
    "update": {"pr": "polak_ribiere", "fr": "fletcher_reeves"},
    "directions": {"principal": "pca", "principalcomponents": "pca"},
    "solver": {"lbfgsb": "lbfgs", "bfgs": "lbfgs", "gd": "sgd"},
}
"""By option: words of other libraries, and the name that is meant."""
REMARKS = {
    ("activation", "softmax"): (
        "Softmax belongs to the outputs, where loss='cross_entropy' takes it by itself; leave it "
        "out of the hidden layers, or write output_activation='softmax'"
    ),
    ("activation", "exp"): "exp is for the outputs alone: write output_activation='exp'",
    ("loss", "mse"): "Write 'squared_error', which is half of it",
    ("loss", "meansquarederror"): "Write 'squared_error', which is half of it",
    ("loss", "rmse"): "Write 'squared_error', which has the same minimum",
    ("optimizer", "lbfgs"): "L-BFGS takes all rows at once: write fit(X, y, method='lbfgs')",
    ("optimizer", "rprop"): "Rprop takes all rows at once: write fit(X, y, method='rprop')",
    ("method", "adam"): "adam goes by mini-batches: leave method out and write optimizer='adam'",
    ("method", "sgd"): "sgd goes by mini-batches: leave method out and write optimizer='sgd'",
    ("learning_rate", "constant"): "Write a number such as 0.001",
    ("learning_rate", "auto"): "Write a number such as 0.001; lr_find suggests one",
    ("learning_rate", "cosine"): "Write CosineDecay(0.01, epochs=100)",
    ("learning_rate", "step"): "Write StepDecay(0.01, epochs=30)",
    ("learning_rate", "exponential"): "Write ExponentialDecay(0.01, 0.95, epochs=1)",
    ("learning_rate", "onecycle"): "Write OneCycle(0.01, epochs=100)",
    ("learning_rate", "invscaling"): "Write InverseScaling(0.01)",
    ("learning_rate", "adaptive"): "Write a number, and fit(..., callbacks=[ReduceOnPlateau()])",
}
"""By option and word: what to write where the name of another library is not all."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "lr": ("learning_rate_init", "learning_rate", "initial_rate", "max_rate"),
    "rate": ("learning_rate_init", "learning_rate", "initial_rate", "max_rate"),
    "eta": ("learning_rate_init", "learning_rate", "initial_rate"),
    "learningrate": ("learning_rate", "initial_rate", "max_rate", "learning_rate_init"),
    "learningrateinit": ("learning_rate", "initial_rate"),
    "initiallearningrate": ("initial_rate", "learning_rate"),
    "maxlr": ("max_rate", "learning_rate"),
    "minlr": ("min_rate",),
    "etamin": ("min_rate",),
    "nepochs": ("epochs", "max_iter"),
    "numepochs": ("epochs", "max_iter"),
    "nbepoch": ("epochs", "max_iter"),
    "maxepochs": ("epochs", "max_iter"),
    "epoch": ("epochs", "max_iter"),
    "epochs": ("epochs", "max_iter"),
    "maxiter": ("epochs",),
    "niter": ("epochs", "max_iter"),
    "iterations": ("epochs", "max_iter"),
    "batch": ("batch_size",),
    "validationsplit": ("validation_fraction",),
    "valsplit": ("validation_fraction",),
    "testsize": ("validation_fraction",),
    "valdata": ("validation_data",),
    "evalset": ("validation_data",),
    "sampleweights": ("sample_weight",),
    "weights": ("sample_weight",),
    "earlystopping": ("patience",),
    "patience": ("n_iter_no_change",),
    "validationdata": ("eval_set",),
    "niternochange": ("patience",),
    "tol": ("min_delta", "tolerance"),
    "callback": ("callbacks",),
    "metric": ("metrics",),
    "timelimit": ("max_seconds",),
    "randomstate": ("seed", "random_state"),
    "randomseed": ("seed", "random_state"),
    "seed": ("seed", "random_state"),
    "layers": ("layer_sizes", "hidden_layer_sizes"),
    "sizes": ("layer_sizes", "hidden_layer_sizes"),
    "hidden": ("layer_sizes", "hidden_layer_sizes"),
    "hiddenlayersizes": ("layer_sizes",),
    "layersizes": ("hidden_layer_sizes",),
    "inputdim": ("n_inputs", "n_in"),
    "inputshape": ("n_inputs", "n_in"),
    "infeatures": ("n_inputs", "n_in"),
    "outfeatures": ("units", "n_out"),
    "nunits": ("units",),
    "activationfunction": ("activation",),
    "activations": ("activation",),
    "hiddenactivation": ("activation",),
    "outactivation": ("output_activation",),
    "finalactivation": ("output_activation",),
    "criterion": ("loss",),
    "lossfn": ("loss",),
    "lossfunction": ("loss",),
    "objective": ("loss",),
    "solver": ("optimizer",),
    "optim": ("optimizer",),
    "optimiser": ("optimizer",),
    "init": ("weight_init",),
    "initializer": ("weight_init",),
    "kernelinitializer": ("weight_init",),
    "usebias": ("bias",),
    "fitintercept": ("bias",),
    "dropoutrate": ("dropout",),
    "p": ("dropout",),
    "l1reg": ("l1",),
    "l2reg": ("l2", "alpha"),
    "l2": ("l2", "alpha"),
    "kernelregularizer": ("l2", "alpha"),
    "alpha": ("l2", "rho"),
    "clipnorm": ("clip_norm",),
    "maxgradnorm": ("clip_norm",),
    "gradientclip": ("clip_norm",),
    "clipvalue": ("clip_value",),
    "decay": ("weight_decay",),
    "betas": ("beta_1",),
    "beta1": ("beta_1",),
    "beta2": ("beta_2",),
    "eps": ("epsilon",),
    "nesterovsmomentum": ("nesterov",),
    "gamma": ("factor",),
    "decayrate": ("factor",),
    "stepsize": ("every", "first_step"),
    "decaysteps": ("period", "every"),
    "tmax": ("period",),
    "steps": ("period", "total", "every", "updates"),
    "totalsteps": ("total",),
    "warmupsteps": ("updates",),
    "quantile": ("levels",),
    "quantiles": ("levels",),
    "tau": ("levels",),
    "restorebestweights": ("restore_best",),
    "savebestonly": ("best_only",),
    "filepath": ("path",),
    "filename": ("path",),
    "mindelta": ("min_delta",),
}
"""Words of other libraries for options, and the options that may be meant, the likeliest first."""


def _in_fit(*names: str) -> dict[str, str]:
    return {name: f"fit has it: net.fit(X, y, {name}={{value}})" for name in names}


def _in_mlp(*names: str) -> dict[str, str]:
    return {name: f"the net has it: MLP(..., {name}={{value}})" for name in names}


PLACES = {
    "learning_rate": "the optimizer has it: optimizer=Adam(learning_rate={value})",
    "momentum": "the optimizer has it: optimizer=SGD(momentum={value})",
    "nesterov": "the optimizer has it: optimizer=SGD(momentum=0.9, nesterov={value})",
    "weight_decay": "the optimizer has it: optimizer=AdamW(weight_decay={value})",
    "beta_1": "the optimizer has it: optimizer=Adam(beta_1=..., beta_2=...)",
    "beta_2": "the optimizer has it: optimizer=Adam(beta_2={value})",
    "epsilon": "the optimizer has it: optimizer=Adam(epsilon={value})",
    "rho": "the optimizer has it: optimizer=RMSprop(rho={value})",
    "groups": "the optimizer has it: optimizer=Adam(groups={value})",
    "delta": "the loss has it: loss=Huber(delta={value})",
    "levels": "the loss has it: loss=Quantile(levels={value})",
    "label_smoothing": "the loss has it: loss=CrossEntropy(label_smoothing={value})",
    "restore_best": "a callback has it: callbacks=[EarlyStopping(restore_best={value})]",
    "monitor": "a callback has it: callbacks=[EarlyStopping(monitor={value})]",
    **_in_fit(
        "epochs", "batch_size", "shuffle", "method", "augment", "sample_weight",
        "validation_data", "validation_fraction", "metrics", "patience", "min_delta",
        "callbacks", "max_seconds", "verbose",
    ),
    **_in_mlp(
        "n_inputs", "activation", "output_activation", "loss", "dtype", "bias", "weight_init",
        "l1", "l2", "dropout", "input_dropout", "clip_value", "clip_norm", "max_norm", "seed",
    ),
    "optimizer": (
        "the net has it: MLP(..., optimizer={value}), or later net.optimizer = {value}"
    ),
}  # fmt: skip
"""By option: who has it, for those who give it to another."""

ATTRIBUTES = {
    "params": "write net.params[:] = values",
    "weights": "write net.weights[i][...] = W for layer i",
    "biases": "write net.biases[i][...] = b for layer i",
    "frozen": "write net.frozen[:] = mask, or call net.freeze()",
    "coefs_": "write net.weights[i][...] = W for layer i",
    "intercepts_": "write net.biases[i][...] = b for layer i",
}
"""By attribute of a net: how to change what it holds."""
OF_OPTIMIZER = {
    "learning_rate", "momentum", "nesterov", "weight_decay", "beta_1", "beta_2", "epsilon", "rho",
    "groups",
}  # fmt: skip
REBUILD = "make another net, MLP(..., {name}={value}), and copy: new.params[:] = net.params"


# ---- values --------------------------------------------------------------------------------------


def instead(option: str, value: Any, accepted: Iterable[str] = (), base: type | None = None) -> str:
    """A sentence that says what to write for a value that is not accepted, "" where none is known.

    Parameters
    ----------
    option : str
        The option's name, with or without an index: "loss", "activation[1]".
    value : object
        What was given: a name, or a class where an object is wanted.
    accepted : iterable of str
        The names that are accepted.
    base : type, optional
        The class whose objects are accepted.

    Returns
    -------
    str
        Begins with ". ", to follow what was given.
    """
    option = option.partition("[")[0]
    accepted = tuple(accepted)
    if isinstance(value, type):
        if base is not None and issubclass(value, base):
            return f". Write {value.__name__}(...), an object, instead of the class"
        value = value.__name__
    if not isinstance(value, str):
        return ""
    word = plain(value)
    if (option, word) in REMARKS:
        return f". {REMARKS[option, word]}"
    name = _name(option, word, {plain(name): name for name in accepted})
    return "" if name is None else f". Write {name!r}"


def described(value: Any) -> str:
    """What was given, in words: a class by its name, all else with its type."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"{type(value).__name__} {value!r}"


def name_of(function: Any) -> str:
    """The name of a function, or of the class of an object that can be called."""
    return str(getattr(function, "__name__", type(function).__name__))


def plain(word: str) -> str:
    """Letters and digits in lower case, without what stands between them."""
    return "".join(letter for letter in word.lower() if letter.isalnum())


def _name(option: str, word: str, accepted: Mapping[str, str]) -> str | None:
    """The accepted name that a plain word stands for."""
    known = NAMES.get(option, {})
    for form in (word, word.removesuffix("loss"), word.removesuffix("error")):
        if form in accepted:
            return accepted[form]
        if known.get(form) in accepted.values():
            return known[form]
    meant = {other: name for other, name in known.items() if name in accepted.values()}
    meant.update(accepted)
    close = get_close_matches(word, meant, 1, CLOSE)
    return meant[close[0]] if close else None


# ---- options -------------------------------------------------------------------------------------


def explained(function: Function) -> Function:
    """The same function; Python's error for an option that it does not have says what to write.

    Only errors of the call itself are touched, which come before the function's first line. Its
    signature stays, so that editors and type checkers see it.
    """

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise
            message = _explained(function, str(error), arguments, options)
        raise TypeError(message)

    return call  # type: ignore[return-value]


def explained_class(kind: Class) -> Class:
    """The same class, whose ``__init__`` is `explained`.

    Where it is a frozen dataclass, the error for changing a field says what to write, too.
    """
    init: Any = kind.__init__  # type: ignore[misc]
    setattr(kind, "__init__", explained(init))  # noqa: B010
    if "__setattr__" in vars(kind):  # of a frozen dataclass
        assign: Any = kind.__setattr__

        def refuse(self: Any, name: str, value: Any) -> None:
            try:
                assign(self, name, value)
            except dataclasses.FrozenInstanceError as error:
                message = str(error)
            else:
                return
            way = f"make another with dataclasses.replace(old, {name}={_shown(value)})"
            if name in OF_OPTIMIZER:
                way = way_to_set(name, value)
            raise dataclasses.FrozenInstanceError(
                f"{message}, since objects of {type(self).__name__} do not change: {way}"
            )

        setattr(kind, "__setattr__", refuse)  # noqa: B010
    return kind


def _explained(
    function: Callable[..., Any], message: str, arguments: Sequence[Any], options: dict[str, Any]
) -> str:
    """Python's message for a call that does not fit, and what to write."""
    parameters = [p for p in signature(function).parameters.values() if p.name != "self"]
    found = re.match(r".*got an unexpected keyword argument '(\w+)'", message)
    if found:
        names = [p.name for p in parameters]
        name = found[1]
        return f"{found[0]}. {_option(name, options.get(name), names)}"
    if re.search(r"takes .*positional arguments? but", message):
        given = arguments[1:] if "self" in signature(function).parameters else arguments
        return f"{message}. {_by_name(parameters, given)}"
    return message


def _option(name: str, value: Any, accepted: Sequence[str]) -> str:
    """What to write for an option that is not accepted."""
    shown = _shown(value)
    meant = (*OPTIONS.get(plain(name), ()), name)
    by_word = {plain(other): other for other in accepted}
    for option in meant:
        if option in accepted and option != name:
            return f"Write {option}={shown}"
        if plain(option) in by_word:
            return f"Write {by_word[plain(option)]}={shown}"
    for option in meant:
        if option in PLACES:
            place = PLACES[option].format(value=shown)
            return f"{place[0].upper()}{place[1:]}"
    close = get_close_matches(plain(name), by_word, 1, CLOSE)
    if close:
        return f"Write {by_word[close[0]]}={shown}"
    return f"Accepted are {', '.join(accepted)}"


def _by_name(parameters: Sequence[Parameter], given: Sequence[Any]) -> str:
    """What to write where there are too many arguments without a name."""
    if parameters[0].name == "layer_sizes" and all(isinstance(size, int) for size in given):
        return f"The sizes are one argument: MLP({tuple(given)})"
    named = [p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY]
    if not named:
        return f"Accepted are {', '.join(p.name for p in parameters)}"
    several = ", ".join(f"{name}=..." for name in named[:3])
    return f"Give the options by name: {several}{', ...' if len(named) > 3 else ''}"


def _shown(value: Any) -> str:
    """A value as it is repeated in a suggestion."""
    if isinstance(value, type):
        return f"{value.__name__}()"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE and "\n" not in text else "..."


# ---- attributes ----------------------------------------------------------------------------------


def way_to_set(name: str, value: Any) -> str:
    """How to change a net's property that is not an attribute to set, "" where none is known.

    Parameters
    ----------
    name : str
        The attribute that was to be set.
    value : object
        What it was to be.
    """
    shown = _shown(value)
    if name in ATTRIBUTES:
        return ATTRIBUTES[name]
    for option in (*OPTIONS.get(plain(name), ()), name):
        if option in ATTRIBUTES:
            return ATTRIBUTES[option]
        if option in OF_OPTIMIZER:
            return f"write net.optimizer = dataclasses.replace(net.optimizer, {option}={shown})"
        if option == "optimizer":
            return f"write net.optimizer = {shown}"
        if option in PLACES and "net.fit" in PLACES[option]:
            return f"write net.fit(X, y, {option}={shown})"
        if option in PLACES or option == "layer_sizes":
            return REBUILD.format(name=option, value=shown)
    return ""
