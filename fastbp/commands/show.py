"""``python -m fastbp show FILE``: what is in a file, without running it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastbp import tables
from fastbp.commands.contents import Contents, read
from fastbp.commands.printing import complain, fields, printable
from fastbp.fit.history import History
from fastbp.kernels.layout import weight_views
from fastbp.kernels.optimizers import UPDATES
from fastbp.mlp import MLP
from fastbp.saving import container, stand_ins
from fastbp.saving.recipe import OWN, encoded

MOST_ITEMS = 20
"""Classes, features and the like that are shown one by one."""
MOST_TEXT = 200
"""Characters that are shown of a value."""
MOST_CELL = 40
WIDTH = 84
"""Characters of a line beside its name."""

Fields = list[tuple[str, list[str]]]
Rows = Sequence[tuple[str, ...]]


def run(path: str, as_json: bool = False) -> int:
    """Print what is in a file.

    Parameters
    ----------
    path : str
    as_json : bool, default=False
        For programs.

    Returns
    -------
    int
        The exit status: 1 for a file that cannot be read.
    """
    try:
        found = read(path)
    except (ValueError, OSError, ImportError) as error:
        return complain(error)
    if as_json:
        print(json.dumps(_for_programs(path, found), indent=2))
        return 0
    for line in _SHOWN[found.kind](path, found):
        print(printable(line))
    return 0


def _for_programs(path: str, found: Contents) -> dict[str, Any]:
    held: dict[str, Any] = {"file": path, "bytes": found.n_bytes, "kind": found.kind}
    if found.kind == "onnx":
        spec = found.holds.spec
        return held | {
            "layer_sizes": list(spec.layer_sizes),
            "activations": encoded(spec.activations),
            "dtype": spec.dtype.name,
        }
    if found.kind == "arrays":
        held["metadata"] = found.recipe
    else:
        held |= {"format": container.FORMAT, "recipe": found.recipe}
    arrays = found.arrays.items()
    return held | {
        "arrays": {key: {"dtype": dtype, "shape": shape} for key, (dtype, shape) in arrays}
    }


# ---------------------------------------------------------------- nets


def _net(path: str, found: Contents) -> list[str]:
    net: MLP = found.holds
    spec = net.spec
    rest: Fields = [
        ("loss", [str(spec.loss.short())]),
        ("optimizer", [*textwrap.wrap(repr(net.optimizer), WIDTH), _updates(net)]),
    ]
    limits = spec.regularization.given()
    if limits:
        rest.append(("regularization", [", ".join(f"{n}={_short(v)}" for n, v in limits.items())]))
    if net.missing_targets:
        rest.append(("targets", ["may be missing: NaN"]))
    code = stand_ins.of_net(found.recipe)
    rest += _code(
        "fastbp.load",
        {name: _names(given) for name, given in code.items()},
    )
    return [
        *fields([*_file(path, found), ("net", [_title(net)])]),
        *_block(_layers_of(net)),
        *fields([*rest, ("history", _history(net.history))]),
    ]


def _updates(net: MLP) -> str:
    count = int(net.state.scalars[UPDATES])
    return f"{count:,} update{'s' * (count != 1)} so far"


def _names(code: Any) -> list[str]:
    """Names of functions, each once; None stands where the file has an activation."""
    each = code if isinstance(code, list) else [code]
    return list(dict.fromkeys(str(one) for one in each if one is not None))


def _onnx(path: str, found: Contents) -> list[str]:
    net: MLP = found.holds
    said = ("format", ["a model of ONNX, which fastbp.files.from_onnx reads as a net"])
    return [*fields([_size(path, found), said, ("net", [_title(net)])]), *_block(_layers_of(net))]


def _title(net: MLP) -> str:
    return (
        f"MLP {'-'.join(map(str, net.layer_sizes))}, {net.dtype}, {net.n_params:,} parameters in "
        f"{net.params.nbytes:,} bytes"
    )


def _layers_of(net: MLP) -> Rows:
    """The table of the layers of a net, the frozen parameters among them."""
    rows = _layers(net.weights, net.biases, [str(unit) for unit in net.activations])
    masks = weight_views(net.frozen, net.layer_table)
    frozen = [
        sum(int(mask[layer].sum()) for mask in masks if mask) for layer in range(len(net.weights))
    ]
    if not any(frozen):
        return rows
    column = ["frozen", *(f"{count:,}" for count in frozen)]
    return [(*row, cell) for row, cell in zip(rows, column, strict=True)]


def _layers(weights: Sequence[Any], biases: Sequence[Any], units: Sequence[str]) -> Rows:
    rows = [("layer", "inputs", "outputs", "activation", "parameters", "weights", "biases")]
    for i, (weight, unit) in enumerate(zip(weights, units, strict=True)):
        n_in, n_out = weight.shape
        bias = biases[i] if len(biases) else np.empty(0)
        rows.append(
            (
                str(i), str(n_in), str(n_out), _cut(unit, MOST_CELL),
                f"{n_in * n_out + bias.size:,}", _range(weight), _range(bias),
            )
        )  # fmt: skip
    return rows


def _history(history: History) -> list[str]:
    """What was measured at the first, the best and the last epoch."""
    count = len(history)
    if not count:
        return ["no epochs"]
    best = history.best_epoch
    monitor = history.monitor or ("val_loss" if "val_loss" in history else "loss")
    lines = [f"{count:,} epoch{'s' * (count != 1)} in {sum(history.seconds):.3g} s"]
    if best:
        lines[0] += f"; the best by {monitor} is epoch {best}"
    if history.restored_epoch:
        lines[0] += f"; restored: epoch {history.restored_epoch}"
    if history.stop_reason:
        lines.append(f"stopped: {_cut(history.stop_reason, MOST_TEXT)}")
    shown = sorted({1, best or 1, count})
    table = [("", *(f"epoch {epoch}" for epoch in shown))]
    for name in history.names[:-1]:
        values = (f"{history[name][epoch - 1]:.6g}" for epoch in shown)
        table.append((_cut(name, MOST_CELL), *values))
    return [*lines, *tables.as_lines(table)]


# ---------------------------------------------------------------- estimators


def _estimator(path: str, found: Contents) -> list[str]:
    from fastbp.sklearn.loading import KINDS

    one = found.holds
    parameters = found.recipe["parameters"]
    code = {
        name: [str(data.get("name"))]
        for name, data in parameters.items()
        if isinstance(data, dict) and data.get("kind") == OWN
    }
    kind = found.recipe["estimator"]
    base = kind
    name = f"fastbp.sklearn.{kind}"
    if not isinstance(kind, str):
        base = kind["base"]
        name = f"{kind['name']}, derived from {base} of fastbp.sklearn"
        code["estimator"] = [str(kind["name"])]
    defaults = KINDS[base]().get_params(deep=False)
    given = [
        f"{name}={_short(value)}"
        for name, value in one.get_params(deep=False).items()
        if name not in code and not (name in defaults and _same(value, defaults[name]))
    ]
    return [
        *fields([*_file(path, found), ("estimator", [name])]),
        *fields([("parameters", given or ["all as by default"])]),
        *_fitted(one),
        *fields(_code("fastbp.sklearn.load", code)),
    ]


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and _short(value) == _short(default)


def _fitted(one: Any) -> list[str]:
    """The network and the fitted attributes."""
    held = vars(one)
    if "coefs_" in held:
        net = one._network()
        title = _title(net)
        table = _layers_of(net)
    elif "coef_" in held:
        weights = held["coef_"].T
        biases = held["intercept_"]
        title = f"{weights.shape[0]} inputs, {weights.shape[1]} threshold units, {weights.dtype}"
        table = _layers([weights], [biases], ["threshold"])
    else:
        return fields([("network", ["not fitted"])])
    rest: Fields = []
    for name, attribute in (("classes", "classes_"), ("features", "feature_names_in_")):
        if attribute in held:
            given = held[attribute]
            several = isinstance(given, list)
            rest.append((name, [_items(each) for each in given] if several else [_items(given)]))
    if "n_iter_" in held:
        rest.append(("iterations", [_number(held["n_iter_"])]))
    curves = _curves(held)
    if curves:
        rest.append(("history", curves))
    return [*fields([("network", [title])]), *_block(table), *fields(rest)]


def _curves(held: dict[str, Any]) -> list[str]:
    """First, last and best values of what was measured in each epoch."""
    table: list[tuple[str, ...]] = [("", "first", "last", "best")]
    for name, best in (
        ("loss_curve_", min),
        ("validation_loss_curve_", min),
        ("validation_scores_", max),
    ):
        curve = held.get(name)
        if isinstance(curve, list) and curve and all(isinstance(x, float) for x in curve):
            table.append((name, *(_number(x) for x in (curve[0], curve[-1], best(curve)))))
    return tables.as_lines(table) if len(table) > 1 else []


# ---------------------------------------------------------------- other arrays


def _arrays(path: str, found: Contents) -> list[str]:
    said = ("format", ["safetensors, with nothing of fastbp in it"])
    metadata = [_cut(f"{name}: {text}", MOST_TEXT) for name, text in found.recipe.items()]
    table = [("array", "dtype", "shape")]
    for name, (dtype, shape) in found.arrays.items():
        table.append((_cut(name, MOST_TEXT), dtype, " x ".join(map(str, shape)) or "one number"))
    return [
        *fields([_size(path, found), said, *[("metadata", metadata)] * bool(metadata)]),
        *_block(table),
    ]


# ---------------------------------------------------------------- what all of them print


def _file(path: str, found: Contents) -> Fields:
    sealed = f"safetensors, format {container.FORMAT} of fastbp; its SHA-256 is right"
    return [_size(path, found), ("format", [sealed])]


def _size(path: str, found: Contents) -> tuple[str, list[str]]:
    return "file", [f"{path}, {found.n_bytes:,} bytes"]


def _code(function: str, code: dict[str, list[str]]) -> Fields:
    """What the file has the name of alone, and who takes it."""
    if not code:
        return []
    named = ", ".join(f"{name} {' and '.join(values)}" for name, values in code.items())
    options = ", ".join(f"{name}=..." for name in code)
    return [
        (
            "code in Python",
            [named, f"No file holds it: it is passed to {function}(path, {options})"],
        )
    ]


def _block(table: Rows) -> list[str]:
    """A table with space around it."""
    return ["", *tables.as_lines(table), ""]


def _range(array: Any) -> str:
    """The least and the greatest number; a matrix may be sparse."""
    if 0 in array.shape:
        return "none"
    if array.dtype.kind != "f":  # what predictions go by is not in a file as it should be
        return str(array.dtype)
    least = array.min()
    greatest = array.max()
    return f"{least:.3g}" if least == greatest else f"{least:.3g} to {greatest:.3g}"


def _items(array: Any) -> str:
    """How many there are, and the first of them."""
    if not isinstance(array, np.ndarray) or array.ndim != 1:
        return _short(array)
    more = ", ..." if len(array) > MOST_ITEMS else ""
    return f"{len(array)}: {', '.join(_short(item) for item in array[:MOST_ITEMS])}{more}"


def _short(value: Any) -> str:
    """A value as one line."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return _cut(str(value) if isinstance(value, np.random.RandomState) else repr(value), MOST_TEXT)


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | int) else _short(value)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


_SHOWN = {"net": _net, "estimator": _estimator, "onnx": _onnx, "arrays": _arrays}
