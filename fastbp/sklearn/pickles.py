"""What pickles and copies of estimators hold: arrays, numbers, text, and what the user passed.

The network, its loss and its optimiser are made again, so that a pickle names no class of fastbp
beside the estimator's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp.older import check_format
from fastbp.sklearn.optimizers import OptimizerMemory
from fastbp.sklearn.targets import SeveralOutputs

FORMAT = 2
"""To be raised with whatever changes the meaning of the state of an estimator; that of its
optimiser has the number of `fastbp.model.pickles`. In format 1 the state held a network."""
MADE_AGAIN = ("_net", "_stream")
"""Attributes that are no part of it."""
COPIED = ("coefs_", "intercepts_", "_optimizer")
"""Those of which `read` copies the arrays."""


def written(attributes: dict[str, Any]) -> dict[str, Any]:
    """The state that is pickled, of an estimator's attributes.

    Parameters
    ----------
    attributes : dict of str
        Left as it is.
    """
    state = {name: value for name, value in attributes.items() if name not in MADE_AGAIN}
    if "coefs_" not in state:
        return state
    state["_format"] = FORMAT
    for name in ("coefs_", "intercepts_"):
        if name in state:
            state[name] = list(state[name])
    if isinstance(state.get("_optimizer"), OptimizerMemory):
        state["_optimizer"] = state["_optimizer"].as_dict()
    binarizer = state.get("_label_binarizer")
    if "_known_classes" in state:  # what matters is whether they are the same object
        state["_known_classes"] = state["_known_classes"] is getattr(binarizer, "classes_", None)
    if isinstance(binarizer, SeveralOutputs):
        state["_label_binarizer"] = {"classes": binarizer.classes_}
    return state


def read(kind: type, state: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an estimator, of a pickled state; the arrays of COPIED are copied.

    Parameters
    ----------
    kind : type
        The estimator's class, for the message.
    state : dict of str
        Left as it is.

    Raises
    ------
    PickleError
        For another format.
    """
    if "coefs_" not in state and "_net" not in state:  # not fitted
        return state
    check_format(f"an {kind.__name__}", state.get("_format"), FORMAT)
    attributes = {name: value for name, value in state.items() if name != "_format"}
    for name in ("coefs_", "intercepts_"):  # joblib maps arrays from files, read-only
        if name in attributes:
            attributes[name] = [np.array(array) for array in attributes[name]]
    if isinstance(attributes.get("_optimizer"), dict):
        attributes["_optimizer"] = OptimizerMemory.from_dict(attributes["_optimizer"])
    binarizer = attributes.get("_label_binarizer")
    if isinstance(binarizer, dict):
        several = SeveralOutputs()
        several.classes_ = list(binarizer["classes"])
        attributes["_label_binarizer"] = several
    if attributes.pop("_known_classes", False):
        attributes["_known_classes"] = attributes["_label_binarizer"].classes_
    return attributes
