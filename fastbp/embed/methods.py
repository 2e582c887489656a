"""The methods of a compiled net as Numba sees them: types are checked here, shapes at the call."""

from fastbp.embed import words
from fastbp.embed.handle import CAPACITY, EMBEDDED, KIND, N_IN, N_OUT, N_PARAMS
from fastbp.embed.kernels import (
    APPLY_GRADIENT,
    LABELS_FIT,
    LOSS,
    PREDICT_ROWS,
    STEP,
    STEP_STATUS,
    TO_PARAMS,
    TO_X,
    VJP,
    predict_row,
)
from fastbp.embed.lookup import compiled_from
from fastbp.kernels.entry import REFUSED
from fastbp.machine.embedding import (
    TYPES,
    are_dense,
    call_embedded,
    handle_of,
    is_array,
    is_integer,
    is_number,
    is_of_integers,
    method,
    net_of,
    number_of,
    numbers_at,
    overloads,
    refuse,
)
from fastbp.machine.pointers import load, pointer


def check(f, name):
    """Refuse a method that the net does not have."""
    if name in f.refuses:
        refuse(f.refuses[name])


def check_array(f, name, given, ranks, written=False):
    """Refuse what is not a C-contiguous array of the net's dtype and one of the ranks.

    Of some arrays Numba does not know it, such as x in ``for x in X``: see `are_dense`.
    """
    if not is_array(given):
        refuse(words.array(name, f.dtype, ranks, f"got {given}"))
    if given.dtype != f.dtype:
        refuse(words.dtype(name, f.dtype, ranks, given.dtype))
    if given.ndim not in ranks:
        refuse(words.array(name, f.dtype, ranks, f"got {given.ndim} dimensions"))
    if given.layout == "F":
        refuse(words.gaps(name, f.dtype, ranks, written))
    if written and not given.mutable:
        refuse(words.read_only(name))


def is_label(f, y):
    """Whether y is a single number that is a label: an integer, where the loss takes labels."""
    return is_integer(y) and "labels" not in f.refuses


def check_rows(f, x, name, y):
    """Refuse what is neither a row nor rows, and what cannot be `name` of them."""
    check_array(f, "x", x, (1, 2))
    if not is_number(y):
        check_array(f, name, y, (x.ndim,))
    elif x.ndim != 1:
        refuse(words.one_number(name))


def check_targets(f, x, y):
    """Refuse what is neither a row nor rows with targets or labels; return whether with labels."""
    if not is_of_integers(y):
        check_rows(f, x, "y", y)
        return 1 if is_label(f, y) else 0
    check_array(f, "x", x, (1, 2))
    check(f, "labels")
    if y.ndim != 1 or y.dtype.bitwidth != 64 or not y.dtype.signed:
        refuse(words.LABELS)
    return 1


@method("predict")
def predict(f, x, out):
    """f.predict(x, out)."""
    check_array(f, "x", x, (1, 2))
    check_array(f, "out", out, (x.ndim,), written=True)
    written_out = f.row is not None
    message = words.ROW_OR_ROWS.format(x="x", y="out")
    gaps = words.GAPS.format(x="x", y="out")
    if x.ndim == 1:

        def of_row(f, x, out):
            h = handle_of(f)
            if x.size != load(h, N_IN) or out.size != load(h, N_OUT):
                raise ValueError(message)
            if not are_dense(x, out):
                raise ValueError(gaps)
            p, y = pointer(x, 0), pointer(out, 0)
            if written_out:
                predict_row(f, p, y)
            else:
                call_embedded(load(h, EMBEDDED), h, PREDICT_ROWS, p, p, y, p, p, 0, 1)

        return of_row

    def of_rows(f, x, out):
        h = handle_of(f)
        rows = x.shape[0]
        if x.shape[1] != load(h, N_IN) or out.shape[0] != rows or out.shape[1] != load(h, N_OUT):
            raise ValueError(message)
        if not are_dense(x, out):
            raise ValueError(gaps)
        p, y = pointer(x, 0), pointer(out, 0)
        call_embedded(load(h, EMBEDDED), h, PREDICT_ROWS, p, p, y, p, p, 0, rows)

    return of_rows


@method("_checked_rows")
def checked_rows(f, x, y):
    """How many rows x has, after a look at the shapes and the labels."""
    return rows_of(f, x, "y", y)


@method("_checked_rows_by_outputs")
def checked_rows_by_outputs(f, x, y):
    """The same for derivatives, which are no labels."""
    return rows_of(f, x, "dy", y)


def rows_of(f, x, name, y):
    """What checks x and y, which is called `name`."""
    labels = is_of_integers(y)
    message = words.LABELS if labels else words.ROW_OR_ROWS.format(x="x", y=name)
    no_classes = words.NO_CLASSES
    gaps = words.GAPS.format(x="x", y=name)
    if is_number(y):
        one_number = words.one_number(name)
        label = name == "y" and is_label(f, y)

        def one_row(f, x, y):
            h = handle_of(f)
            if x.size != load(h, N_IN) or not (label or load(h, N_OUT) == 1):
                raise ValueError(one_number)
            if not are_dense(x, y):
                raise ValueError(gaps)
            if label and not 0 <= int(y) < load(h, N_OUT):
                raise ValueError(no_classes)
            return 1

        return one_row

    def many_rows(f, x, y):
        h = handle_of(f)
        n_in = load(h, N_IN)
        rows = x.size // n_in
        width = 1 if labels else load(h, N_OUT)
        if (
            x.shape[-1] != n_in
            or rows == 0
            or y.size != rows * width
            or y.shape[-1] * rows != (y.size * (rows if labels else 1))
        ):
            raise ValueError(message)
        if not are_dense(x, y):
            raise ValueError(gaps)
        p, q = pointer(x, 0), pointer(y, 0)
        if labels and call_embedded(load(h, EMBEDDED), h, LABELS_FIT, p, p, q, p, p, 1, rows) == 0:
            raise ValueError(no_classes)
        return rows

    return many_rows


@method("loss_and_grad")
def loss_and_grad(f, x, y, grad):
    """f.loss_and_grad(x, y, grad)."""
    check(f, "loss_and_grad")
    labels = check_targets(f, x, y)
    check_array(f, "grad", grad, (1,), written=True)
    message = words.GRAD
    gaps = words.gaps("grad", f.dtype, (1,), True)

    def evaluated(f, x, y, grad):
        h = handle_of(f)
        rows = f._checked_rows(x, y)
        if grad.size != load(h, N_PARAMS):
            raise ValueError(message)
        if not are_dense(grad, grad):
            raise ValueError(gaps)
        p, g = pointer(x, 0), pointer(grad, 0)
        q = numbers_at(f, y)
        return call_embedded(load(h, EMBEDDED), h, LOSS, p, p, q, p, g, labels, rows)

    return evaluated


@method("vjp")
def vjp(f, x, dy, dx, grad):
    """f.vjp(x, dy, dx, grad)."""
    check(f, "vjp")
    check_rows(f, x, "dy", dy)
    check_array(f, "dx", dx, (1, 2), written=True)
    check_array(f, "grad", grad, (1,), written=True)
    of_dx, of_grad = words.DX, words.GRAD_OR_NONE
    gaps = words.GAPS.format(x="dx", y="grad")

    def derived(f, x, dy, dx, grad):
        h = handle_of(f)
        rows = f._checked_rows_by_outputs(x, dy)
        if dx.size != 0 and dx.size != x.size:
            raise ValueError(of_dx)
        if grad.size != 0 and grad.size != load(h, N_PARAMS):
            raise ValueError(of_grad)
        if not are_dense(dx, grad):
            raise ValueError(gaps)
        parts = (TO_X if dx.size > 0 else 0) + (TO_PARAMS if grad.size > 0 else 0)
        p, d, g = pointer(x, 0), pointer(dx, 0), pointer(grad, 0)
        q = numbers_at(f, dy)
        if parts > 0:
            call_embedded(load(h, EMBEDDED), h, VJP, p, p, q, d, g, parts, rows)

    return derived


@method("step")
def step(f, x, y):
    """f.step(x, y)."""
    check(f, "step")
    labels = check_targets(f, x, y)
    too_many, refused = words.TOO_MANY, words.REFUSED

    def updated(f, x, y):
        h = handle_of(f)
        rows = f._checked_rows(x, y)
        if rows > load(h, CAPACITY):
            raise ValueError(too_many)
        p = pointer(x, 0)
        q = numbers_at(f, y)
        loss = call_embedded(load(h, EMBEDDED), h, STEP, p, p, q, p, p, labels, rows)
        if loss != loss:
            status = call_embedded(load(h, EMBEDDED), h, STEP_STATUS, p, p, q, p, p, 0, rows)
            if status == REFUSED:
                raise ValueError(refused)
        return loss

    return updated


@method("apply_gradient")
def apply_gradient(f, grad):
    """f.apply_gradient(grad)."""
    check(f, "apply_gradient")
    check_array(f, "grad", grad, (1,), written=True)
    message, not_finite = words.GRAD, words.NOT_FINITE
    gaps = words.gaps("grad", f.dtype, (1,), True)

    def updated(f, grad):
        h = handle_of(f)
        if grad.size != load(h, N_PARAMS):
            raise ValueError(message)
        if not are_dense(grad, grad):
            raise ValueError(gaps)
        g = pointer(grad, 0)
        if call_embedded(load(h, EMBEDDED), h, APPLY_GRADIENT, g, g, g, g, g, 0, 1) != 0:
            raise ValueError(not_finite)

    return updated


@overloads(compiled_from)
def net_from(data, kind):
    """compiled_from(data, kind)."""
    name = getattr(kind, "literal_value", None)
    if name not in TYPES:
        refuse(words.KIND)
    net_at = net_of(TYPES[name])
    number = number_of(name)
    message = words.OTHER_KIND

    def found(data, kind):
        f = net_at(data)
        if load(handle_of(f), KIND) != number:
            raise ValueError(message)
        return f

    return found
