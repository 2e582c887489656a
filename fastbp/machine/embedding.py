"""A net as a value of Numba's: its type, and what compiled code does with it.

The value is the address of the net's handle, a row of int64 (`fastbp.embed.handle`). The type says
what the code depends on: the dtype, and all sizes where the code of a row is written out
(`straight.py`). It says too from which sources of fastbp the code is: a user's function that Numba
has cached is compiled anew when they change.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple, NoReturn

import numba
from llvmlite import ir
from numba import types
from numba.extending import (
    NativeValue,
    intrinsic,
    models,
    overload,
    overload_method,
    register_model,
    typeof_impl,
    unbox,
)

from fastbp.machine.cache import source_digest
from fastbp.machine.compiler import linked_options
from fastbp.machine.types import I1, I64, integer, local

_DIGEST = source_digest()[:16] or uuid.uuid4().hex
"""What the code depends on beside its type; without sources it is not to be used again."""


class Row(NamedTuple):
    """What the code of a row depends on where it is written out.

    Attributes
    ----------
    sizes : tuple of int
    activations : tuple of int
        Codes, one for each layer.
    bias : bool
    """

    sizes: tuple[int, ...]
    activations: tuple[int, ...]
    bias: bool


class NetType(types.Type):  # type: ignore[misc]
    """The type of a net.

    Parameters
    ----------
    dtype : str
        "float32" or "float64".
    row : Row or None
        None: rows are predicted by fastbp's own code, at its address.
    refuses : tuple of pair of str
        Methods that the net does not have, and why.
    """

    def __init__(
        self, dtype: str, row: Row | None = None, refuses: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.dtype = getattr(types, dtype)
        self.row = row
        self.refuses = dict(refuses)
        shape = "" if row is None else f", {'-'.join(map(str, row.sizes))}, {row.activations}"
        bias = "" if row is None or row.bias else ", no bias"
        lacks = f", without {' '.join(self.refuses)}" if refuses else ""
        super().__init__(name=f"fastbp.Compiled({dtype}{shape}{bias}{lacks}, {_DIGEST})")


ADDRESS = I64.as_pointer()


@register_model(NetType)
class _NetModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, t: NetType) -> None:
        super().__init__(manager, t, ADDRESS)


@unbox(NetType)  # type: ignore[untyped-decorator]
def _unbox(t: NetType, value: Any, c: Any) -> NativeValue:
    """The address, from the attribute of this name."""
    attribute = c.pyapi.object_getattr_string(value, "address")
    number = c.pyapi.long_as_longlong(attribute)
    c.pyapi.decref(attribute)
    return NativeValue(c.builder.inttoptr(number, ADDRESS))


def knows(python_class: type, of_a_global: str) -> None:
    """Let Numba take objects of a class that have `address`, and their type as `_numba_type_`.

    Parameters
    ----------
    python_class : class
    of_a_global : str
        What to say of an object that is no argument.
    """

    @typeof_impl.register(python_class)  # type: ignore[untyped-decorator]
    def type_of(value: Any, context: Any) -> NetType:
        if context.purpose.name == "constant":
            refuse(of_a_global)
        found: NetType = value._numba_type_
        return found


TYPES: dict[str, NetType] = {}
"""The types of nets that this process has made, by their names."""


def number_of(kind: str) -> int:
    """A number that stands for the name of a type: code for another one must not run."""
    return int.from_bytes(blake2b(kind.encode(), digest_size=7).digest(), "little")


def overloads(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function that returns what compiled code calls instead of `function`."""
    decorate: Callable[[Callable[..., Any]], Callable[..., Any]] = overload(
        function, prefer_literal=True, jit_options=linked_options()
    )
    return decorate


def net_of(t: NetType) -> Any:
    """An intrinsic that makes a net of an address, which is an integer or a pointer."""

    @intrinsic
    def from_address(typingctx, address):
        def codegen(context, builder, sig, args):
            if isinstance(sig.args[0], types.Integer):
                return builder.inttoptr(args[0], ADDRESS)
            return builder.bitcast(args[0], ADDRESS)

        return t(address), codegen

    return from_address


def refuse(message: str) -> NoReturn:
    """Raise the error that Numba shows when it compiles a user's function."""
    raise numba.TypingError(message)


def method(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function that returns the implementation of a method, or refuses its types."""
    decorate: Callable[[Callable[..., Any]], Callable[..., Any]] = overload_method(
        NetType, name, jit_options=linked_options()
    )
    return decorate


def is_array(t: Any) -> bool:
    """Whether a Numba type is that of an array."""
    return isinstance(t, types.Array)


def is_of_integers(t: Any) -> bool:
    """Whether a Numba type is that of an array of integers."""
    return is_array(t) and isinstance(t.dtype, types.Integer)


def is_integer(t: Any) -> bool:
    """Whether a Numba type is that of a single integer, or of a truth value."""
    return isinstance(t, types.Integer | types.Boolean)


def is_number(t: Any) -> bool:
    """Whether a Numba type is that of a single number."""
    return is_integer(t) or isinstance(t, types.Float)


def native_address(function: Any, *arguments: Any) -> int:
    """Where the machine code of a compiled entry point stands, as `call_entry` calls it.

    Parameters
    ----------
    function : dispatcher
        Compiled for the types of `arguments`.
    """
    result = function.overloads[tuple(numba.typeof(argument) for argument in arguments)]
    address: int = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
    return address


def embedded_address(function: Any, dtype: str) -> int:
    """Where the machine code of `embed.kernels.embedded` stands, as `call_embedded` calls it."""
    floats = types.CPointer(getattr(types, dtype))
    given = (types.CPointer(types.int64), types.int64, *[floats] * 4, types.int64, types.int64)
    function.compile(given)
    result = function.overloads[given]
    address: int = result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)
    return address


@intrinsic
def handle_of(typingctx, net):
    """The handle of a net, a pointer to int64."""

    def codegen(context, builder, sig, args):
        return args[0]

    return types.CPointer(types.int64)(net), codegen


def _array(context, builder, t, data, shape):
    """An array that owns nothing."""
    array = context.make_array(t)(context, builder)
    itemsize = context.get_abi_sizeof(context.get_data_type(t.dtype))
    strides = [integer(itemsize)]
    for size in shape[:0:-1]:
        strides.insert(0, builder.mul(strides[0], size))
    count = integer(1)
    for size in shape:
        count = builder.mul(count, size)
    array.data = data
    array.shape = context.make_tuple(builder, types.UniTuple(types.intp, t.ndim), shape)
    array.strides = context.make_tuple(builder, types.UniTuple(types.intp, t.ndim), strides)
    array.itemsize = integer(itemsize)
    array.nitems = count
    array.meminfo = context.get_constant_null(types.voidptr)
    array.parent = context.get_constant_null(types.pyobject)
    return array._getvalue()


@intrinsic
def call_entry(typingctx, address, cells, operation, x, rows, n_in, y, y_rows, n_out):
    """Call `entry.train_and_predict`, whose `native_address` is given, on arrays at x and y."""
    of_cells = types.Array(types.int64, 1, "C")
    of_rows = types.Array(x.dtype, 2, "C")
    given = (of_cells, types.int64, of_rows, of_rows)

    def codegen(context, builder, sig, args):
        address, cells, operation, x, rows, n_in, y, y_rows, n_out = args
        convention = context.call_conv
        kind = convention.get_function_type(types.float64, given)
        packer = context.get_arg_packer(given)
        arrays = (
            _array(context, builder, of_cells, cells, [integer(0)]),
            operation,
            _array(context, builder, of_rows, x, [rows, n_in]),
            _array(context, builder, of_rows, y, [y_rows, n_out]),
        )
        result = local(builder, ir.Constant(ir.DoubleType(), 0.0))
        raised = local(builder, ir.Constant(kind.args[1].pointee, None))
        function = builder.inttoptr(address, kind.as_pointer())
        code = builder.call(function, [result, raised, *packer.as_arguments(builder, arrays)])
        with builder.if_then(builder.icmp_signed("!=", code, integer(0, 32)), likely=False):
            convention.return_user_exc(builder, RuntimeError, ("fastbp's compiled code failed",))
        return builder.load(result)

    sizes = (types.intp, types.intp)
    signature = types.float64(types.int64, cells, types.int64, x, *sizes, y, *sizes)
    return signature, codegen


@intrinsic
def call_embedded(typingctx, address, h, operation, like, x, y, dx, grad, parts, rows):
    """Call `embed.kernels.embedded`, whose `embedded_address` is given.

    The pointers are passed as addresses of the dtype of `like`, a pointer.
    """
    given = (x, y, dx, grad)

    def codegen(context, builder, sig, args):
        address, h, operation, like, *rest = args
        pointers = [builder.bitcast(p, like.type) for p in rest[:4]]
        values = [h, operation, *pointers, *rest[4:]]
        kind = ir.FunctionType(ir.DoubleType(), [value.type for value in values])
        return builder.call(builder.inttoptr(address, kind.as_pointer()), values)

    sizes = (types.int64, types.int64)
    return types.float64(types.int64, h, types.int64, like, *given, *sizes), codegen


@intrinsic
def numbers_at(typingctx, net, y):
    """Where targets or labels stand: in an array, or a single number in this function's frame.

    A single integer becomes a label, where the loss takes labels, and anything else a number of the
    net's dtype.
    """
    if is_array(y):
        dtype = y.dtype
    else:
        dtype = types.int64 if is_integer(y) and "labels" not in net.refuses else net.dtype

    def codegen(context, builder, sig, args):
        if is_array(y):
            return context.make_array(y)(context, builder, args[1]).data
        return local(builder, context.cast(builder, args[1], y, dtype))

    return types.CPointer(dtype)(net, y), codegen


def _is_dense(context, builder, t, value):
    """Whether an array that Numba knows little of has no gaps; it may be in fact C-contiguous."""
    if not is_array(t) or t.layout == "C":
        return ir.Constant(I1, 1)
    array = context.make_array(t)(context, builder, value)
    expected = array.itemsize
    dense = ir.Constant(I1, 1)
    for axis in reversed(range(t.ndim)):
        size = builder.extract_value(array.shape, axis)
        stride = builder.extract_value(array.strides, axis)
        one = builder.icmp_signed("<=", size, integer(1))
        dense = builder.and_(dense, builder.or_(one, builder.icmp_signed("==", stride, expected)))
        expected = builder.mul(expected, size)
    return builder.or_(dense, builder.icmp_signed("==", array.nitems, integer(0)))


@intrinsic
def are_dense(typingctx, x, y):
    """Whether both arrays are C-contiguous; single numbers are."""

    def codegen(context, builder, sig, args):
        found = [
            _is_dense(context, builder, t, value) for t, value in zip((x, y), args, strict=True)
        ]
        return builder.and_(*found)

    return types.boolean(x, y), codegen


@intrinsic
def integers_from(typingctx, p):
    """The address p as one of int64."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], ADDRESS)

    return types.CPointer(types.int64)(p), codegen


@intrinsic
def exchange(typingctx, p, index, value):
    """Set ``p[index]`` and return what stood there, as one step that no thread can divide."""

    def codegen(context, builder, sig, args):
        return builder.atomic_rmw("xchg", builder.gep(args[0], [args[1]]), args[2], "acquire")

    return p.dtype(p, types.intp, p.dtype), codegen


@intrinsic
def peek(typingctx, p, index):
    """The value at ``p[index]``, which another thread may set."""

    def codegen(context, builder, sig, args):
        return builder.load_atomic(builder.gep(args[0], [args[1]]), "monotonic", 8)

    return p.dtype(p, types.intp), codegen


@intrinsic
def release(typingctx, p, index):
    """Set ``p[index]`` to 0, after all that was written before."""

    def codegen(context, builder, sig, args):
        at = builder.gep(args[0], [args[1]])
        builder.store_atomic(integer(0), at, "release", 8)
        return context.get_dummy_value()

    return types.void(p, types.intp), codegen


@intrinsic
def stack_address(typingctx):
    """An address on this thread's stack."""

    def codegen(context, builder, sig, args):
        return builder.ptrtoint(local(builder, integer(0)), I64)

    return types.int64(), codegen
