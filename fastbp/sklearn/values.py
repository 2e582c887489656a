"""What estimators hold, as plain values for JSON and arrays beside it, and back.

===========================  ==================================================================
in JSON                      what it is
===========================  ==================================================================
null, true, 1, 1.5, "a", []  itself
{"kind": "tuple"}            its "items"; so is a dict, whose items are pairs
{"kind": "number"}           a number of NumPy, or one that JSON lacks, of "type"
{"kind": "array"}            the array "name" of the file; text, objects that are text, and long
                             lists of numbers stand there, too
{"kind": "csr_array"}        a sparse matrix: "shape", and three arrays
{"kind": "RandomState"}      a random stream and its position
{"kind": "LabelBinarizer"}   scikit-learn's encoder of classes
{"kind": "graph"}            an expression of `fastbp.graph`: its "nodes"
{"kind": "fastbp"}           an optimiser, schedule or loss, as in `fastbp.saving.recipe`
{"kind": "your own"}         what is code in Python, by its name
===========================  ==================================================================
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from sklearn.preprocessing import LabelBinarizer

from fastbp import checks
from fastbp.checks import is_sparse
from fastbp.fit.callbacks import Callback
from fastbp.graph import Expression
from fastbp.saving import container, recipe
from fastbp.saving.container import Tensors

LONG = 16
"""Lists of more numbers are arrays in the file: a header is limited, an array is not."""
MOST_DEPTH = 30
"""Of containers in containers."""
LEAST_WIDTH = 16
"""Characters of a text that becomes a string of Python, which takes 50 bytes and more."""
MOST_CHARACTER = 0x10FFFF
NUMBERS: dict[str, type[Any]] = {"float": float, "int": int} | {
    name: np.dtype(name).type for name in sorted(container.DTYPES)
}
"""Types of numbers by the names that a file has for them."""
_NAMES = {kind: name for name, kind in NUMBERS.items()}
SPARSE = {name: getattr(scipy.sparse, name) for name in ("csr_array", "csr_matrix")}
BINARIZER = ("neg_label", "pos_label", "sparse_output", "y_type_", "sparse_input_", "classes_")
KEY_WORDS = 624
"""Numbers that the Mersenne Twister keeps; its position is one of them, or the end."""


class NotHeld(ValueError):
    """What no file holds, in words: "is ..."."""


class Writer:
    """Makes plain values, and keeps the arrays that they name.

    Attributes
    ----------
    tensors : dict of str to array
    """

    def __init__(self) -> None:
        self.tensors: Tensors = {}
        self._names: dict[int, str] = {}
        self._seen: list[Any] = []

    def plain(self, value: Any, name: str, depth: int = 0) -> Any:
        """A value as null, bool, number, string, list or object of JSON.

        Parameters
        ----------
        value : object
        name : str
            What its array is called, if it is one, or the beginning of their names.
        depth : int

        Raises
        ------
        NotHeld
            For what no file holds.
        """
        if depth > MOST_DEPTH:
            raise NotHeld(f"is nested more than {MOST_DEPTH} deep")
        kind = type(value)
        if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
            return value
        if kind in _NAMES:
            return _number(value)
        if kind is np.str_:
            return {"kind": "number", "type": "str", "value": str(value)}
        if kind in (list, tuple):
            return self._sequence(value, name, depth)
        if kind is dict:
            items = []
            for i, (key, part) in enumerate(value.items()):
                called = key if type(key) is str and key.isidentifier() else i
                held_key = self.plain(key, f"{name}.{i}.key", depth + 1)
                items.append([held_key, self.plain(part, f"{name}.{called}", depth + 1)])
            return {"kind": "dict", "items": items}
        if kind in (np.ndarray, np.memmap):
            return self._array(value, name)
        if is_sparse(value) and kind.__name__ in SPARSE:
            return self._sparse(value, name)
        if kind is np.random.RandomState:
            return self._random_state(value, name)
        if kind is LabelBinarizer:
            parts = {part: getattr(value, part, None) for part in BINARIZER}
            if set(vars(value)) - set(BINARIZER):
                raise NotHeld("is a LabelBinarizer with more than its own attributes")
            held = {part: self.plain(x, f"{name}.{part}", depth + 1) for part, x in parts.items()}
            return {"kind": "LabelBinarizer", **held}
        return _of_fastbp(value)

    def _sequence(self, value: list[Any] | tuple[Any, ...], name: str, depth: int) -> Any:
        kinds = {*map(type, value)}
        if type(value) is list and len(value) > LONG and len(kinds) == 1 and kinds < {*_NAMES}:
            kind = kinds.pop()
            try:
                array: Any = np.array(value, {float: np.float64, int: np.int64}.get(kind, kind))
            except OverflowError:  # whole numbers beyond 64 bits
                pass
            else:
                return {"kind": "list", "type": _NAMES[kind], "name": self._add(array, name)}
        items = [self.plain(item, f"{name}.{i}", depth + 1) for i, item in enumerate(value)]
        return items if type(value) is list else {"kind": "tuple", "items": items}

    def _array(self, array: npt.NDArray[Any], name: str) -> dict[str, Any]:
        if id(array) in self._names:  # what is one object stays one
            return {"kind": "array", "type": _type_of(array), "name": self._names[id(array)]}
        kind = _type_of(array)
        plain = np.asarray(array)
        if kind in ("str", "object"):
            plain = _characters(plain, LEAST_WIDTH if kind == "object" else 1)
        given = self._add(plain.astype(plain.dtype.newbyteorder("="), copy=False), name)
        self._names[id(array)] = given
        self._seen.append(array)  # lest another one gets its id
        return {"kind": "array", "type": kind, "name": given}

    def _sparse(self, value: Any, name: str) -> dict[str, Any]:
        if value.ndim != 2 or value.dtype.kind != "f":
            raise NotHeld(f"is a sparse {value.dtype}; a file holds sparse matrices of floats")
        checks.sparse_rows(name, value, value.shape[1], value.dtype)
        count = value.indptr[-1]
        parts = {"data": value.data[:count], "indices": value.indices[:count]}
        parts["indptr"] = value.indptr
        held = {part: self._array(array, f"{name}.{part}") for part, array in parts.items()}
        return {"kind": type(value).__name__, "shape": [int(n) for n in value.shape], **held}

    def _add(self, array: npt.NDArray[Any], name: str) -> str:
        self.tensors[name] = np.ascontiguousarray(array).reshape(array.shape)
        return name

    def _random_state(self, value: np.random.RandomState, name: str) -> dict[str, Any]:
        found: Any = value.get_state(legacy=False)
        if found["bit_generator"] != "MT19937":
            raise NotHeld(
                f"is a RandomState of {found['bit_generator']}; a file holds those of MT19937, "
                "which RandomState(seed) makes"
            )
        return {
            "kind": "RandomState",
            "key": self._array(found["state"]["key"], name),
            "position": int(found["state"]["pos"]),
            "has_gauss": int(found["has_gauss"]),
            "gauss": float(found["gauss"]),
        }


class Reader:
    """Undoes `Writer`, whoever wrote.

    Parameters
    ----------
    tensors : dict of str to array
    copies : bool, default=True
        Whether arrays are copies and not those of `tensors`.

    Attributes
    ----------
    used : set of str
        The names of the arrays that were read.
    """

    def __init__(self, tensors: Tensors, copies: bool = True) -> None:
        self.tensors = tensors
        self.copies = copies
        self._made: dict[tuple[str, str], Any] = {}
        self.used: set[str] = set()

    def value(self, data: Any, what: str, own: Any = None) -> Any:
        """The value that JSON stands for.

        Parameters
        ----------
        data : object
        what : str
            Its name, for messages.
        own : object, optional
            What takes the place of code in Python.

        Raises
        ------
        ValueError, TypeError
            For what `Writer` does not make.
        """
        if isinstance(data, list):
            return [self.value(item, what, own) for item in data]
        if not isinstance(data, dict):
            return data
        kind = data.get("kind")
        given = {name: part for name, part in data.items() if name != "kind"}
        if kind == "tuple":
            _check(what, given, "items")
            return tuple(self.value(item, what, own) for item in _list(what, given["items"]))
        if kind == "dict":
            _check(what, given, "items")
            return self._dict(_list(what, given["items"]), what, own)
        if kind == "number":
            _check(what, given, "type", "value")
            return _from_number(what, given["type"], given["value"])
        if kind == "array":
            _check(what, given, "type", "name")
            return self._array(what, given["type"], given["name"])
        if kind == "list":
            _check(what, given, "type", "name")
            return self._numbers(what, given["type"], given["name"])
        if isinstance(kind, str) and kind in SPARSE:
            _check(what, given, "shape", "data", "indices", "indptr")
            return self._sparse(what, SPARSE[kind], given)
        if kind == "RandomState":
            _check(what, given, "key", "position", "has_gauss", "gauss")
            return self._random_state(what, given)
        if kind == "LabelBinarizer":
            _check(what, given, *BINARIZER)
            binarizer = LabelBinarizer()
            vars(binarizer).update({part: self.value(x, what, own) for part, x in given.items()})
            return binarizer
        if kind == "graph":
            _check(what, given, "nodes")
            return recipe.expression_of(given["nodes"])
        if kind == "fastbp":
            _check(what, given, "value")
            part = what if what in recipe.GRAPHS else "learning_rate"
            return recipe.decoded(given["value"], part, own)
        if kind == recipe.OWN and own is not None:
            return own
        raise ValueError(f"{what} has the kind {kind!r:.100}, which this fastbp does not know")

    def _dict(self, pairs: list[Any], what: str, own: Any) -> dict[Any, Any]:
        found = {}
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2:
                raise ValueError(f"{what} must have pairs; got {pair!r:.100}")
            key, value = (self.value(part, what, own) for part in pair)
            if not isinstance(key, Hashable):
                raise ValueError(f"{what} has a key that no dict takes: {key!r:.100}")
            found[key] = value
        return found

    def _tensor(self, what: str, name: Any) -> npt.NDArray[Any]:
        if not isinstance(name, str) or name not in self.tensors:
            raise ValueError(f"{what} must be an array of the file; {name!r:.100} is none")
        self.used.add(name)
        return self.tensors[name]

    def _array(self, what: str, kind: Any, name: Any) -> npt.NDArray[Any]:
        found = self._tensor(what, name)
        key = name, str(kind)
        if key not in self._made:
            expected = "uint32" if kind in ("str", "object") else kind
            if found.dtype != expected:
                raise ValueError(f"{name} must be {expected}; got {found.dtype}")
            if kind == "str":
                found = _text(name, found, 1)
            elif kind == "object":
                found = _text(name, found, LEAST_WIDTH).astype(object)
            self._made[key] = np.array(found) if self.copies else found
        array: npt.NDArray[Any] = self._made[key]
        return array

    def _numbers(self, what: str, kind: Any, name: Any) -> list[Any]:
        if name in self.used:  # lists of one array would take any amount of memory
            raise ValueError(f"{what} must have an array of its own; {name!r} is another's, too")
        found = self._tensor(what, name)
        expected = {"float": "float64", "int": "int64"}.get(kind, kind)
        if expected not in container.DTYPES or found.dtype != expected or found.ndim != 1:
            raise ValueError(f"{name} must be a row of {kind!r:.100}; got {found.dtype}")
        return found.tolist() if kind in ("float", "int") else list(found)

    def _sparse(self, what: str, kind: Any, given: dict[str, Any]) -> Any:
        shape = [checks.count(f"the shape of {what}", n) for n in _list(what, given["shape"])]
        if len(shape) != 2:
            raise ValueError(f"{what} must be a matrix; got the shape {shape}")
        parts = {part: self.value(given[part], what) for part in ("data", "indices", "indptr")}
        for part, array in parts.items():
            kinds = "f" if part == "data" else "i"
            if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds or array.ndim > 1:
                raise ValueError(f"{part} of {what} must be a row of numbers; got {array!r:.100}")
        made = kind((parts["data"], parts["indices"], parts["indptr"]), shape=tuple(shape))
        checks.sparse_rows(what, made, made.shape[1], made.dtype)  # SciPy's own check has gaps
        return made

    def _random_state(self, what: str, given: dict[str, Any]) -> np.random.RandomState:
        key = self.value(given["key"], what)
        if not isinstance(key, np.ndarray) or (key.shape, key.dtype) != ((KEY_WORDS,), "uint32"):
            raise ValueError(f"{what} must have {KEY_WORDS} uint32; got {key!r:.100}")
        gauss = checks.number(f"the number of {what}", given["gauss"], "finite", math.isfinite)
        position = checks.count(f"the position of {what}", given["position"], 0, KEY_WORDS)
        kept = checks.count(f"has_gauss of {what}", given["has_gauss"], 0, 1)
        made = np.random.RandomState()
        made.set_state(("MT19937", key, position, kept, gauss))
        return made


def _type_of(array: npt.NDArray[Any]) -> str:
    """The name of what an array is made of."""
    if isinstance(array, np.ma.MaskedArray):
        raise NotHeld("is a masked array")
    if array.dtype.kind == "U":
        return "str"
    if array.dtype.kind == "O":
        return "object"
    name = array.dtype.newbyteorder("=").name
    if name not in container.DTYPES:
        raise NotHeld(f"is an array of {array.dtype}; a file holds numbers, bools and text")
    return name


def _characters(array: npt.NDArray[Any], least: int) -> npt.NDArray[np.uint32]:
    """Text as numbers of its characters, (..., width); shorter text ends in zeros."""
    text = array
    if array.dtype.kind == "O":
        if not all(type(item) is str for item in array.flat):
            raise NotHeld("is an array of objects that are not all str")
        text = array.astype(np.str_)
        if (text.astype(object) != array).any():
            raise NotHeld("has text that ends in a null character")
    width = max(least, text.dtype.itemsize // 4)
    text = np.ascontiguousarray(text.astype(f"=U{width}"))
    return text.reshape(-1).view(np.uint32).reshape(*array.shape, width)


def _text(name: str, characters: npt.NDArray[Any], least: int) -> npt.NDArray[np.str_]:
    """Undo `_characters`."""
    width = characters.shape[-1] if characters.ndim else 0
    if width < least:
        raise ValueError(f"{name} must have at least {least} characters for each text; got {width}")
    if characters.size and characters.max() > MOST_CHARACTER:
        raise ValueError(f"{name} must be characters; got {characters.max()}")
    text = np.ascontiguousarray(characters).reshape(-1).view(f"=U{width}")
    return text.reshape(characters.shape[:-1])


def _number(value: Any) -> dict[str, Any]:
    """A number of NumPy, or one that JSON lacks."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and not math.isfinite(plain):
        plain = str(plain)
    return {"kind": "number", "type": _NAMES[type(value)], "value": plain}


def _from_number(what: str, kind: Any, value: Any) -> Any:
    """Undo `_number`; numbers that the type cannot hold are errors."""
    if kind == "str" and isinstance(value, str):
        return np.str_(value)
    if not isinstance(kind, str) or kind not in NUMBERS:
        raise ValueError(f"{what} has a number of type {kind!r:.100}, which fastbp does not know")
    plain = float(value) if value in ("nan", "inf", "-inf") else value
    made = NUMBERS[kind](plain) if type(plain) in (bool, int, float) else None
    held = made.item() if isinstance(made, np.generic) else made  # a float32 0.1 equals 0.1
    if held is None or not (held == plain or held != held):
        raise ValueError(f"{what} must be a {kind}; got {value!r:.100}")
    return made


def _of_fastbp(value: Any) -> Any:
    """An object of fastbp, or the name of code."""
    if isinstance(value, Callback):
        return {"kind": recipe.OWN, "name": type(value).__name__}
    if isinstance(value, Expression):
        return {"kind": "graph", "nodes": recipe.nodes_of(value)}
    try:
        if isinstance(value, list | tuple | dict):  # of a class of their own
            raise ValueError
        held = recipe.encoded(value)
    except ValueError:
        raise NotHeld(
            f"is {checks.described(value):.200}; a file holds numbers, text, arrays of them, "
            "lists, tuples, dicts and fastbp's optimizers, schedules, losses and graphs"
        ) from None
    own = isinstance(held, dict) and held["kind"] == recipe.OWN
    return held if own else {"kind": "fastbp", "value": held}


def _check(what: str, given: dict[str, Any], *names: str) -> None:
    recipe.check_fields(what, given, names)


def _list(what: str, given: Any) -> list[Any]:
    if not isinstance(given, list):
        raise ValueError(f"{what} must have a list; got {given!r:.100}")
    return given
