"""A built-in function of Python around compiled functions, as LLVM's code.

``f(cells, operation, x, y)`` takes arrays, looks at what they are, lets other threads run
meanwhile, and returns a float. It calls Python through a table of addresses that is filled when
the object is loaded (`objects.py`): so the object itself needs no symbol of Python's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from fastbp.machine.layouts import (
    API,
    ARRAY_DATA,
    ARRAY_DTYPE,
    ARRAY_FLAGS,
    ARRAY_NDIM,
    ARRAY_SHAPE,
    DTYPE_KIND,
    KIND_OF_CELLS,
    KINDS,
    NEEDED_FLAGS,
    OBJECT_TYPE,
    TABLE,
)

_I1 = ir.IntType(1)
_I32 = ir.IntType(32)
_I64 = ir.IntType(64)
_DOUBLE = ir.DoubleType()


class _Writer:
    """Writes the code of one function; objects are addresses, integers of 64 bits.

    Parameters
    ----------
    builder : IRBuilder
    table : GlobalVariable
        The addresses of what is called.
    """

    def __init__(self, builder: ir.IRBuilder, table: ir.GlobalVariable) -> None:
        self.builder = builder
        self.table = table

    def at(self, address: Any, offset: int, kind: ir.Type = _I64) -> Any:
        """What stands some bytes behind an address."""
        where = self.builder.add(address, ir.Constant(_I64, offset))
        return self.builder.load(self.builder.inttoptr(where, kind.as_pointer()))

    def of_python(self, name: str) -> Any:
        """An entry of the table."""
        indices = [ir.Constant(_I64, 0), ir.Constant(_I64, API.index(name))]
        return self.builder.load(self.builder.gep(self.table, indices))

    def call(self, name: str, *args: Any, returns: ir.Type = _I64) -> Any:
        """Call one of Python's functions."""
        kind = ir.FunctionType(returns, [arg.type for arg in args])
        function = self.builder.inttoptr(self.of_python(name), kind.as_pointer())
        return self.builder.call(function, args)

    def require(self, condition: Any, otherwise: ir.Block) -> None:
        """Go on where the condition holds."""
        following = self.builder.append_basic_block()
        self.builder.cbranch(condition, following, otherwise)
        self.builder.position_at_end(following)

    def require_array(self, array: Any, otherwise: ir.Block) -> Any:
        """Go on where an object is an array that is contiguous and aligned; returns its kind."""
        builder = self.builder
        kind = self.at(array, OBJECT_TYPE)
        exact = builder.icmp_unsigned("==", kind, self.of_python("ndarray"))
        before = builder.block
        inexact = builder.append_basic_block()
        following = builder.append_basic_block()
        builder.cbranch(exact, following, inexact)
        builder.position_at_end(inexact)
        is_kind = self.call("PyType_IsSubtype", kind, self.of_python("ndarray"), returns=_I32)
        is_kind = builder.icmp_unsigned("!=", is_kind, ir.Constant(_I32, 0))
        builder.branch(following)
        builder.position_at_end(following)
        is_array = builder.phi(_I1)
        is_array.add_incoming(ir.Constant(_I1, 1), before)
        is_array.add_incoming(is_kind, inexact)
        self.require(is_array, otherwise)
        needed = ir.Constant(_I32, NEEDED_FLAGS)
        flags = builder.and_(self.at(array, ARRAY_FLAGS, _I32), needed)
        self.require(builder.icmp_unsigned("==", flags, needed), otherwise)
        three = ir.Constant(_I32, 0xFFFFFF)
        return builder.and_(self.at(self.at(array, ARRAY_DTYPE), DTYPE_KIND, _I32), three)

    def require_same(self, x: Any, y: Any, otherwise: ir.Block) -> None:
        """Go on where two integers are the same."""
        self.require(self.builder.icmp_unsigned("==", x, y), otherwise)


def add_builtin(module: ir.Module, name: str, functions: Sequence[ir.Function]) -> None:
    """Add a function for Python to a module.

    Parameters
    ----------
    module : Module
    name : str
    functions : sequence of Function
        For float32 and float64: see `emission.c_type`.
    """
    table = module.globals.get(TABLE)
    if table is None:
        table = ir.GlobalVariable(module, ir.ArrayType(_I64, len(API)), TABLE)
        table.initializer = ir.Constant(table.value_type, None)
    # By METH_FASTCALL: the module, where the arguments stand, and how many there are.
    kind = ir.FunctionType(_I64, [_I64, _I64, _I64])
    function = ir.Function(module, kind, name)
    _, arguments, count = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    write = _Writer(builder, table)
    refused = builder.append_basic_block("refused")

    write.require_same(count, ir.Constant(_I64, 4), refused)
    cells, number, x, y = (write.at(arguments, 8 * i) for i in range(4))
    of_cells = write.require_array(cells, refused)
    write.require_same(of_cells, ir.Constant(_I32, KIND_OF_CELLS), refused)
    dtype = write.require_array(x, refused)
    write.require_same(write.require_array(y, refused), dtype, refused)
    for array in (x, y):
        ndim = write.at(array, ARRAY_NDIM, _I32)
        write.require_same(ndim, ir.Constant(_I32, 2), refused)
    operation = write.call("PyLong_AsLongLong", number)
    write.require(builder.icmp_signed(">=", operation, ir.Constant(_I64, 0)), refused)

    with builder.goto_entry_block():
        result = builder.alloca(_DOUBLE)
        raised = builder.alloca(_I64)
    shape = write.at(y, ARRAY_SHAPE)
    args = [
        write.at(cells, ARRAY_DATA), operation, write.at(x, ARRAY_DATA), write.at(y, ARRAY_DATA),
        write.at(write.at(x, ARRAY_SHAPE), 0), write.at(shape, 0), write.at(shape, 8),
        builder.ptrtoint(result, _I64), builder.ptrtoint(raised, _I64),
    ]  # fmt: skip
    called = builder.append_basic_block("called")
    cases = builder.switch(dtype, refused)
    states = []
    for code, compiled in zip(KINDS, functions, strict=True):
        block = builder.append_basic_block()
        cases.add_case(ir.Constant(_I32, code), block)
        builder.position_at_end(block)
        thread = write.call("PyEval_SaveThread")
        status = builder.call(compiled, args)
        write.call("PyEval_RestoreThread", thread, returns=ir.VoidType())
        states.append((status, builder.block))
        builder.branch(called)

    builder.position_at_end(called)
    status = builder.phi(_I32)
    for state in states:
        status.add_incoming(*state)
    failed = builder.append_basic_block("failed")
    write.require_same(status, ir.Constant(_I32, 0), failed)
    builder.ret(write.call("PyFloat_FromDouble", builder.load(result)))

    for block in (failed, refused):
        builder.position_at_end(block)
        write.call("PyErr_Clear", returns=ir.VoidType())
        why = builder.load(raised) if block is failed else ir.Constant(_I64, 0)
        why = write.call("PyLong_FromLongLong", why)
        answer = write.call("PyObject_CallOneArg", write.of_python("fail"), why)
        write.call("Py_DecRef", why, returns=ir.VoidType())
        builder.ret(answer)
