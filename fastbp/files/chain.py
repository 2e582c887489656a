"""What the exchange formats share: a net as a chain of layers, and the scaling around it.

`to_...` functions begin with `chain_of`, `from_...` functions end with `net_of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.graph.in_nets import GraphActivation
from fastbp.kernels.activations import ACTIVATIONS
from fastbp.mlp import MLP
from fastbp.model.activations import Activation
from fastbp.model.losses import Loss, LossFunction, MakesLoss
from fastbp.model.optimizers import Optimizer
from fastbp.model.regularization import Regularization

FloatArray = npt.NDArray[np.floating]
LossArgument = str | Loss | MakesLoss | LossFunction | None

ALIASES = {"logistic": "sigmoid"}
"""scikit-learn's names of activations that have another name here."""
MOST_LABEL = 2**63 - 1
"""The largest whole number of 64 bits; -MOST_LABEL - 1 is the least."""
LOSS_AFTER = {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy", "exp": "poisson"}
"""The loss of a net that comes without one, by its output activation; else squared_error."""

OF_WEIGHTS = "Train the net anew, or write a number there"
"""What to do about weights that are not finite."""


class Layer(NamedTuple):
    """``activation(x @ weight + bias)``.

    Attributes
    ----------
    weight : array, shape (n_in, n_out)
    bias : array, shape (n_out,), or None
    activation : str or GraphActivation
        A name of `fastbp.kernels.activations.ACTIVATIONS`, or a graph of one variable.
    """

    weight: FloatArray
    bias: FloatArray | None
    activation: str | Activation


class Scaling(NamedTuple):
    """``(x - mean) / scale`` of inputs, ``y * scale + mean`` of outputs.

    Attributes
    ----------
    mean, scale : array of float64, shape (columns,)
    """

    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]


class Chain(NamedTuple):
    """A net that is to be written down elsewhere.

    Attributes
    ----------
    layers : tuple of Layer
        Their arrays have the dtype.
    dtype : numpy.dtype
        float32 or float64, in which the net is to be computed.
    input_scaling, output_scaling : Scaling or None
    labels : list of int or list of str, or None
        Names of the classes. Several outputs: the greatest is the class. One output: above
        `threshold` it is the second of two.
    threshold : float
        0 for a net trained with "hinge", whose classes are -1 and 1, else 1/2.
    dropout : tuple of float
        Rates in front of each layer, which only training applies: of the inputs, then of the
        outputs of each hidden layer.
    """

    layers: tuple[Layer, ...]
    dtype: np.dtype[Any]
    input_scaling: Scaling | None
    output_scaling: Scaling | None
    labels: list[int] | list[str] | None
    threshold: float
    dropout: tuple[float, ...]

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return len(self.layers[0].weight)

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return int(self.layers[-1].weight.shape[1])


def chain_of(
    net: Any,
    *,
    input_scaler: Any = None,
    output_scaler: Any = None,
    class_labels: Any = None,
    dtype: npt.DTypeLike | None = None,
) -> Chain:
    """A net as a chain of layers.

    Parameters
    ----------
    net : MLP, or a fitted MLPClassifier or MLPRegressor of fastbp.sklearn or scikit-learn
        A classifier brings its `class_labels` along, if it is not one of several labels a row.
    input_scaler, output_scaler : (mean, scale), or a scaler of scikit-learn, optional
        What the inputs were scaled by in front of the net, and the targets; arrays, or one number
        for all. StandardScaler, MinMaxScaler, MaxAbsScaler and RobustScaler are read.
    class_labels : sequence of int or of str, optional
        One for each output, or two where there is one output: whole numbers of 64 bits, or text
        without zero bytes.
    dtype : {"float32", "float64"}, optional
        The net's own by default.

    Raises
    ------
    ValueError, TypeError
        For another net, functions in Python as activations, and what does not fit the net.
    """
    if isinstance(net, MLP):
        biases: list[Any] = list(net.biases) or [None] * len(net.weights)
        layers = _layers(net.weights, biases, net.activations)
        regularization = net.regularization
        own: np.dtype[Any] = net.dtype
        labels = None
        threshold = 0.0 if net.spec.loss.name == "hinge" else 0.5
    elif hasattr(net, "coefs_") and hasattr(net, "intercepts_"):
        layers = _layers_of_estimator(net)
        regularization = Regularization(dropout=getattr(net, "dropout", 0.0))
        own = np.dtype(np.float32 if net.coefs_[0].dtype == np.float32 else np.float64)
        labels = _labels_of_estimator(net, layers)
        threshold = 0.5
    else:
        unfitted = ". Fit it first" if hasattr(net, "fit") else ""
        raise TypeError(
            "net must be an MLP, or a fitted MLPClassifier or MLPRegressor of fastbp.sklearn or "
            f"scikit-learn; got {checks.described(net)}{unfitted}"
        )
    dtype = own if dtype is None else checks.float_dtype(dtype)
    inputs, outputs = len(layers[0].weight), layers[-1].weight.shape[1]
    if class_labels is not None:
        labels = _checked_labels(class_labels, outputs)
    if labels is not None and output_scaler is not None:
        raise ValueError("class_labels and output_scaler exclude each other: classes have no scale")
    return Chain(
        tuple(_as_dtype(layer, i, dtype) for i, layer in enumerate(layers)),
        dtype,
        _scaling("input_scaler", input_scaler, inputs),
        _scaling("output_scaler", output_scaler, outputs),
        labels,
        threshold,
        regularization.dropout_rates(len(layers)),
    )


def in_dtype(chain: Chain, dtype: np.dtype[Any]) -> Chain:
    """The chain with arrays of another dtype.

    Parameters
    ----------
    chain : Chain
    dtype : numpy.dtype
        float32 or float64.

    Raises
    ------
    ValueError
        For numbers that are too large for it.
    """
    layers = tuple(_as_dtype(layer, i, dtype) for i, layer in enumerate(chain.layers))
    return chain._replace(layers=layers, dtype=dtype)


def in_type(
    name: str, scaling: Scaling, dtype: np.dtype[Any], invert: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Means and scales in a dtype, scales as factors if `invert`.

    Parameters
    ----------
    name : str
        For the message.
    scaling : Scaling
    dtype : numpy.dtype
        float32 or float64.
    invert : bool, default=False

    Raises
    ------
    ValueError
        For what is not finite, or no normal number, in this dtype.
    """
    limits = np.finfo(dtype)
    with np.errstate(over="ignore", under="ignore"):
        mean = scaling.mean.astype(dtype)
        scale = (1.0 / scaling.scale if invert else scaling.scale).astype(dtype)
    if not np.isfinite(mean).all() or not np.isfinite(scale).all() or (scale < limits.tiny).any():
        raise ValueError(
            f"{name} must have means, scales and reciprocals of scales that {dtype.name} holds, "
            f"{limits.tiny:.2g} to {limits.max:.2g}; got {scaling}. Take dtype='float64', or other "
            "units"
        )
    return mean, scale


def net_of(
    layers: Sequence[Layer],
    *,
    loss: LossArgument = None,
    optimizer: str | Optimizer = "adam",
    dtype: npt.DTypeLike | None = None,
    dropout: Sequence[float] = (),
) -> MLP:
    """A net with given layers, to predict with or to train further.

    Parameters
    ----------
    layers : sequence of Layer
        Where some have a bias, those without get zeros, which training changes.
    loss : str, Loss or callable, optional
        By default the one that goes with the outputs: "cross_entropy" after softmax,
        "binary_cross_entropy" after sigmoid, "poisson" after exp, else "squared_error". Outputs
        without an activation are taken as logits by a loss of logits: the net then returns
        probabilities.
    optimizer : str or Optimizer, default="adam"
        It begins anew: no moments come along.
    dtype : {"float32", "float64"}, optional
        float64 by default where a layer has weights in float64, else float32.
    dropout : sequence of float, optional
        Rates in front of each layer, as in `Chain`; by default none.

    Raises
    ------
    ValueError, TypeError
        For layers that do not fit each other, or that an `MLP` cannot have.
    """
    if not layers:
        raise ValueError("a net must have at least one layer with weights; got none")
    for i, (below, layer) in enumerate(zip(layers, layers[1:], strict=False), start=1):
        if below.weight.shape[1] != len(layer.weight):
            raise ValueError(
                f"layer {i} must have {below.weight.shape[1]} inputs, the outputs of layer {i - 1};"
                f" got a weight of shape {layer.weight.shape}"
            )
    if dtype is None:
        double = any(layer.weight.dtype == np.float64 for layer in layers)
        dtype = np.float64 if double else np.float32
    output = layers[-1].activation
    if loss is None:
        loss = (
            LOSS_AFTER.get(output, "squared_error") if isinstance(output, str) else "squared_error"
        )
    net = MLP(
        (len(layers[0].weight), *(layer.weight.shape[1] for layer in layers)),
        activation=[layer.activation for layer in layers[:-1]],
        output_activation=None if output == "identity" else output,
        loss=loss,
        optimizer=optimizer,
        dtype=dtype,
        bias=any(layer.bias is not None for layer in layers),
        weight_init="zeros",
        dropout=tuple(dropout[1:]) if any(dropout[1:]) else 0.0,
        input_dropout=dropout[0] if dropout else 0.0,
    )
    for i, layer in enumerate(layers):
        given = _as_dtype(layer, i, net.dtype)
        net.weights[i][...] = given.weight
        if given.bias is not None:
            net.biases[i][...] = given.bias
    return net


def _layers(
    weights: Iterable[Any], biases: Iterable[Any], activations: Iterable[Any]
) -> list[Layer]:
    """The layers; a function in Python is in no format."""
    found = []
    for i, (w, b, unit) in enumerate(zip(weights, biases, activations, strict=True)):
        if not isinstance(unit, str | GraphActivation):
            raise ValueError(
                f"layer {i} has the activation {unit}, a function in Python, which no other format "
                "has. Take a name, such as 'tanh', or write it as a graph (fastbp.graph)"
            )
        if isinstance(unit, str) and unit not in ACTIVATIONS:
            raise ValueError(
                f"the activation of layer {i} must be one of {', '.join(ACTIVATIONS)}; got {unit!r}"
            )
        found.append(Layer(np.asarray(w), None if b is None else np.asarray(b), unit))
    return found


def _layers_of_estimator(estimator: Any) -> list[Layer]:
    """The layers that `predict` of scikit-learn passes through."""
    count = int(getattr(estimator, "n_layers_", len(estimator.coefs_) + 1)) - 1
    hidden = estimator.activation
    names = [hidden] * (count - 1) if isinstance(hidden, str) else list(hidden)
    names.append(estimator.out_activation_)
    coefs = estimator.coefs_[:count]
    biases = estimator.intercepts_[:count]
    return _layers(
        coefs,
        [np.broadcast_to(b, w.shape[1]) for w, b in zip(coefs, biases, strict=True)],
        [ALIASES.get(name, name) for name in names],
    )


def _labels_of_estimator(estimator: Any, layers: list[Layer]) -> list[int] | list[str] | None:
    """The classes, where a row has one of them and they are numbers or text."""
    classes = getattr(estimator, "classes_", None)
    outputs = layers[-1].weight.shape[1]
    several = outputs > 1 and layers[-1].activation != "softmax"
    if classes is None or several or len(classes) != max(outputs, 2):
        return None
    return _checked_labels(classes, outputs)


def _checked_labels(given: Any, outputs: int) -> list[int] | list[str]:
    accepted = (
        f"class_labels must be {max(outputs, 2)} different whole numbers of 64 bits, or strings "
        "that UTF-8 has and without zero bytes, one for each class"
    )
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ValueError(f"{accepted}; got {given!r}")
    values = [one.item() if isinstance(one, np.generic) else one for one in given]
    if len(values) != max(outputs, 2):
        raise ValueError(f"{accepted}; got {given!r}")
    if all(isinstance(value, float) and value.is_integer() for value in values):
        values = [int(value) for value in values]
    texts = all(isinstance(value, str) for value in values)
    if not texts and not all(isinstance(value, int) for value in values):
        raise ValueError(f"{accepted}; got {given!r}")
    values = values if texts else [int(value) for value in values]  # bool, too
    if len(set(values)) != len(values) or not all(map(_is_label, values)):
        raise ValueError(f"{accepted}; got {given!r}")
    return values


def _is_label(value: int | str) -> bool:
    """Whether every format can hold a label."""
    if isinstance(value, int):
        return -MOST_LABEL - 1 <= value <= MOST_LABEL
    is_utf_8 = not any("\ud800" <= character <= "\udfff" for character in value)
    return is_utf_8 and "\0" not in value  # which ends text in C, and is cut off by NumPy


def _as_dtype(layer: Layer, i: int, dtype: np.dtype[Any]) -> Layer:
    """The layer with contiguous arrays of a dtype, all of whose numbers are finite in it."""
    bias = None if layer.bias is None else _array(f"the bias of layer {i}", layer.bias, dtype)
    return Layer(_array(f"the weight of layer {i}", layer.weight, dtype), bias, layer.activation)


def _array(name: str, given: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(given, dtype)
    checks.finite(name, np.atleast_2d(array), np.atleast_2d(given), remedy=OF_WEIGHTS)
    return array


def _scaling(name: str, given: Any, columns: int) -> Scaling | None:
    """A scaler as mean and scale of each column."""
    if given is None:
        return None
    if getattr(given, "clip", False) in (True,):  # an array has a method of this name
        raise ValueError(f"{name} must not clip; got {given!r}. Fit one without clip=True")
    if isinstance(given, tuple | list) and len(given) == 2:
        mean, scale = given
    elif all(hasattr(given, part) for part in ("min_", "scale_")):  # x * scale_ + min_
        mean = -given.min_ / given.scale_
        scale = 1.0 / given.scale_
    elif hasattr(given, "scale_"):
        mean = getattr(given, "mean_", getattr(given, "center_", None))
        scale = given.scale_
        if not getattr(given, "with_mean", True):  # StandardScaler learns a mean in any case
            mean = None
    else:
        raise TypeError(
            f"{name} must be (mean, scale) or a fitted StandardScaler, MinMaxScaler, MaxAbsScaler "
            f"or RobustScaler; got {checks.described(given)}"
        )
    arrays = []
    for part, value, default in (("mean", mean, 0.0), ("scale", scale, 1.0)):
        array = checks.numbers(f"the {part} of {name}", default if value is None else value)
        array = array.astype(np.float64)
        if array.shape not in ((), (columns,)):
            raise ValueError(
                f"the {part} of {name} must be a number or have the shape ({columns},); got "
                f"{array.shape}"
            )
        if not np.isfinite(array).all() or (part == "scale" and (array <= 0.0).any()):
            wanted = "finite" if part == "mean" else "above 0 and finite"
            raise ValueError(f"the {part} of {name} must be {wanted}; got {value}")
        arrays.append(np.broadcast_to(array, (columns,)).copy())
    return Scaling(*arrays)
