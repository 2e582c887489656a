"""The methods of a compiled net as Numba sees them: types are checked here, shapes at the call."""

from __future__ import annotations

from typing import Any

from fastbp.embed.handle import EMBEDDED, N_IN, N_OUT
from fastbp.embed.kernels import PREDICT_ROWS
from fastbp.machine.embedding import call_embedded, handle_of, is_array, method, refuse
from fastbp.machine.pointers import load, pointer


def check_array(name: str, given: Any, dtype: Any, ranks: tuple[int, ...], written: bool) -> None:
    """Refuse what is no C-contiguous array of the dtype and one of the ranks, when compiling."""
    accepted = " or ".join(f"{rank}-dimensional" for rank in ranks)
    what = f"{name} must be a C-contiguous, {accepted} array of {dtype}"
    if not is_array(given):
        refuse(f"{what}; got {given}")
    if given.dtype != dtype:
        refuse(f"{what}, the dtype of the net; got {given.dtype}. Write {name}.astype(np.{dtype})")
    if given.ndim not in ranks:
        refuse(f"{what}; got {given.ndim} dimensions")
    if given.layout != "C":
        refuse(f"{what}; got one that may have gaps. Write np.ascontiguousarray({name})")
    if written and not given.mutable:
        refuse(f"{name} is written to; got a read-only array")


ROW_OR_ROWS = (
    "x and out must have the shapes (n_in,) and (n_out,), or (rows, n_in) and (rows, n_out)"
)


@method("predict")
def predict(f, x, out):
    """f.predict(x, out)."""
    check_array("x", x, f.dtype, (1, 2), False)
    check_array("out", out, f.dtype, (x.ndim,), True)
    if x.ndim == 1:

        def predict_row(f, x, out):
            h = handle_of(f)
            if x.size != load(h, N_IN) or out.size != load(h, N_OUT):
                raise ValueError(ROW_OR_ROWS)
            p, y = pointer(x, 0), pointer(out, 0)
            call_embedded(load(h, EMBEDDED), h, PREDICT_ROWS, p, y, p, p, 1)

        return predict_row

    def predict_rows(f, x, out):
        h = handle_of(f)
        rows = x.shape[0]
        if x.shape[1] != load(h, N_IN) or out.shape[0] != rows or out.shape[1] != load(h, N_OUT):
            raise ValueError(ROW_OR_ROWS)
        p, y = pointer(x, 0), pointer(out, 0)
        call_embedded(load(h, EMBEDDED), h, PREDICT_ROWS, p, y, p, p, rows)

    return predict_rows
