"""`to_torch` and `from_torch`: nets as modules of PyTorch and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.files.chain import Layer, LossArgument, chain_of, net_of
from fastbp.files.stack import Stack, array_of, class_of
from fastbp.graph.in_nets import GraphActivation
from fastbp.mlp import MLP, OneActivation
from fastbp.model.activations import Activation, as_activation
from fastbp.model.optimizers import Optimizer
from fastbp.saving.recipe import expression_of, nodes_of

OURS = "fastbp.files.torch_modules"
MODULES: dict[str, tuple[str, dict[str, tuple[Any, ...]]]] = {
    "Sigmoid": ("sigmoid", {}),
    "Tanh": ("tanh", {}),
    "ReLU": ("relu", {}),
    "LeakyReLU": ("leaky_relu", {"negative_slope": (0.01,)}),
    "ELU": ("elu", {"alpha": (1.0,)}),
    "SELU": ("selu", {}),
    "GELU": ("gelu", {"approximate": ("none",)}),
    "SiLU": ("silu", {}),
    "Softplus": ("softplus", {"beta": (1.0,), "threshold": (20.0, 40.0)}),
    "Hardsigmoid": ("hard_sigmoid", {}),
    "Softmax": ("softmax", {"dim": (1, -1, None)}),
    "LogSoftmax": ("softmax", {"dim": (1, -1, None)}),
}
"""PyTorch's activations: fastbp's name, and what their attributes must be."""
SETTINGS: dict[str, dict[str, Any]] = {
    "Softplus": {"threshold": 40.0},  # above 20, its default, z is off by 2e-9
    "Softmax": {"dim": -1},
}
"""What the modules that `to_torch` makes are given."""
HINTS = {
    "BatchNorm1d": "Merge it into the layer before: torch.nn.utils.fusion.fuse_linear_bn_eval",
    "LazyLinear": "Call it once, so that it knows its inputs",
}
"""What to do about modules that can become others."""
AROUND = {
    "OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module",
}  # fmt: skip
"""Modules that compute what another one does."""
ACCEPTED = (
    "nn.Sequential of Linear, Identity, Flatten (of the inputs), Dropout and the activations "
    f"{', '.join(name for name in MODULES)}"
)
REMEDY = (
    "For anything else pass module.state_dict() with activation= and output_activation=, which may "
    "be graphs (fastbp.graph)"
)


def to_torch(net: Any, *, logits: bool = False) -> Any:
    """A net as a module of PyTorch.

    Parameters
    ----------
    net : MLP, or a fitted MLPClassifier or MLPRegressor of fastbp.sklearn or scikit-learn
        Activations may be names or graphs (`fastbp.graph`).
    logits : bool, default=False
        Leave out the output activation, as ``torch.nn.CrossEntropyLoss``, ``BCEWithLogitsLoss``
        and ``PoissonNLLLoss`` expect.

    Returns
    -------
    torch.nn.Sequential
        Of ``Linear``, activations and, where the net has it, ``Dropout``, in the net's dtype, on
        the CPU, and in eval mode, in which its outputs are those of ``net.predict`` but for
        rounding. It shares no memory with the net. ``module.train()`` turns dropout on; other
        regularisation and the optimiser do not come along.

    Raises
    ------
    ValueError, TypeError
        For another net, and for functions in Python as activations.
    ImportError
        Without torch: ``pip install torch``.

    Notes
    -----
    "exp" (which fastbp cuts off where it would overflow), "step" and graphs become modules of
    `fastbp.files.torch_modules`; whoever unpickles such a module needs fastbp. Their state dicts
    are empty.

    Examples
    --------
    >>> from fastbp import MLP
    >>> from fastbp.files import to_torch
    >>> net = MLP((4, 8, 3), activation="tanh", loss="cross_entropy", seed=0)
    >>> to_torch(net, logits=True)  # doctest: +SKIP
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): Tanh()
      (2): Linear(in_features=8, out_features=3, bias=True)
    )
    """
    logits = checks.flag("logits", logits)
    chain = chain_of(net)
    try:
        import torch
    except ImportError as error:
        raise ImportError("to_torch needs PyTorch: pip install torch") from error

    modules = []
    last = len(chain.layers) - 1
    for i, (layer, rate) in enumerate(zip(chain.layers, chain.dropout, strict=True)):
        if rate:
            modules.append(torch.nn.Dropout(rate))
        linear = torch.nn.utils.skip_init(  # draws no random numbers
            torch.nn.Linear,
            *layer.weight.shape,
            bias=layer.bias is not None,
            dtype=getattr(torch, chain.dtype.name),
        )
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(layer.weight.T)))
            if layer.bias is not None:
                linear.bias.copy_(torch.from_numpy(layer.bias))
        modules.append(linear)
        if layer.activation != "identity" and not (logits and i == last):
            modules.append(_activation_module(layer.activation))
    return torch.nn.Sequential(*modules).eval()


def _activation_module(unit: str | Activation) -> Any:
    import torch

    from fastbp.files import torch_modules

    if isinstance(unit, GraphActivation):
        return torch_modules.Graph(nodes_of(unit.expression))
    for name, (ours, _) in MODULES.items():
        if ours == unit:
            return getattr(torch.nn, name)(**SETTINGS.get(name, {}))
    return {"exp": torch_modules.Exp, "step": torch_modules.Step}[str(unit)]()


def from_torch(
    module: Any,
    *,
    activation: OneActivation | Iterable[OneActivation] | None = None,
    output_activation: OneActivation | None = None,
    loss: LossArgument = None,
    optimizer: str | Optimizer = "adam",
    dtype: npt.DTypeLike | None = None,
) -> MLP:
    """A net from a module of PyTorch, or from its parameters by name.

    Parameters
    ----------
    module : torch.nn.Sequential, torch.nn.Linear, or mapping of str to array or tensor
        A ``Sequential``, nested too, of ``Linear``, activations, ``Dropout``, ``Identity`` and, of
        the inputs, ``Flatten``. Or a state dict, as ``module.state_dict()`` or
        ``safetensors.numpy.load_file(path)`` return it, which needs no torch: names that end in
        "weight", of shape (n_out, n_in), and "bias". Names that differ only in their numbers are
        ordered by these; others are taken in their order.
    activation : str, graph or callable, or sequence of them, optional
        With a state dict, which has none: what the hidden layers compute, as in `MLP`.
    output_activation : str, graph or callable, optional
        With a state dict; None is "identity".
    loss : str, Loss or callable, optional
        By default the one that goes with the outputs: "cross_entropy" after Softmax and LogSoftmax,
        "binary_cross_entropy" after Sigmoid, else "squared_error". Name it where the module
        returns logits: the net then returns probabilities.
    optimizer : str or Optimizer, default="adam"
        It begins anew.
    dtype : {"float32", "float64"}, optional
        float64 by default where the weights are, else float32.

    Returns
    -------
    MLP
        ``net.predict`` returns what the module does in eval mode; after LogSoftmax, and for logits
        whose loss is named, the probabilities. ``Dropout`` becomes the net's dropout. Where some
        layers have a bias, those without get zeros, which training changes.

    Raises
    ------
    ValueError, TypeError
        For other modules, other settings of an activation, and parameters that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.files import from_torch
    >>> state = {"0.weight": np.ones((3, 2)), "2.weight": np.ones((1, 3))}
    >>> from_torch(state, activation="relu").predict([[1.0, 2.0]])
    array([[9.]])
    >>> state = safetensors.numpy.load_file("net.safetensors")  # doctest: +SKIP
    >>> net = from_torch(state, activation="gelu", loss="cross_entropy")  # doctest: +SKIP
    """
    dropout: list[float] = []
    if isinstance(module, Mapping):
        layers = _layers_of_state(module, activation, output_activation)
    else:
        if type(module).__module__.split(".")[0] == "keras":
            raise TypeError(
                "module is a model of Keras, whose backend may be torch: use from_keras"
            )
        if not hasattr(module, "forward"):
            raise TypeError(
                f"module must be {ACCEPTED}, or a state dict; got {checks.described(module)}. Read "
                "a file first, by torch.load or safetensors.numpy.load_file"
            )
        if activation is not None or output_activation is not None:
            raise ValueError(
                "activation and output_activation go with a state dict; a module has its own. "
                f"Leave them out, or pass module.state_dict(); got {checks.described(module)}"
            )
        stack = Stack()
        for name, part in _parts("module", module):
            _add(stack, name, part)
        stack.finish()
        layers = stack.layers
        dropout = stack.dropout
    return net_of(layers, loss=loss, optimizer=optimizer, dtype=dtype, dropout=dropout)


# ---- modules ------------------------------------------------------------------------------------


def kind_of(module: Any) -> str:
    """The name of the class that computes what a module does (`fastbp.files.stack.class_of`)."""
    return class_of(module, "torch", OURS, "forward")


def _parts(name: str, module: Any) -> Iterator[tuple[str, Any]]:
    """What a module passes its inputs through, with names for messages."""
    while type(module).__name__ in AROUND and type(module).__module__.startswith("torch."):
        module = getattr(module, AROUND[type(module).__name__])
    if kind_of(module) == "Sequential":
        for i, part in enumerate(module):  # a part may be there twice, as a shared activation
            yield from _parts(f"{name}[{i}]", part)
    else:
        yield f"{name} ({type(module).__name__})", module


def _add(stack: Stack, name: str, module: Any) -> None:
    """Add one module to the stack."""
    kind = kind_of(module)
    if kind == "Linear":
        given = getattr(module, "_parameters", {"weight": None})
        if "weight" not in given:
            raise ValueError(
                f"{name} has no plain weight: weight_norm and prune compute it for each input, "
                "and quantised modules pack it. Make it permanent first, by "
                "torch.nn.utils.remove_weight_norm or prune.remove"
            )
        bias = None if module.bias is None else array_of(f"the bias of {name}", module.bias)
        stack.dense(name, array_of(f"the weight of {name}", module.weight).T, bias)
    elif kind == "Dropout":
        stack.drop(name, module.p)
    elif kind == "Flatten" and (module.start_dim, module.end_dim) == (1, -1):
        pass  # rows are flat already
    elif kind != "Identity":
        unit = _unit_of(name, module)
        if unit is None:
            raise ValueError(f"from_torch takes {ACCEPTED}; got {name}. {HINTS.get(kind, REMEDY)}")
        stack.activation(name, unit)


def _unit_of(name: str, module: Any) -> str | Activation | None:
    """The activation that a module computes, None if it is no such module."""
    kind = kind_of(module)
    if kind == "Graph":
        return GraphActivation(expression_of(module.nodes))
    if kind in ("Exp", "Step"):
        return kind.lower()
    if kind not in MODULES:
        return None
    unit, settings = MODULES[kind]
    for attribute, accepted in settings.items():
        value = getattr(module, attribute)
        if value not in accepted:
            raise ValueError(
                f"{name} has {attribute}={value!r}; fastbp has {accepted[0]!r}. {REMEDY}"
            )
    return unit


# ---- state dicts --------------------------------------------------------------------------------


def _layers_of_state(state: Mapping[Any, Any], activation: Any, output: Any) -> list[Layer]:
    """The layers whose parameters have names."""
    parts: dict[str, dict[str, Any]] = {}
    for key, value in state.items():
        if isinstance(value, Mapping):
            raise ValueError(
                f"a state dict must map names to arrays; got a mapping at {key!r}. If that is the "
                f"state dict, pass it: state[{key!r}]"
            )
        layer, _, what = str(key).rpartition(".")
        if what not in ("weight", "bias"):
            raise ValueError(
                f"a state dict must have names that end in weight or bias, those of Linear; got "
                f"{key!r}. Leave other parameters out, if the net does not need them"
            )
        parts.setdefault(layer, {})[what] = array_of(f"state[{key!r}]", value)
    order = _in_order(list(parts))
    biases = any("bias" in part for part in parts.values())
    stack = Stack()
    for name in order:
        weight, bias = _parameters(f"{name}." if name else "", parts[name], biases)
        stack.dense(f"layer {name!r}", weight, bias)
    for i, (below, above) in enumerate(zip(stack.layers, stack.layers[1:], strict=False)):
        if below.weight.shape[1] != len(above.weight):
            raise ValueError(
                f"layer {order[i + 1]!r} must have {below.weight.shape[1]} inputs, the outputs of "
                f"layer {order[i]!r}; its weight has the shape {above.weight.T.shape}. The layers "
                f"were taken in the order {', '.join(map(repr, order))}: pass a dict with that in "
                "which they are computed"
            )
    last = "identity" if output is None else _one("output_activation", output)
    units = [*_units(activation, order), last]
    return [
        layer._replace(activation=unit) for layer, unit in zip(stack.layers, units, strict=False)
    ]


def _parameters(prefix: str, part: dict[str, Any], biases: bool) -> tuple[Any, Any]:
    """The weight, (n_in, n_out), and the bias of a layer, which must be there if `biases`."""
    if "weight" not in part:
        raise ValueError(f"the state dict has {prefix}bias but no {prefix}weight")
    weight = part["weight"]
    if weight.ndim != 2:
        raise ValueError(
            f"{prefix}weight must have shape (n_out, n_in), as that of Linear; got {weight.shape}. "
            "Convolutions and normalisation have no counterpart in fastbp"
        )
    if biases and "bias" not in part:
        raise ValueError(
            f"the state dict has biases, but no {prefix}bias. If this layer has none, add "
            f"state['{prefix}bias'] = numpy.zeros({len(weight)})"
        )
    return weight.T, part.get("bias")


def _in_order(names: list[str]) -> list[str]:
    """Names that differ only in numbers, in the order of these; others as they come."""
    skeletons = {re.sub(r"\d+", "0", name) for name in names}
    if len(skeletons) > 1:
        return names
    return sorted(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def _one(name: str, given: Any) -> Any:
    """An activation as `MLP` takes it; PyTorch's modules are accepted, too."""
    unit = None if isinstance(given, str) else _unit_of(name, given)
    return as_activation(given) if unit is None else unit


def _units(activation: Any, order: list[str]) -> list[Any]:
    """The activations of the hidden layers."""
    hidden = max(len(order) - 1, 0)
    if hidden and activation is None:
        raise ValueError(
            f"a state dict does not say what the {hidden} hidden layers compute: pass activation=, "
            f"such as 'relu'; its layers are {', '.join(map(repr, order))}"
        )
    unit = _one("activation", activation)
    if unit is None or isinstance(unit, str | Activation) or not isinstance(unit, Iterable):
        return [unit] * hidden
    units = [_one(f"activation[{i}]", given) for i, given in enumerate(unit)]
    if len(units) != hidden:
        raise ValueError(
            f"activation must be one name or one for each of the {hidden} hidden layers; got "
            f"{len(units)}: {units}"
        )
    return units
