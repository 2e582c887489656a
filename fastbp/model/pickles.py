"""Pickles of nets: sizes, names and numbers, but no tables, which are made again.

What is read is checked, so that a pickle that was edited or damaged cannot make a kernel look
beyond a buffer. (A pickle can still run any code: load only what you trust.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastbp import checks
from fastbp.kernels.optimizers import N_SCALARS, UPDATES
from fastbp.model.activations import hidden_activations, output_activation
from fastbp.model.losses import Loss
from fastbp.model.optimizers import Optimizer
from fastbp.model.regularization import Regularization
from fastbp.older import PickleError

FORMAT = 1
"""To be raised with whatever changes the meaning of a pickle: the fields of `Spec` and `State`, the
order of parameters, slots and scalars, and the fields of losses, optimisers and regularisation."""

MOST_UPDATES = 2**52
"""Their number is kept as a float, which is exact up to here."""


def own_array(value: Any) -> Any:
    """A copy of an array that is mapped from a file or not writable, as joblib makes them."""
    if isinstance(value, np.ndarray) and (type(value) is not np.ndarray or not value.flags.carray):
        return np.array(value)
    return value


def checked_spec(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a pickled `Spec`, each as `MLP` takes it.

    Parameters
    ----------
    given : mapping of str

    Raises
    ------
    PickleError
        If one is missing, or is not what `MLP` takes.
    """
    kinds = {"loss": Loss, "regularization": Regularization, "bias": bool}
    names = {"layer_sizes", "activations", "dtype", *kinds}
    if set(given) != names:
        raise PickleError(f"a saved net must have the parts {sorted(names)}; got {sorted(given)}")
    for name, kind in kinds.items():
        if not isinstance(given[name], kind):
            raise PickleError(
                f"{name} of a saved net must be a {kind.__name__}; got {given[name]!r}"
            )
    loss = given["loss"]
    units = tuple(given["activations"])
    try:
        sizes = checks.layer_sizes(given["layer_sizes"])
        if len(units) != len(sizes) - 1:
            raise ValueError(f"{len(units)} activations for layers of the sizes {sizes}")
        loss.check_outputs(sizes[-1])
        hidden = hidden_activations(units[:-1], len(sizes) - 2)
        traits = loss.name, loss.activation, loss.from_logits
        output = output_activation(units[-1], sizes[-1], *traits)
        dtype = checks.float_dtype(given["dtype"])
    except (TypeError, ValueError) as error:
        raise PickleError(f"this is no net: {error}") from error
    return {**given, "layer_sizes": sizes, "activations": (*hidden, output), "dtype": dtype}


def checked_state(
    given: Mapping[str, Any], sizes: tuple[int, ...], bias: bool, dtype: np.dtype[Any],
    optimizer: Optimizer,
) -> dict[str, Any]:  # fmt: skip
    """The arrays of a pickled `State`, of the sizes and dtypes that the kernels rely on.

    Parameters
    ----------
    given : mapping of str
    sizes, bias, dtype
        The net's.
    optimizer : Optimizer

    Raises
    ------
    PickleError
        If one is missing, or of another size or dtype.
    """
    n_params = sum((a + bias) * b for a, b in zip(sizes, sizes[1:], strict=False))
    expected = {
        "params": (n_params, dtype),
        "slots": (optimizer.n_slots * n_params, dtype),
        "scalars": (N_SCALARS, np.dtype(np.float64)),
        "random": (1, np.dtype(np.uint64)),
        "frozen": (n_params, np.dtype(np.bool_)),
    }
    if set(given) != set(expected):
        raise PickleError(
            f"a saved net must have the arrays {sorted(expected)}; got {sorted(given)}"
        )
    for name, (size, kind) in expected.items():
        check_array(f"{name} of a saved net", given[name], size, kind)
    check_scalars(given["scalars"])
    return {name: own_array(given[name]) for name in expected}


def check_array(name: str, array: Any, size: int, dtype: np.dtype[Any]) -> None:
    """Raise a PickleError for an array of another size or dtype.

    Parameters
    ----------
    name : str
        For the message.
    array : object
    size : int
    dtype : dtype
    """
    found = (getattr(array, "shape", None), getattr(array, "dtype", None))
    if not isinstance(array, np.ndarray) or found != ((size,), dtype):
        what = f"shape {found[0]}, {found[1]}" if found[0] is not None else repr(type(array))
        raise PickleError(
            f"{name} must be an array of shape ({size},) and dtype {dtype}; got {what}"
        )


def check_scalars(scalars: Any) -> None:
    """Raise a PickleError unless the optimiser's scalars are the kernels' own kind of numbers.

    Parameters
    ----------
    scalars : object
        The number of updates among them says where a schedule's rates are read.
    """
    check_array("scalars of a saved optimizer", scalars, N_SCALARS, np.dtype(np.float64))
    updates = float(scalars[UPDATES])
    if not (updates.is_integer() and 0 <= updates <= MOST_UPDATES):
        raise PickleError(f"a saved optimizer must have made 0 updates or more; got {updates}")
