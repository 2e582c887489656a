"""Options: whole numbers, numbers, flags, names, sizes of layers, dtypes, seeds.

A message says what was given, what is accepted and how to mend it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastbp.checks.suggestions import described, instead

MOST_PARAMETERS = 2**40
"""More fit no memory, and up to here offsets are far from overflow."""
MOST_THREADS = 1024
"""More threads than any machine has cores for."""
LONGEST_INTEGER = 14_000
"""Bits of the integers that a message repeats digit by digit."""


def count(name: str, value: Any, least: int = 1, most: float = math.inf) -> int:
    """A whole number from `least` to `most`."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number of at least {least}; got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")
    if value > most:
        raise ValueError(f"{name} must be at most {most}; got {value}")
    return int(value)


def threads(value: Any) -> int | str:
    """A number of threads, or "auto"."""
    accepted = 'threads must be a whole number of at least 1, or "auto"'
    if isinstance(value, str):
        if value != "auto":
            raise ValueError(f"{accepted}; got {value!r}")
        return value
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{accepted}; got {value!r}")
    if value == -1:
        raise ValueError(f'{accepted}; got -1. "auto" takes as many as help')
    if value < 1:
        raise ValueError(f"{accepted}; got {value}")
    if value > MOST_THREADS:
        raise ValueError(f"threads must be at most {MOST_THREADS}; got {value}")
    return int(value)


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    return number(name, value, "a finite number above 0", lambda x: x > 0)


def number(name: str, value: Any, accepted: str, is_accepted: Callable[[float], bool]) -> float:
    """A finite number that passes `is_accepted`; `accepted` says which numbers do."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a number, {accepted}; got {value!r}")
    try:
        result = float(value)
    except OverflowError:  # an integer beyond all floats
        result = math.inf
    if not (math.isfinite(result) and is_accepted(result)):
        raise ValueError(f"{name} must be {accepted}; got {_shown(value)}")
    return result


def _shown(value: Any) -> str:
    """A number as text; Python refuses to write out integers of thousands of digits."""
    if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
        return f"an integer of {value.bit_length()} bits"
    return repr(value)


def at_least_zero(name: str, value: Any) -> float:
    """A finite number of at least 0."""
    return number(name, value, "a finite number of at least 0", lambda x: x >= 0)


def fraction(name: str, value: Any) -> float:
    """A number of at least 0 and below 1, such as a momentum or a dropout rate."""
    return number(name, value, "at least 0 and below 1", lambda x: 0 <= x < 1)


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def choice(name: str, value: Any, accepted: Iterable[str], base: type | None = None) -> str:
    """One of a few names; `base` is the class whose objects the caller accepts, too."""
    accepted = tuple(accepted)
    if isinstance(value, str) and value in accepted:
        return value
    given = repr(value) if isinstance(value, str) else described(value)
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(
        f"{name} must be one of {', '.join(map(repr, accepted))}; got {given}"
        f"{instead(name, value, accepted, base)}"
    )


def layer_sizes(value: Any) -> tuple[int, ...]:
    """Inputs, hidden layers, outputs: two or more whole numbers of at least 1."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(
            f"layer_sizes must be a sequence such as (64, 32, 10): inputs, hidden layers, "
            f"outputs; got {value!r}"
        )
    sizes = tuple(count(f"layer_sizes[{i}]", size) for i, size in enumerate(value))
    if len(sizes) < 2:
        raise ValueError(
            f"layer_sizes needs at least inputs and outputs, such as (64, 10); got {sizes}"
        )
    n_params = sum((a + 1) * b for a, b in zip(sizes, sizes[1:], strict=False))
    if n_params > MOST_PARAMETERS:
        raise ValueError(
            f"layer_sizes {sizes} ask for {n_params} parameters; at most {MOST_PARAMETERS} can "
            "be addressed. Use smaller layers"
        )
    return sizes


def layer_indices(value: Iterable[int] | None, n_layers: int) -> list[int]:
    """Indices of layers, counted from 0; None means all of them."""
    if value is None:
        return list(range(n_layers))
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        value = [int(value)]
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(
            f"layers must be a sequence of layer numbers such as [0], from 0 to {n_layers - 1}; "
            f"got {value!r}"
        )
    chosen = [count("layers", index, 0) for index in value]
    for index in chosen:
        if index >= n_layers:
            raise ValueError(f"layers must be 0 to {n_layers - 1}; got {index}")
    return chosen


def float_dtype(value: Any) -> np.dtype[Any]:
    """float32 or float64."""
    accepted = "dtype must be 'float32' or 'float64'"
    try:
        dtype: np.dtype[Any] = np.dtype(value)
    except (TypeError, ValueError, SyntaxError):  # NumPy parses strings such as ","
        hint = instead("dtype", value, ("float32", "float64"))
        raise TypeError(f"{accepted}; got {value!r}{hint}") from None
    if value is None or dtype not in (np.dtype("float32"), np.dtype("float64")):
        hint = instead("dtype", "" if value is None else dtype.name, ("float32", "float64"))
        raise ValueError(f"{accepted}; got {value!r}{hint}")
    return dtype


def generator(seed: Any) -> np.random.Generator:
    """A random generator from a seed: None or a whole number of at least 0."""
    return np.random.default_rng(None if seed is None else count("seed", seed, 0))
