"""A net as a file, and back: what it is, what training changes, and its history.

==================  ============================  =============================================
array               shape                         what
==================  ============================  =============================================
layers.0.weight     (n_in, n_out)                 weights of the first layer, and so on
layers.0.bias       (n_out,)                      its biases, if there are any
optimizer.slots     (slots, parameters)           what the optimiser keeps, in the order of `params`
optimizer.scalars   (N_SCALARS,)                  its hyper-parameters, and what it counts
random              (1,)                          the random stream
frozen              (parameters,)                 what training leaves alone
history             (columns, epochs)             the last fit
==================  ============================  =============================================
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from fastbp import checks
from fastbp.fit.history import History
from fastbp.kernels.optimizers import N_SCALARS
from fastbp.model.activations import Activation, as_activation
from fastbp.model.initializers import WEIGHT_INITS
from fastbp.model.losses import as_loss
from fastbp.model.net import Net, Spec
from fastbp.model.optimizers import Optimizer
from fastbp.model.pickles import check_scalars, checked_spec
from fastbp.model.schedules import check_rate
from fastbp.saving import container
from fastbp.saving.container import Tensors
from fastbp.saving.recipe import check_fields, decoded, encoded, has_own

RECIPE = (
    "layer_sizes", "activations", "loss", "regularization", "dtype", "bias", "optimizer",
    "missing_targets", "split_seed", "weight_init", "history",
)  # fmt: skip

OF_HISTORY = ("stop_reason", "restored_epoch", "monitor", "highest")
"""Fields of a history beside its columns."""


class Own(NamedTuple):
    """What the user gives `load` for what no file holds; None where nothing is given."""

    loss: Any = None
    activation: Any = None
    learning_rate: Any = None


class Saved(NamedTuple):
    """What is in a file, checked.

    Attributes
    ----------
    spec : Spec
    optimizer : Optimizer
    tensors : dict of str to array
    history : History
    split_seed : int
    missing_targets : bool
    weight_init : str or tuple of str
    """

    spec: Spec
    optimizer: Optimizer
    tensors: Tensors
    history: History
    split_seed: int
    missing_targets: bool
    weight_init: Any


def content_of(net: Any) -> bytes:
    """The bytes of a net's file.

    Parameters
    ----------
    net : MLP
    """
    spec = net.spec
    history = net.history
    columns = history.to_dict()
    state = net.state
    tensors = {
        "optimizer.slots": state.slots.reshape(net.optimizer.n_slots, state.params.size),
        "optimizer.scalars": state.scalars,
        "random": state.random,
        "frozen": state.frozen,
        "history": np.array(list(columns.values()), np.float64),
    }
    for layer, weights in enumerate(net.weights):
        tensors[f"layers.{layer}.weight"] = weights
    for layer, biases in enumerate(net.biases):
        tensors[f"layers.{layer}.bias"] = biases
    recipe = {
        "layer_sizes": list(spec.layer_sizes),
        "activations": encoded(spec.activations),
        "loss": encoded(spec.loss),
        "regularization": encoded(spec.regularization),
        "dtype": spec.dtype.name,
        "bias": spec.bias,
        "optimizer": encoded(net.optimizer),
        "missing_targets": net.missing_targets,
        "split_seed": net.split_seed,
        "weight_init": encoded(net.weight_init),
        "history": {
            "columns": list(columns),
            **{name: getattr(history, name) for name in OF_HISTORY},
        },
    }
    _check_values(tensors)
    in_order = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    return container.packed(in_order, recipe)


def read(path: str | os.PathLike[str], own: Own) -> Saved:
    """What is in a file.

    Parameters
    ----------
    path : str or path
    own : Own

    Raises
    ------
    ValueError
        For a file that is not as `MLP.save` makes it, and where `own` does not go with it.
    TypeError
        For bad values in `own`.
    """
    own = _checked_own(own)
    return container.read(path, lambda content: saved_in(content, own))


def saved_in(content: bytes, own: Own) -> Saved:
    """What is in the bytes of a file; RecursionError and MemoryError are possible.

    Parameters
    ----------
    content : bytes
    own : Own
    """
    found, recipe = container.unpacked(content)
    if "estimator" in recipe:
        raise ValueError("it holds an estimator: fastbp.sklearn.load reads it")
    check_fields("the recipe of a net", recipe, RECIPE)
    _check_used(recipe, own)
    spec = _spec(recipe, own)
    optimizer = decoded(recipe["optimizer"], "learning_rate", own.learning_rate)
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"its optimizer must be one of fastbp's; got {optimizer!r}")
    spec.regularization.settings(optimizer, len(spec.layer_sizes) - 1)
    columns = _columns(recipe["history"])
    expected = _expected(spec, optimizer, len(columns), found)
    if found != expected:
        names = sorted(set(found) | set(expected))
        name = next(name for name in names if found.get(name) != expected.get(name))
        raise ValueError(f"{name!r} must be {_shown(expected, name)}; got {_shown(found, name)}")
    tensors = container.arrays(content)
    _check_values(tensors)
    return Saved(
        spec,
        optimizer,
        tensors,
        _history(recipe["history"], columns, tensors["history"].tolist()),
        checks.count("its split_seed", recipe["split_seed"], 0, 2**64 - 1),
        _missing_targets(recipe["missing_targets"], spec),
        _weight_init(recipe["weight_init"]),
    )


def fill(net: Net, tensors: Tensors) -> None:
    """Write the arrays of a file into a new net.

    Parameters
    ----------
    net : Net
    tensors : dict of str to array
    """
    for layer, weights in enumerate(net.weights):
        weights[...] = tensors[f"layers.{layer}.weight"]
    for layer, biases in enumerate(net.biases):
        biases[...] = tensors[f"layers.{layer}.bias"]
    state = net.state
    state.slots[:] = tensors["optimizer.slots"].reshape(-1)
    state.scalars[:] = tensors["optimizer.scalars"]
    state.random[:] = tensors["random"]
    state.frozen[:] = tensors["frozen"]


def _checked_own(own: Own) -> Own:
    """As `MLP` takes them."""
    loss = None if own.loss is None else as_loss(own.loss)
    if own.learning_rate is not None:
        check_rate("learning_rate", own.learning_rate)
    given = own.activation
    for one in given if isinstance(given, list | tuple) else [given]:
        if not (one is None or isinstance(as_activation(one), Activation)):
            raise TypeError(
                "activation must be a graph or a function z -> (y, dy/dz), or a list with one for "
                f"each layer and None for those that the file has; got {checks.described(one)}"
            )
    return own._replace(loss=loss)


def _check_used(recipe: dict[str, Any], own: Own) -> None:
    """What the file holds is not exchanged without a word."""
    for name, part in zip(Own._fields, ("loss", "activations", "optimizer"), strict=True):
        if getattr(own, name) is not None and not has_own(recipe[part]):
            raise ValueError(f"it holds its {name}; leave {name} out of load")


def _spec(recipe: dict[str, Any], own: Own) -> Spec:
    units = recipe["activations"]
    if not isinstance(units, list):
        raise ValueError(f"its activations must be a list; got {units!r}")
    given = own.activation
    each = list(given) if isinstance(given, list | tuple) else [given] * len(units)
    if len(each) != len(units):
        raise ValueError(f"activation must be one or one for each of {len(units)} layers")
    made = [decoded(unit, "activation", one) for unit, one in zip(units, each, strict=True)]
    for i, unit in enumerate(units):
        if has_own(unit):
            made[i] = as_activation(made[i])
        if not isinstance(made[i], str | Activation):  # a schedule could be called, too
            raise ValueError(f"an activation must be a name or a graph; got {made[i]!r}")
    if not isinstance(recipe["dtype"], str):
        raise ValueError(f"its dtype must be a name; got {recipe['dtype']!r}")
    return Spec(
        **checked_spec(
            {
                "layer_sizes": recipe["layer_sizes"],
                "activations": made,
                "loss": decoded(recipe["loss"], "loss", own.loss),
                "regularization": decoded(recipe["regularization"], "regularization"),
                "dtype": recipe["dtype"],
                "bias": recipe["bias"],
            }
        )
    )


def _expected(
    spec: Spec, optimizer: Optimizer, columns: int, found: dict[str, tuple[str, tuple[int, ...]]]
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtypes and shapes of the arrays; the length of the history is the file's own."""
    sizes = spec.layer_sizes
    dtype = spec.dtype.name
    expected: dict[str, tuple[str, tuple[int, ...]]] = {}
    count = 0
    for layer, (n_in, n_out) in enumerate(zip(sizes, sizes[1:], strict=False)):
        expected[f"layers.{layer}.weight"] = dtype, (n_in, n_out)
        if spec.bias:
            expected[f"layers.{layer}.bias"] = dtype, (n_out,)
        count += (n_in + spec.bias) * n_out
    shape = found.get("history", ("", ()))[1]
    return expected | {
        "optimizer.slots": (dtype, (optimizer.n_slots, count)),
        "optimizer.scalars": ("float64", (N_SCALARS,)),
        "random": ("uint64", (1,)),
        "frozen": ("bool", (count,)),
        "history": ("float64", (columns, shape[-1] if shape else 0)),
    }


def _shown(arrays: dict[str, tuple[str, tuple[int, ...]]], name: str) -> str:
    if name not in arrays:
        return "no array"
    dtype, shape = arrays[name]
    return f"{dtype} of shape {shape}"


def _check_values(tensors: Tensors) -> None:
    """Numbers that a net can be trained with."""
    for name, array in tensors.items():
        finite = name.startswith("layers.") or name == "optimizer.scalars"
        if finite and not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite; got {array[~np.isfinite(array)][0]}")
    if np.isnan(tensors["optimizer.slots"]).any():  # squares may overflow to infinity
        raise ValueError("optimizer.slots must be numbers; got nan")
    check_scalars(tensors["optimizer.scalars"])


def _names(what: str, given: Any) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise ValueError(f"{what} must be a list of names; got {given!r}")
    return given


def _columns(given: Any) -> list[str]:
    """The columns of a history, whose other fields are checked too."""
    if not isinstance(given, dict):
        raise ValueError(f"its history must have columns; got {given!r}")
    check_fields("history", given, ("columns", *OF_HISTORY))
    columns = _names("the columns of its history", given["columns"])
    if columns[:1] != ["loss"] or columns[-1:] != ["seconds"] or len(set(columns)) < len(columns):
        raise ValueError(f"its history must have columns from loss to seconds; got {columns}")
    if not isinstance(given["stop_reason"], str):
        raise ValueError(f"stop_reason of its history must be text; got {given['stop_reason']!r}")
    if given["monitor"] not in ("", *columns):
        raise ValueError(f"monitor of its history must be a column; got {given['monitor']!r}")
    checks.flag("highest of its history", given["highest"])
    return columns


def _history(given: dict[str, Any], columns: list[str], table: list[list[float]]) -> History:
    """The history, of fields that `_columns` has checked."""
    loss, *others, seconds = table
    fields = {name: given[name] for name in OF_HISTORY}
    restored = given["restored_epoch"]
    if restored is not None:
        if not loss:
            raise ValueError(f"a history without epochs has none to restore; got {restored!r}")
        fields["restored_epoch"] = checks.count(
            "restored_epoch of its history", restored, 1, len(loss)
        )
    return History(loss, seconds, dict(zip(columns[1:-1], others, strict=True)), **fields)


def _missing_targets(given: Any, spec: Spec) -> bool:
    if checks.flag("its missing_targets", given):
        spec.loss.check_by_output("missing_targets=True", "Make another net")
        return True
    return False


def _weight_init(given: Any) -> Any:
    names = [given] if isinstance(given, str) else _names("its weight_init", given)
    for name in names:
        checks.choice("its weight_init", name, (*WEIGHT_INITS, "own"))
    return given if isinstance(given, str) else tuple(names)
