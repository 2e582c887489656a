"""What the methods of a compiled net say of their arguments, in compiled code and in Python."""

from __future__ import annotations

ROW_OR_ROWS = (
    "{x} and {y} must have the shapes (n_in,) and (n_out,), or (rows, n_in) and (rows, n_out)"
)
LABELS = (
    "y must hold targets, or class labels: a one-dimensional, C-contiguous array of int64 with one "
    "label for each row of x"
)
NO_CLASSES = "labels in y must be from 0 to n_out - 1"
GRAD = "grad must have the shape (n_params,)"
GRAD_OR_NONE = "grad must have the shape (n_params,), or (0,) where it is not wanted"
DX = "dx must have the shape of x, or be empty where it is not wanted"
TOO_MANY = "step takes no more rows than the argument `rows` of net.compiled says, 256 by default"
REFUSED = (
    "step takes finite x, targets such as the loss takes, and finite parameters; nothing was "
    "changed"
)
NOT_FINITE = "grad must be finite; nothing was changed"
GAPS = (
    "{x} and {y} must be C-contiguous arrays; got one with gaps. Copy what is read by "
    "np.ascontiguousarray, and make by np.empty what is written"
)
KIND = (
    "kind must be the `kind` of a net, a global of the function or a variable that it closes over: "
    "write kind = net.compiled().kind before it"
)
OTHER_KIND = "this function was compiled for another kind of net: take the `kind` of this one"
A_GLOBAL = (
    "a compiled net must be an argument of the function that calls it; got a global or closed-over "
    "variable, whose address would be fixed in the machine code. Write f among the arguments, and "
    "pass net.compiled()"
)


def one_number(name: str) -> str:
    """The sentence about a single number where an array may stand."""
    return (
        f"a single number as {name} goes with a single row x, (n_in,): its class label, where the "
        "loss takes labels, or its target or dy, where the net has one output"
    )


def array(name: str, dtype: object, ranks: tuple[int, ...], got: str) -> str:
    """The sentence about what is not such an array."""
    accepted = " or ".join(f"{rank}-dimensional" for rank in ranks)
    return f"{name} must be a C-contiguous, {accepted} array of {dtype}; {got}"


def dtype(name: str, accepted: object, ranks: tuple[int, ...], given: object) -> str:
    """The sentence about another dtype."""
    got = f"got {given}. The net has {accepted}: write {name}.astype(np.{accepted})"
    return array(name, accepted, ranks, got)


def gaps(name: str, dtype: object, ranks: tuple[int, ...], written: bool) -> str:
    """The sentence about an array with gaps."""
    mend = f"Make {name} by np.empty" if written else f"Write np.ascontiguousarray({name})"
    return array(name, dtype, ranks, f"got one with gaps. {mend}")


def read_only(name: str) -> str:
    """The sentence about an array that cannot be written to."""
    return f"{name} is written to; got a read-only array"
