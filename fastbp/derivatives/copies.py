"""Copies of what training changes of a net: to send, to average, to go back to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.kernels.optimizers import LEARNING_RATE, UPDATES
from fastbp.model.net import Net, State
from fastbp.model.pickles import check_scalars


def get_state(net: Net) -> dict[str, npt.NDArray[Any]]:
    """`MLP.get_state`."""
    return net.state.copy()._asdict()


def set_state(net: Net, state: Mapping[str, Any]) -> None:
    """`MLP.set_state`."""
    names = State._fields
    if not isinstance(state, Mapping):
        raise TypeError(
            f"state must be a dict of arrays, as get_state returns it; got "
            f"{checks.described(state)}"
        )
    if set(state) != set(names):
        raise ValueError(
            f"state must have the arrays {', '.join(names)}, as get_state returns them; got "
            f"{', '.join(map(str, state)) or 'none'}"
        )
    arrays = {name: _array(name, state[name], mine) for name, mine in net.state._asdict().items()}
    given = arrays["scalars"]
    given[UPDATES] = np.rint(given[UPDATES])  # nets of a mean may have made different numbers
    check_scalars(given)
    for name, mine in net.state._asdict().items():
        mine[...] = arrays[name]  # in place: compiled code knows where they are
    scalars = net.state.scalars
    rate = scalars[LEARNING_RATE]
    net.optimizer.write(scalars)  # the hyper-parameters stay those of the net
    if callable(net.optimizer.learning_rate):
        scalars[LEARNING_RATE] = rate


def _array(name: str, value: Any, mine: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array of the state, in the shape and dtype of the net's own."""
    array = checks.numbers(name, value)
    if array.shape != mine.shape:
        of_slots = (
            "; the state is that of a net with another kind of optimizer" if name == "slots" else ""
        )
        raise ValueError(f"{name} must have shape {mine.shape}; got {array.shape}{of_slots}")
    if mine.dtype.kind in "ub" and array.dtype != mine.dtype:
        raise TypeError(
            f"{name} must have dtype {mine.dtype}; got {array.dtype}. Average the floats of a "
            "state, and take the rest from one net"
        )
    with np.errstate(over="ignore"):
        converted = array.astype(mine.dtype)
    if not np.isfinite(converted).all():
        raise ValueError(f"{name} must be finite in {mine.dtype}; got NaN, infinity or more")
    return converted
