"""Object code of the entry points, with nothing of Numba's or Python's in it.

The kernels are compiled and optimised as for this process, but for its target (``NUMBA_CPU_NAME``)
and into an object file. For each entry point and dtype there is a C function::

    int name_float32(int64_t *t, int64_t operation, float *x, float *y, int64_t rows,
                     int64_t y_rows, int64_t columns, double *result, void **raised)

which returns 0, or a status and in `raised` what `objects.raise_at` takes. Around them stands a
function for Python (`builtin`), since a call through ctypes takes three times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils

from fastbp.machine.builtin import add_builtin
from fastbp.machine.layouts import TABLE
from fastbp.machine.linked import optimize
from fastbp.machine.objects import MADE_BY
from fastbp.machine.processor import target_cpu, versions

DTYPES = ("float32", "float64")

_I32 = ir.IntType(32)
_I64 = ir.IntType(64)


def emit(entries: Mapping[str, Any]) -> bytes:
    """The object file of entry points.

    Parameters
    ----------
    entries : mapping of str to dispatcher
        By name, functions of ``(t, operation, x, y, rows, y_rows, columns)`` that return a float:
        see `fastbp.kernels.entry.on_dense`.
    """
    name, features = target_cpu()
    machine = binding.Target.from_triple(binding.get_process_triple()).create_target_machine(
        cpu=name, features=features, opt=3, reloc="pic", codemodel="default"
    )
    whole = binding.parse_assembly("")
    kept = {MADE_BY, TABLE, *entries}
    for entry, function in entries.items():
        for dtype in DTYPES:
            kept.add(f"{entry}_{dtype}")
            whole.link_in(_with_c_entry(f"{entry}_{dtype}", function, dtype))
    whole.link_in(_parsed(_module_for_python(entries)))
    whole.data_layout = str(machine.target_data)
    whole.triple = binding.get_process_triple()
    for value in (*whole.functions, *whole.global_variables):
        if not value.is_declaration and value.name not in kept:
            value.linkage = "internal"
    optimize(whole, machine)
    whole.verify()
    return bytes(machine.emit_object(whole))


def _parsed(module: ir.Module) -> Any:
    return binding.parse_assembly(cgutils.normalize_ir_text(str(module)))


def _with_c_entry(name: str, function: Any, dtype: str) -> Any:
    """The C function of a kernel, together with all that the kernel calls."""
    number = types.CPointer(getattr(types, dtype))
    given = (types.CPointer(types.int64), types.int64, number, number, *[types.int64] * 3)
    function.compile(given)
    result = function.overloads[given]
    context = result.target_context
    module = ir.Module(name)
    entry = ir.Function(module, c_type(), name)
    builder = ir.IRBuilder(entry.append_basic_block())
    native = context.declare_function(module, result.fndesc)
    pointers = [context.get_value_type(t) for t in given]
    args = [
        builder.inttoptr(arg, t) if isinstance(t, ir.PointerType) else arg
        for arg, t in zip(entry.args, pointers, strict=False)
    ]
    status, value = context.call_conv.call_function(
        builder, native, result.fndesc.restype, result.fndesc.argtypes, args
    )
    builder.store(value, builder.inttoptr(entry.args[7], value.type.as_pointer()))
    raised = builder.ptrtoint(status.excinfoptr, _I64)
    builder.store(raised, builder.inttoptr(entry.args[8], _I64.as_pointer()))
    builder.ret(status.code)
    whole = _parsed(module)
    whole.link_in(result.library._get_module_for_linking(), preserve=True)
    return whole


def c_type() -> ir.FunctionType:
    """The type of a C function; its addresses are integers, which C passes in the same way."""
    return ir.FunctionType(_I32, [_I64] * 9)


def _module_for_python(entries: Mapping[str, Any]) -> ir.Module:
    """The functions for Python, and what the object was made by."""
    module = ir.Module("for Python")
    for entry in entries:
        functions = [ir.Function(module, c_type(), f"{entry}_{dtype}") for dtype in DTYPES]
        add_builtin(module, entry, functions)
    text = bytearray(", ".join(f"{name} {version}" for name, version in versions().items()), "utf8")
    text += b"\0"
    made_by = ir.GlobalVariable(module, ir.ArrayType(ir.IntType(8), len(text)), MADE_BY)
    made_by.initializer = ir.Constant(made_by.value_type, text)
    made_by.global_constant = True
    return module
