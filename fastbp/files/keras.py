"""`to_keras` and `from_keras`: nets as models of Keras 3 and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.files.chain import FloatArray, LossArgument, chain_of, net_of
from fastbp.files.stack import Stack, array_of, class_of
from fastbp.graph.in_nets import GraphActivation
from fastbp.mlp import MLP
from fastbp.model.activations import Activation
from fastbp.model.optimizers import Optimizer
from fastbp.saving.recipe import expression_of, nodes_of

OURS = "fastbp.files.keras_layers"
FUNCTIONS = {
    "linear": "identity", "sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "elu": "elu",
    "selu": "selu", "gelu": "gelu", "silu": "silu", "softplus": "softplus",
    "hard_sigmoid": "hard_sigmoid", "exponential": "exp", "softmax": "softmax",
    "log_softmax": "softmax",
}  # fmt: skip
"""Activations by Keras' name and by ours. Keras' leaky_relu has a slope of 0.2."""
LAYERS: dict[str, tuple[str, dict[str, tuple[Any, ...]]]] = {
    "ReLU": ("relu", {"max_value": (None,), "negative_slope": (0.0,), "threshold": (0.0,)}),
    "LeakyReLU": ("leaky_relu", {"negative_slope": (0.01,)}),
    "ELU": ("elu", {"alpha": (1.0,)}),
    "Softmax": ("softmax", {"axis": (-1, 1)}),
}
"""Activations that are layers: our name, and what their attributes must be."""
ACCEPTED = (
    "keras.Sequential of Dense, Activation, ReLU, LeakyReLU, ELU, Softmax, Dropout, Flatten, "
    "Identity and, in front, Rescaling and Normalization"
)
FARTHEST = 8.0
"""How far from 0 scaled inputs of 0 may be when float32 weights take the scaling over: the sums
then hold terms of that size that cancel."""


def to_keras(net: Any, *, logits: bool = False) -> Any:
    """A net as a model of Keras 3, by whichever backend Keras has.

    Parameters
    ----------
    net : MLP, or a fitted MLPClassifier or MLPRegressor of fastbp.sklearn or scikit-learn
        Activations may be names or graphs (`fastbp.graph`).
    logits : bool, default=False
        Leave out the output activation, for losses with ``from_logits=True``.

    Returns
    -------
    keras.Sequential
        Of ``Dense``, ``LeakyReLU`` where it is needed, and ``Dropout`` where the net has it, in the
        net's dtype; not compiled. Its outputs are those of ``net.predict`` but for rounding. Other
        regularisation and the optimiser do not come along.

    Raises
    ------
    ValueError, TypeError
        For another net, and for functions in Python as activations.
    ImportError
        Without keras, and where Keras finds no backend.

    Notes
    -----
    "exp" is Keras' "exponential", which overflows above 88 (float64: 709), where fastbp cuts it
    off. "step" and graphs become layers of `fastbp.files.keras_layers`: import that before
    ``keras.saving.load_model``. Only by TensorFlow does Keras multiply in float64; by PyTorch and
    JAX a model in float64 has outputs of float32's precision.

    Examples
    --------
    >>> from fastbp import MLP
    >>> from fastbp.files import to_keras
    >>> net = MLP((4, 8, 3), activation="tanh", loss="cross_entropy", seed=0)
    >>> model = to_keras(net)  # doctest: +SKIP
    >>> model.compile("adam", "sparse_categorical_crossentropy")  # doctest: +SKIP
    """
    logits = checks.flag("logits", logits)
    chain = chain_of(net)
    keras = _keras()
    dtype = chain.dtype.name
    names = {ours: theirs for theirs, ours in FUNCTIONS.items() if theirs != "log_softmax"}
    model = keras.Sequential([keras.Input((chain.n_in,), dtype=dtype)])
    last = len(chain.layers) - 1
    for i, (layer, rate) in enumerate(zip(chain.layers, chain.dropout, strict=True)):
        if rate:
            model.add(keras.layers.Dropout(rate, dtype=dtype))
        unit = "identity" if logits and i == last else layer.activation
        name = names.get(unit) if isinstance(unit, str) else None
        dense = keras.layers.Dense(
            layer.weight.shape[1],
            activation=name,
            use_bias=layer.bias is not None,
            kernel_initializer="zeros",  # which draws no random numbers
            dtype=dtype,
        )
        model.add(dense)
        dense.set_weights([layer.weight] if layer.bias is None else [layer.weight, layer.bias])
        if name is None:
            model.add(_activation_layer(unit, dtype))
    return model


def _keras() -> Any:
    try:
        import keras
    except ModuleNotFoundError as error:
        if error.name == "keras":
            raise ImportError("to_keras needs Keras: pip install keras") from error
        raise ImportError(
            f"Keras needs a backend and found no {error.name}. Before Keras is imported, set the "
            "environment variable KERAS_BACKEND to one that is installed: 'torch', 'jax' or "
            "'tensorflow'"
        ) from error
    return keras


def _activation_layer(unit: str | Activation, dtype: str) -> Any:
    import keras

    from fastbp.files import keras_layers

    if isinstance(unit, GraphActivation):
        return keras_layers.Graph(nodes_of(unit.expression), dtype=dtype)
    if unit == "leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=0.01, dtype=dtype)
    return {"step": keras_layers.Step}[str(unit)](dtype=dtype)


def from_keras(
    model: Any,
    *,
    loss: LossArgument = None,
    optimizer: str | Optimizer = "adam",
    dtype: npt.DTypeLike | None = None,
) -> MLP:
    """A net from a model of Keras 3.

    Parameters
    ----------
    model : keras.Sequential
        Nested too, of ``Dense``, activations that fastbp has, ``Dropout``, ``Flatten``,
        ``Identity`` and, in front of the first layer, ``Rescaling`` and ``Normalization``, which
        its weights take over.
    loss : str, Loss or callable, optional
        By default the one that goes with the outputs: "cross_entropy" after softmax and
        log_softmax, "binary_cross_entropy" after sigmoid, "poisson" after exponential, else
        "squared_error". Name it where the model returns logits: the net returns probabilities.
    optimizer : str or Optimizer, default="adam"
        It begins anew.
    dtype : {"float32", "float64"}, optional
        float64 by default where the weights are, else float32.

    Returns
    -------
    MLP
        ``net.predict`` returns what ``model.predict`` does; after log_softmax, and for logits whose
        loss is named, the probabilities. ``Dropout`` becomes the net's dropout. Where some layers
        have a bias, those without get zeros, which training changes.

    Raises
    ------
    ValueError, TypeError
        For other models and layers, for other settings of an activation, and for models that are
        not built.

    Examples
    --------
    >>> from fastbp.files import from_keras
    >>> model = keras.saving.load_model("digits.keras")  # doctest: +SKIP
    >>> net = from_keras(model)  # doctest: +SKIP
    """
    if not hasattr(model, "get_weights"):
        raise TypeError(
            f"model must be {ACCEPTED}; got {checks.described(model)}. Read a file first, by "
            "keras.saving.load_model"
        )
    if kind_of(model) != "Sequential":
        raise ValueError(
            f"from_keras takes {ACCEPTED}; got {type(model).__name__}. If its layers stand one "
            "behind the other, pass keras.Sequential(model.layers)"
        )
    stack = Stack()
    scaling: _Affine | None = None
    for name, layer in _parts("model", model):
        change = _scaling_of(name, layer)
        if change is None:
            _add(stack, name, layer)
        elif stack.layers or stack.pending:
            raise ValueError(f"{name} must stand in front of everything else. Leave it out")
        else:
            scaling = change if scaling is None else scaling.then(change)
    stack.finish()
    if scaling is not None and stack.layers:
        _take_over(stack, scaling, dtype)
    return net_of(stack.layers, loss=loss, optimizer=optimizer, dtype=dtype, dropout=stack.dropout)


def kind_of(layer: Any) -> str:
    """The name of the class that computes what a layer does (`fastbp.files.stack.class_of`)."""
    return class_of(layer, "keras", OURS, "call")


def _parts(name: str, layer: Any) -> Iterator[tuple[str, Any]]:
    """What a model passes its inputs through, with names for messages."""
    if kind_of(layer) == "Sequential":
        for i, part in enumerate(layer.layers):
            yield from _parts(f"{name}.layers[{i}]", part)
    else:
        yield f"{name} ({type(layer).__name__})", layer


def _add(stack: Stack, name: str, layer: Any) -> None:
    """Add one layer to the stack."""
    kind = kind_of(layer)
    if kind == "Dense":
        arrays = [array_of(f"the weights of {name}", array) for array in layer.get_weights()]
        if len(arrays) != (2 if layer.use_bias else 1):
            raise ValueError(
                f"{name} must have a kernel and, with use_bias=True, a bias; got {len(arrays)} "
                "arrays. Build the model first, by model.build((None, inputs)), and merge what was "
                "added by enable_lora or quantize"
            )
        stack.dense(name, arrays[0], arrays[1] if layer.use_bias else None)
    if kind in ("Dense", "Activation"):
        _add_function(stack, name, layer.activation)
    elif kind == "Dropout":
        stack.drop(name, layer.rate)
    elif kind == "Graph":
        stack.activation(name, GraphActivation(expression_of(layer.nodes)))
    elif kind == "Step":
        stack.activation(name, "step")
    elif kind in LAYERS:
        unit, settings = LAYERS[kind]
        for attribute, accepted in settings.items():
            value = getattr(layer, attribute)
            if value not in accepted:
                raise ValueError(f"{name} has {attribute}={value!r}; fastbp has {accepted[0]!r}")
        stack.activation(name, unit)
    elif kind not in ("InputLayer", "Flatten", "Identity"):
        raise ValueError(f"from_keras takes {ACCEPTED}; got {name}")


def _add_function(stack: Stack, name: str, function: Any) -> None:
    """Add the activation of a Dense or Activation layer: a function of Keras' or a layer."""
    if function is None:
        return
    if kind_of(function) in LAYERS:
        return _add(stack, f"activation {type(function).__name__} of {name}", function)
    theirs = getattr(function, "__name__", "")
    known = str(getattr(function, "__module__", "")).split(".")[0] == "keras"
    if not known or theirs not in FUNCTIONS:
        hint = ". Take LeakyReLU(negative_slope=0.01)" if theirs == "leaky_relu" else ""
        raise ValueError(
            f"{name} has the activation {theirs or function!r}; from_keras takes Keras' "
            f"{', '.join(FUNCTIONS)}{hint}"
        )
    unit = FUNCTIONS[theirs]
    if unit != "identity":
        stack.activation(f"{theirs} of {name}", unit)


# ---- scaled inputs ------------------------------------------------------------------------------


class _Affine(NamedTuple):
    """``scale * x + offset`` of the inputs, numbers or arrays (n_in,)."""

    name: str
    scale: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]

    def then(self, other: _Affine) -> _Affine:
        """Both, one after the other."""
        offset = other.scale * self.offset + other.offset
        return _Affine(f"{self.name} and {other.name}", self.scale * other.scale, offset)


def _scaling_of(name: str, layer: Any) -> _Affine | None:
    """What a layer scales the inputs by, if that is all it does."""
    kind = kind_of(layer)
    if kind == "Rescaling":
        return _Affine(name, _numbers(name, layer.scale), _numbers(name, layer.offset))
    if kind != "Normalization":
        return None
    if layer.invert or layer.mean is None:
        raise ValueError(
            f"{name} must be adapted, and have invert=False; got invert={layer.invert} and "
            f"mean={layer.mean}. Call its method adapt first"
        )
    scale = 1.0 / np.maximum(np.sqrt(_numbers(name, layer.variance)), 1e-7)
    return _Affine(name, scale, -_numbers(name, layer.mean) * scale)


def _numbers(name: str, value: Any) -> npt.NDArray[np.float64]:
    array = array_of(f"the scaling of {name}", value).astype(np.float64).ravel()
    return array if array.size > 1 else array.reshape(())


def _take_over(stack: Stack, scaling: _Affine, dtype: npt.DTypeLike | None) -> None:
    """Let the weights of the first layer do the scaling."""
    first = stack.layers[0]
    size = len(first.weight)
    for part in (scaling.scale, scaling.offset):
        if part.shape not in ((), (size,)):
            raise ValueError(
                f"{scaling.name} must have one number for all inputs or one for each of {size}; "
                f"got {part.size}"
            )
    if stack.dropout[0]:
        raise ValueError(
            f"Dropout of the inputs behind {scaling.name} has no counterpart in fastbp. Leave it "
            "out, or scale the inputs yourself and leave the scaling out"
        )
    weight = first.weight.astype(np.float64)
    bias = first.bias
    kept = first.weight.dtype if dtype is None else checks.float_dtype(dtype)
    farthest = float(np.abs(scaling.offset).max())
    if kept == np.float32 and farthest > FARTHEST:
        raise ValueError(
            f"{scaling.name} moves the inputs by {farthest:.3g} when scaled: float32 weights that "
            "do so would lose digits. Pass dtype='float64', or scale the inputs yourself and pass "
            "a Sequential without that layer"
        )
    moved: FloatArray = np.broadcast_to(scaling.offset, size) @ weight
    if bias is not None or moved.any():
        bias = (moved + (0.0 if bias is None else bias)).astype(kept)
    weight = (weight * np.broadcast_to(scaling.scale, size)[:, None]).astype(kept)
    stack.layers[0] = first._replace(weight=weight, bias=bias)
