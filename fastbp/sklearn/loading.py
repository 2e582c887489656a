"""`load`: estimators from the files that `fastbp.sklearn.saving` writes, whoever wrote them."""

from __future__ import annotations

import os
from typing import Any

from fastbp import checks
from fastbp.saving import container
from fastbp.saving.recipe import check_fields, has_own
from fastbp.sklearn import conversion
from fastbp.sklearn.conversion import METHODS
from fastbp.sklearn.estimators import MLPClassifier, MLPRegressor
from fastbp.sklearn.perceptron import Perceptron
from fastbp.sklearn.pickles import COPIED, FORMAT
from fastbp.sklearn.saving import (
    RECIPE,
    REQUESTS,
    check_name,
    check_state,
    check_tensors,
    code_in,
    is_own,
    turned,
)
from fastbp.sklearn.values import Reader

KINDS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (MLPClassifier, MLPRegressor, Perceptron)
}


def load(
    path: str | os.PathLike[str], *, estimator: type[Any] | None = None, **parameters: Any
) -> Any:
    """Read an estimator that its `save` has written; training goes on to the bit.

    A file can do no harm, whoever made it: no code is in it, and all of it is checked.

    Parameters
    ----------
    path : str or path
        The file.
    estimator : type, optional
        The class, where it is one of your own, derived from an estimator of fastbp.
    **parameters : object
        Those that are code in Python, which no file holds, such as ``scoring=my_scorer`` or
        ``callbacks=[EarlyStopping()]``; None for none. Where the learning rate of `optimizer` is a
        function, the whole optimiser is passed.

    Returns
    -------
    MLPClassifier, MLPRegressor or Perceptron

    Raises
    ------
    ValueError
        When the file is damaged, changed, or none that `save` writes, and when code is missing, or
        given for what the file holds.
    OSError
        When it cannot be read.
    ImportError
        Without safetensors: ``pip install safetensors``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import fastbp.sklearn
    >>> X, y = load_iris(return_X_y=True)
    >>> net = fastbp.sklearn.MLPClassifier(random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    >>> net.save("net.safetensors")
    >>> tomorrow = fastbp.sklearn.load("net.safetensors")
    >>> bool((tomorrow.partial_fit(X, y).coefs_[0] == net.partial_fit(X, y).coefs_[0]).all())
    True
    """
    if not (estimator is None or isinstance(estimator, type)):
        raise TypeError(f"estimator must be a class; got {checks.described(estimator)}")
    return container.read(path, lambda content: held_in(content, estimator, parameters))


def held_in(content: bytes, kind: type[Any] | None, own: dict[str, Any]) -> Any:
    """The estimator in the bytes of a file; RecursionError and MemoryError are possible.

    Parameters
    ----------
    content : bytes
    kind : type or None
        The user's class.
    own : dict of str
        Parameters that are code.
    """
    _, recipe = container.unpacked(content)
    if "layer_sizes" in recipe:
        raise ValueError("it holds a net: fastbp.load reads it")
    check_fields("the recipe of an estimator", recipe, RECIPE)
    base, kind = _classes(recipe["estimator"], kind)
    parameters, attributes = recipe["parameters"], recipe["attributes"]
    if not isinstance(parameters, dict) or not isinstance(attributes, dict):
        raise ValueError("its parameters and attributes must be objects of JSON")
    known = set(kind._get_param_names())
    _check_own(parameters, own, known, kind.__name__)
    tensors = container.arrays(content)
    check_tensors(tensors)
    reader, views = Reader(tensors), Reader(tensors, copies=False)
    state = base().get_params(deep=False)  # a file from before may lack new parameters
    for name, data in parameters.items():
        state[name] = own[name] if name in own else reader.value(data, name)
    rate = _rate(attributes.get("_optimizer"), own)
    for name, data in attributes.items():
        if name in known:
            raise ValueError(f"{name} must stand among the parameters")
        check_name(base, name)
        reads = views if name in COPIED else reader
        state[name] = reads.value(data, name, rate if name == "_optimizer" else None)
    state = turned(state)
    check_state(state)
    made = _made(kind, state)
    unused = set(tensors) - reader.used - views.used
    if unused:
        raise ValueError(f"{min(unused)!r} belongs to nothing in its recipe")
    return made


def _classes(given: Any, kind: type[Any] | None) -> tuple[type[Any], type[Any]]:
    """The estimator of fastbp and the class that the recipe says, which may be the user's own."""
    if not is_own(given):
        if not isinstance(given, str) or given not in KINDS:
            raise ValueError(f"its estimator must be one of {sorted(KINDS)}; got {given!r:.100}")
        if kind is not None:
            raise ValueError(f"it holds an estimator of the class {given}; leave estimator out")
        return KINDS[given], KINDS[given]
    check_fields("its estimator", given, ("kind", "name", "base"))
    base = KINDS.get(given["base"]) if isinstance(given["base"], str) else None
    if base is None:
        raise ValueError(f"its estimator must derive from one of {sorted(KINDS)}")
    if kind is None:
        raise ValueError(
            f"its class is code in Python, {given['name']!r:.100}, which no file holds. Pass it: "
            f"load(path, estimator=...), a class derived from {base.__name__}"
        )
    if base not in kind.__mro__:
        raise ValueError(f"estimator must be derived from {base.__name__}; got {kind.__name__}")
    return base, kind


def _check_own(parameters: dict[str, Any], own: dict[str, Any], known: set[str], kind: str) -> None:
    """Code is passed where it is missing, and nowhere else."""
    for name, data in parameters.items():
        if name not in known:
            raise ValueError(f"{kind} has no parameter {name!r:.100}")
        if is_own(data) and name not in own:
            raise ValueError(
                f"its {name} is code in Python, {data.get('name')!r:.100}, which no file holds. "
                f"Pass it: load(path, {name}=...), or None for none"
            )
    for name in own:
        if name not in known:
            raise ValueError(f"{kind} has no parameter {name!r}")
        if not is_own(parameters.get(name)):
            raise ValueError(f"it holds its {name}; leave {name} out of load, and use set_params")


def _rate(memory: Any, own: dict[str, Any]) -> Any:
    """The function that the learning rate of an optimiser in training is made of."""
    if not has_own(memory):
        return None
    found = code_in(own.get("optimizer"))
    if found is None:
        raise ValueError(
            "its optimizer goes on with a learning rate that is code in Python: the optimizer that "
            "is passed must have that function"
        )
    return found


def _made(kind: type[Any], state: dict[str, Any]) -> Any:
    """An estimator of its state, checked as far as predictions and training rely on it."""
    if "coefs_" in state and state.get("_format") != FORMAT:
        raise ValueError(
            f"its attributes have the format {state.get('_format')!r:.100}, so another version of "
            f"fastbp made it; this one reads format {FORMAT}"
        )
    requests = state.pop(REQUESTS, {})
    made: Any = object.__new__(kind)
    coefs, intercepts = state.get("coefs_", []), state.get("intercepts_", [])
    if not (isinstance(coefs, list) and isinstance(intercepts, list)):
        raise ValueError("coefs_ and intercepts_ must be lists")
    arrays = [*coefs, *intercepts]
    if len({*map(id, arrays)}) < len(arrays):  # copies would take any amount of memory
        raise ValueError("each of coefs_ and intercepts_ must be an array of its own")
    made.__setstate__(state)
    if coefs:
        made._network()
    asked = requests.values() if isinstance(requests, dict) else [requests]
    if not (all(isinstance(each, dict) for each in asked) and set(requests) <= {*METHODS}):
        raise ValueError(f"{REQUESTS} must be asked for by {METHODS}; got {requests!r:.100}")
    conversion.take_requests(made, requests)
    return made
