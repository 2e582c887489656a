"""Functions of single numbers that are given as data, written out as code.

What walks through the data is Python (`fastbp.graph.scalars`), which asks for a kernel to be
applied to numbers again and again. Here the numbers are LLVM's and the kernels become calls. No
source is made of the data, so that a file of a stranger's can hold no other code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

from fastbp.machine.straight import call_kernel
from fastbp.machine.types import element


class DataType(types.Type):  # type: ignore[misc]
    """The type of a function that is data; a value of it holds nothing.

    Parameters
    ----------
    data : object
        What is walked through.
    name : str
        Says all that `data` and `dtype` do.
    dtype : str
        The dtype of the arithmetic.
    """

    def __init__(self, data: Any, name: str, dtype: str) -> None:
        self.data = data
        self.dtype = getattr(types, dtype)
        super().__init__(name=f"fastbp.DataType({name}, {dtype})")


register_model(DataType)(models.OpaqueModel)


class _Code:
    """Numbers of a function that is being written."""

    def __init__(self, context: Any, builder: Any, dtype: Any) -> None:
        self._context = context
        self._builder = builder
        self._dtype = dtype

    def number(self, value: float) -> Any:
        """A constant."""
        return ir.Constant(element(self._dtype), value)

    def apply(self, kernel: Any, *numbers: Any) -> Any:
        """What a kernel returns of numbers, a number."""
        signature = self._dtype(*[self._dtype] * len(numbers))
        return call_kernel(self._context, self._builder, kernel, signature, numbers)


def written(walk: Callable[..., tuple[Any, ...]], results: int) -> Any:
    """An intrinsic ``f(data, a, b)`` of two numbers that writes the code of what `walk` asks for.

    Parameters
    ----------
    walk : callable
        ``walk(data, (a, b), code)`` returns `results` numbers.
    results : int
        1 for a number, more for a tuple of them.
    """

    @intrinsic
    def code(typingctx: Any, data: Any, a: Any, b: Any) -> Any:
        returned = a if results == 1 else types.UniTuple(a, results)

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            inner = data.dtype
            wide = [
                context.cast(builder, x, t, inner) for x, t in zip(args[1:], (a, b), strict=True)
            ]
            found = walk(data.data, wide, _Code(context, builder, inner))
            narrow = [context.cast(builder, y, inner, a) for y in found]
            return narrow[0] if results == 1 else context.make_tuple(builder, returned, narrow)

        return returned(data, a, b), codegen

    return code
