"""Estimators as files: what pickles hold, without a pickle; `fastbp.sklearn.loading` reads it.

The file is that of `fastbp.saving.container`. Its recipe has the class, the parameters and the
attributes as `values` writes them. Weights are ``layers.0.weight``, (n_in, n_out), and biases
``layers.0.bias``, as in a net's file.
"""

from __future__ import annotations

import os
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from fastbp import checks, whole_files
from fastbp.checks import is_sparse
from fastbp.model.optimizers import Optimizer
from fastbp.saving import container
from fastbp.saving.recipe import CLASSES, OWN, has_own
from fastbp.saving.stand_ins import stand_in
from fastbp.sklearn import conversion, pickles
from fastbp.sklearn.values import NotHeld, Writer

RECIPE = ("estimator", "parameters", "attributes")
REQUESTS = "_metadata_request"
CALLBACKS = "_skl_callbacks"
"""What scikit-learn keeps of ``set_fit_request`` and of ``set_callbacks``."""

NAMES = ("MLPClassifier", "MLPRegressor", "Perceptron")
"""The estimators, by the names that files have for them."""


class Saves:
    """Mixin of the estimators: `save`."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the estimator into a file in the safetensors format, for `load` to read.

        The file has all that a pickle has: parameters, fitted attributes, classes, names of
        features, curves, the optimiser's state, and the position of a `RandomState`. Training
        goes on to the bit. A file that is there is replaced as a whole: whatever happens
        meanwhile, it is the old one or the new one.

        Parameters
        ----------
        path : str or path
            Ending in .safetensors by custom. A link is followed.

        Raises
        ------
        ValueError
            For parameters of the network that are not finite, and for parameters and attributes
            that no file holds, by their names.
        OSError
            Whatever the system says, such as a full disk; the old file is as it was.
        ImportError
            Without safetensors: ``pip install safetensors``.

        Notes
        -----
        Weights stand in the file as ``layers.0.weight``, (n_in, n_out), and ``layers.0.bias``, for
        anyone to read; those of a `Perceptron` after `sparsify` as the arrays of a CSR matrix.
        An estimator need not be fitted. Attributes of your own are kept if they are numbers, text,
        arrays of them, lists, tuples or dicts. Code is not in the file: the class of an estimator
        that is derived from fastbp's, functions such as a loss, an activation or a scorer, and
        callbacks are passed to `load` again. scikit-learn's own callbacks are refused.

        Examples
        --------
        >>> import os, tempfile
        >>> import fastbp.sklearn
        >>> unit = fastbp.sklearn.Perceptron().fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     unit.save(os.path.join(folder, "unit.safetensors"))
        ...     twin = fastbp.sklearn.load(os.path.join(folder, "unit.safetensors"))
        >>> twin.predict([[1, 1]])
        array([1])
        """
        content = content_of(self)
        whole_files.write(path, lambda file: file.write(content))


def content_of(estimator: Any) -> bytes:
    """The bytes of an estimator's file.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or Perceptron
    """
    kind = type(estimator)
    base = _base_of(kind)
    state = _state_of(estimator)
    names = [name for name in estimator.get_params(deep=False) if name in state]
    writer = Writer()
    parameters = {name: _parameter(writer, name, state[name]) for name in names}
    # What is public first: a name for its array that others understand.
    others = sorted(state.keys() - set(names), key=lambda name: (name.startswith("_"), name))
    attributes = {name: _attribute(writer, base, name, state[name]) for name in others}
    if has_own(attributes.get("_optimizer")) and not is_own(parameters.get("optimizer")):
        raise ValueError(
            "_optimizer goes on with a learning rate that is code in Python, and optimizer= is "
            "another by now. Set it back before saving, or delete _optimizer to start afresh"
        )
    check_tensors(writer.tensors)
    own_class = {"kind": OWN, "name": kind.__name__, "base": base.__name__}
    recipe = {
        "estimator": kind.__name__ if kind is base else own_class,
        "parameters": parameters,
        "attributes": attributes,
    }
    return container.packed(writer.tensors, recipe)


def _base_of(kind: type[Any]) -> type[Any]:
    """The estimator of fastbp that a class is or is derived from."""
    package = __name__.partition(".")[0]
    base = next(base for base in kind.__mro__ if base.__module__.partition(".")[0] == package)
    if base.__name__ not in NAMES:
        raise ValueError(f"a class must be derived from one of {NAMES}; got {base.__name__}")
    return base


def _state_of(estimator: Any) -> dict[str, Any]:
    """What a pickle holds of an estimator, with what belongs to scikit-learn as plain values."""
    if hasattr(estimator, "coefs_"):
        estimator._network()  # its attributes fit each other, and its parameters are floats
    state = dict(estimator.__getstate__())
    if CALLBACKS in state:
        raise ValueError(
            "callbacks of set_callbacks are code, which no file holds: call set_callbacks() before "
            "save, and set_callbacks with them again after load"
        )
    given = state.get("_optimizer")
    if given is not None and not isinstance(given, dict):  # scikit-learn's own
        state["_optimizer"] = conversion.memory_of(estimator, given).as_dict()
    if REQUESTS in state:
        state[REQUESTS] = conversion.requests_of(estimator)
    check_state(state)
    return turned(state)


def turned(state: dict[str, Any]) -> dict[str, Any]:
    """A state with the weights of a perceptron as (n_in, n_out), or back."""
    if isinstance(state.get("coef_"), np.ndarray):
        state["coef_"] = np.array(state["coef_"].T, order="C")
    return state


def _parameter(writer: Writer, name: str, value: Any) -> Any:
    """A parameter as plain values; it is the user's own where any part of it is."""
    try:
        if not has_own(Writer().plain(value, name)):
            return writer.plain(value, name)
    except NotHeld as error:
        raise ValueError(
            f"{name} {error}. Set another by set_params before saving, or pickle the estimator"
        ) from None
    given = code_in(value) if isinstance(value, Optimizer) else value
    parts = given if isinstance(given, list | tuple) else [given]
    found = [stand_in(Writer().plain(part, name)) for part in parts]
    return {"kind": OWN, "name": ", ".join(code.__name__ for code in found if code is not None)}


def _attribute(writer: Writer, base: type[Any], name: str, value: Any) -> Any:
    """An attribute as plain values."""
    check_name(base, name)
    if name in ("coefs_", "intercepts_"):
        part = "weight" if name == "coefs_" else "bias"
        return [writer.plain(array, f"layers.{i}.{part}") for i, array in enumerate(value)]
    called = {"_optimizer": "optimizer", "intercept_": "layers.0.bias"}
    if isinstance(value, np.ndarray):  # a sparse matrix is three
        called["coef_"] = "layers.0.weight"
    try:
        data = writer.plain(value, called.get(name, name))
        if has_own(data) and name != "_optimizer":
            raise NotHeld("is code in Python, which no file holds")
    except NotHeld as error:
        raise ValueError(
            f"{name} {error}. Delete the attribute before saving, or pickle the estimator"
        ) from None
    return data


# ---------------------------------------------------------------- what `loading` goes by, too


def is_own(data: Any) -> bool:
    """Whether plain values stand for code in Python."""
    return isinstance(data, dict) and data.get("kind") == OWN


def code_in(value: Any) -> Any:
    """The function that an optimiser's learning rate is made of, if there is one."""
    if not (is_dataclass(value) and type(value) in CLASSES.values()):
        return value if callable(value) else None
    found = (code_in(getattr(value, field.name)) for field in fields(value))
    return next((code for code in found if code is not None), None)


def check_state(state: dict[str, Any]) -> None:
    """Raise a ValueError for fitted attributes of kinds that predictions cannot go by."""
    for name in ("n_features_in_", "n_layers_", "n_outputs_"):
        if name in state:
            checks.count(name, state[name], 0)
    classes = state.get("classes_")
    encoder = state.get("_label_binarizer")
    if "classes_" in state and not _are_classes(classes):
        raise ValueError(f"classes_ must be an array, or a list of arrays; got {classes!r:.100}")
    if isinstance(encoder, dict):
        known = encoder.get("classes") if set(encoder) == {"classes"} else None
        if not (isinstance(known, list) and _are_classes(known)):
            raise ValueError(f"_label_binarizer must have lists of classes; got {encoder!r:.100}")
    elif encoder is not None and not isinstance(encoder, LabelBinarizer):
        raise ValueError(f"_label_binarizer must be a LabelBinarizer; got {encoder!r:.100}")
    if state.get("_known_classes") and encoder is None:
        raise ValueError("_known_classes must be those of _label_binarizer, and there is none")
    if "coef_" in state:
        coef = state["coef_"]
        intercept = state.get("intercept_")
        right = isinstance(coef, np.ndarray) or is_sparse(coef)
        if not right or coef.ndim != 2 or not isinstance(intercept, np.ndarray):
            raise ValueError(f"coef_ and intercept_ must be arrays; got {coef!r:.100}")
        if intercept.shape != coef.shape[:1]:
            raise ValueError(
                f"intercept_ must have the shape {coef.shape[:1]}, as coef_ has {coef.shape}; got "
                f"{intercept.shape}"
            )


def _are_classes(given: Any) -> bool:
    if isinstance(given, list):
        return all(isinstance(each, np.ndarray) and each.ndim == 1 for each in given)
    return isinstance(given, np.ndarray) and given.ndim == 1


def check_name(base: type[Any], name: str) -> None:
    """Attributes hide nothing that the class defines."""
    if name in pickles.MADE_AGAIN or hasattr(base, name) or not name.isidentifier():
        raise ValueError(
            f"{name!r:.100} is no attribute that a file holds: it would hide what "
            f"{base.__name__} defines"
        )


def check_tensors(tensors: container.Tensors) -> None:
    """Numbers that can be trained with."""
    for name, array in tensors.items():
        if name.startswith("layers.") or name == "coef_.data":
            if array.dtype not in (np.float32, np.float64):
                raise ValueError(f"{name} must be float32 or float64; got {array.dtype}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite; got {array[~np.isfinite(array)][0]}")
