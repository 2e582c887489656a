"""Functions of single numbers, a user's own, compiled into loops that kernels call by address.

A kernel calls ``loop(a, b, c, d, count)`` by `simd.run_at`: one call for a run of numbers, so that
the call costs little, and LLVM vectorises the loop. None of fastbp's own code is compiled again.
"""

from __future__ import annotations

import inspect
import itertools
import re
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from fastbp.machine.settings import compiles

FIRST_ADDRESS = 4096
"""No code stands below: smaller numbers are free for other uses."""


class Loop:
    """The machine code of a loop around a function; it stays where it is as long as this object.

    Attributes
    ----------
    address : int
        What `simd.run_at` takes; uncompiled a number that `LOOPS` knows.
    function : callable
        The user's.
    """

    __slots__ = ("__weakref__", "_code", "address", "function")

    def __init__(self, function: Any, address: int, code: Any) -> None:
        self.function = function
        self.address = address
        self._code = code  # the machine code goes with it
        LOOPS[address] = self


class UncompiledLoop(Loop):
    """The same for uncompiled code, which calls it by `run`."""

    __slots__ = ("_called_with",)

    def __init__(self, function: Any, loop: Any, called_with: Any) -> None:
        super().__init__(function, next(_numbers), loop)
        self._called_with = called_with

    def run(self, *arguments: Any) -> None:
        """Call it."""
        with np.errstate(all="ignore"):
            self._code(self._called_with, *arguments)


LOOPS: WeakValueDictionary[int, Any] = WeakValueDictionary()
"""All loops by address."""
_numbers = itertools.count(FIRST_ADDRESS)


class Kind(NamedTuple):
    """What is compiled around a function.

    Attributes
    ----------
    loop : dispatcher
        ``loop(function, a, b, c, d, count)``, of pointers.
    parameters : tuple of str
        What the function takes, for messages.
    results : tuple of str
        What it returns.
    replacements : mapping
        Functions of the user's function, such as `math.exp`, that are exchanged for others.
    """

    loop: Any
    parameters: tuple[str, ...]
    results: tuple[str, ...]
    replacements: Mapping[Any, Any]


def python_function(function: Any) -> Callable[..., Any]:
    """The function in Python, that of a dispatcher or the function itself."""
    own: Callable[..., Any] = getattr(function, "py_func", function)
    return own


def check_parameters(kind: Kind, function: Any) -> None:
    """Raise a TypeError unless it is a function of the right number of single numbers."""
    form = f"{', '.join(kind.parameters)}) -> ({', '.join(kind.results)})"
    if not isinstance(python_function(function), types.FunctionType):
        raise TypeError(
            f"function must be a Python function or one compiled by numba.njit, f({form}, of "
            f"single numbers; got {function!r}"
        )
    try:
        inspect.signature(python_function(function)).bind(*kind.parameters)
    except TypeError as error:
        raise TypeError(
            f"function must be f({form}, of single numbers; {_name(function)} has other "
            f"parameters: {error}"
        ) from None


def _of_numbers(function: Any, dtype: np.dtype[Any]) -> Callable[..., Any]:
    """The function, of numbers whose arithmetic is NumPy's, in which 1 / 0 is infinite."""
    return lambda *numbers: function(*map(dtype.type, numbers))


def loop_of(kind: Kind, function: Any, dtype: np.dtype[Any]) -> Loop:
    """A loop around a function for a dtype, compiled anew: what the function reads is constant.

    Raises
    ------
    TypeError
        If Numba cannot compile the function, it does not return two numbers, or may raise.
    """
    if not compiles():
        own = python_function(function)
        return UncompiledLoop(own, kind.loop, _of_numbers(own, dtype))
    import numba

    from fastbp.machine.compiler import inlined

    name = _name(function)
    number = numba.from_dtype(dtype)
    own = inlined(rebound(python_function(function), kind.replacements, dtype, {}))
    try:
        own.compile((number,) * len(kind.parameters))
    except numba.NumbaError as error:
        raise TypeError(
            f"Numba cannot compile {name} for single numbers of {dtype.name}: {_short(error)}. "
            "Where it needs Python, pass a function of arrays: CallableActivation, CallableLoss"
        ) from error
    (returned,) = {signature.return_type for signature in own.nopython_signatures}
    _check_returned(kind, name, returned)
    whole, result = _compiled_loop(kind.loop, numba.typeof(own), number)
    if _may_raise(result):
        raise TypeError(
            f"{name} may raise an exception, prints or allocates memory, for which a pass through "
            "a net does not stop. Let it return math.nan where it has no value; an index must be "
            "kept inside an array by min and max"
        )
    return Loop(function, _address(result), (own, whole, result))


def loop_of_data(loop: Any, data: Any, name: str, dtype: np.dtype[Any]) -> Loop:
    """A loop around a function that is data, not code of a user's: see `tapes.written`.

    Parameters
    ----------
    loop : dispatcher
        ``loop(data, a, b, c, d, count)``, of pointers.
    data : object
    name : str
        Says all that the data do.
    dtype : dtype
        The dtype of the numbers; the arithmetic is in float64.
    """
    if not compiles():
        return UncompiledLoop(data, loop, data)
    import numba

    from fastbp.machine.tapes import DataType

    kind = DataType(data, name, "float64")
    whole, result = _compiled_loop(loop, kind, numba.from_dtype(dtype))
    return Loop(data, _address(result), (whole, result))


def _compiled_loop(loop: Any, function: Any, number: Any) -> tuple[Any, Any]:
    """A loop and its code for the types of a function and of the numbers."""
    import numba

    from fastbp.machine.compiler import optimized_whole

    whole = optimized_whole(loop)
    arguments = (function, *[numba.types.CPointer(number)] * 4, numba.intp)
    whole.compile(arguments)
    return whole, whole.overloads[arguments]


def _address(result: Any) -> int:
    address: int = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
    return address


def _check_returned(kind: Kind, name: str, returned: Any) -> None:
    from numba import types as numbas

    numbers = numbas.Float | numbas.Integer | numbas.Boolean
    parts = getattr(returned, "types", ())
    if len(parts) != len(kind.results) or not all(isinstance(part, numbers) for part in parts):
        raise TypeError(
            f"{name} must return ({', '.join(kind.results)}), {len(kind.results)} single numbers, "
            f"for all {' and '.join(kind.parameters)}; it returns {returned}"
        )


def _may_raise(result: Any) -> bool:
    """Whether compiled code returns a status of Numba other than 0."""
    text = result.library.get_llvm_str()
    name = re.escape(result.fndesc.llvm_func_name)
    start = re.search(rf'^define [^\n]*@"?{name}"?\(', text, re.MULTILINE)
    if start is None:
        raise RuntimeError("the compiled function is not in its own module")
    body = text[start.start() : text.index("\n}", start.start())]
    return any(status != "0" for status in re.findall(r"^\s*ret i32 (\S+)", body, re.MULTILINE))


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _short(error: Exception) -> str:
    """What an error of Numba says, without colours, traces and advice."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Failed in", "During:"))]
    return " ".join(told[:2]).rstrip(".")[:300]


# ---- a function with other constants and functions ----------------------------------------------


def rebound(
    function: Any, replacements: Mapping[Any, Any], dtype: np.dtype[Any], made: dict[Any, Any]
) -> Any:
    """A copy of a Python function, to be compiled for a dtype.

    Its floats become numbers of the dtype, as NumPy takes Python's floats; else one of them would
    turn all float32 into float64. Replaced functions are exchanged, and the functions it calls
    are compiled in the same way, whatever they were compiled with.

    Parameters
    ----------
    function : function
    replacements : mapping
        By the function.
    dtype : dtype
    made : dict
        The copies so far, by function.
    """
    from numba.extending import is_jitted

    from fastbp.machine.compiler import inlined

    if function in made:
        return made[function]

    def swapped(value: Any) -> Any:
        if type(value) is float:
            return dtype.type(value)
        if type(value) is tuple:
            return tuple(swapped(item) for item in value)
        if isinstance(value, types.ModuleType):
            return _module(value, replacements, dtype)
        if is_jitted(value) or isinstance(value, types.FunctionType):
            return inlined(rebound(python_function(value), replacements, dtype, made))
        return _replaced(value, replacements)

    code = function.__code__
    used = function.__globals__
    names = {name for name in _names(code) if name in used}
    others = {"__builtins__": used["__builtins__"], "__name__": function.__module__}
    copied = types.FunctionType(
        _code(code, swapped), others, function.__name__, None,
        None if function.__closure__ is None else tuple(types.CellType() for _ in code.co_freevars),
    )  # fmt: skip
    made[function] = copied
    copied.__qualname__ = function.__qualname__
    copied.__defaults__ = swapped(function.__defaults__)
    others.update({name: swapped(used[name]) for name in names})
    for new, old in zip(copied.__closure__ or (), function.__closure__ or (), strict=True):
        new.cell_contents = swapped(old.cell_contents)
    return copied


def _replaced(value: Any, replacements: Mapping[Any, Any]) -> Any:
    try:
        return replacements.get(value, value)
    except TypeError:  # what cannot be a key is not replaced
        return value


def _names(code: types.CodeType) -> set[str]:
    """Global names in code and the code within."""
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _code(code: types.CodeType, swapped: Callable[[Any], Any]) -> types.CodeType:
    constants = [
        _code(part, swapped) if isinstance(part, types.CodeType) else swapped(part)
        for part in code.co_consts
    ]
    return code.replace(co_consts=tuple(constants))


def _module(
    module: types.ModuleType, replacements: Mapping[Any, Any], dtype: np.dtype[Any]
) -> types.ModuleType:
    """A module whose functions are exchanged, if any of them is; else itself."""
    parts = vars(module)
    changed = {
        name: dtype.type(value) if type(value) is float else _replaced(value, replacements)
        for name, value in parts.items()
    }
    if not any(changed[name] is not value for name, value in parts.items()):
        return module
    twin = types.ModuleType(module.__name__)
    twin.__dict__.update(changed)
    return twin
