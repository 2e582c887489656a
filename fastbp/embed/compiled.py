"""`Compiled`: a net as compiled code takes it, and the same methods in Python."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.derivatives import given
from fastbp.derivatives.differentiable import Differentiable
from fastbp.embed import handle, lookup, words
from fastbp.embed.refusals import refusals
from fastbp.fit import calls
from fastbp.fit.one_step import OneStep
from fastbp.kernels import entry
from fastbp.kernels.state import L1, L2
from fastbp.kernels.table import Table
from fastbp.machine.addresses import AddressTable
from fastbp.machine.jit import compiles
from fastbp.model.net import FloatArray

if compiles():
    from fastbp.embed import types

Targets = FloatArray | npt.NDArray[np.int64] | float
FLOATS = (float, np.floating)
NUMBERS = (int, np.integer, np.bool_, *FLOATS)
KINDS = ("auto", "unrolled", "address")


class Compiled:
    """A net that functions compiled by Numba take as an argument: ``net.compiled()`` makes it.

    Its methods are the same in compiled code and in Python. They write what they compute into
    arrays of the caller, and take C-contiguous arrays of the net's dtype.

    Attributes
    ----------
    net : MLP
        Its parameters are read at each call: what is trained or assigned later is seen.
    address : int
        Where the handle of the net stands.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP
    >>> f = MLP((2, 3, 1), dtype="float64", seed=0).compiled()
    >>> x, out, grad = np.array([1.0, 2.0]), np.empty(1), np.empty(13)
    >>> f.predict(x, out)
    >>> loss = f.loss_and_grad(x, 0.5, grad)
    >>> bool(np.isclose(loss, (out[0] - 0.5) ** 2 / 2))
    True
    """

    def __init__(self, net: Differentiable, kind: str, rows: int, workspaces: int) -> None:
        self.net: Any = net
        self.rows = rows
        self.workspaces = workspaces
        spec = net.spec
        self._n_in, self._n_out = spec.layer_sizes[0], spec.layer_sizes[-1]
        self._handle = AddressTable(handle.SPACES + workspaces * handle.N_SPACE_CELLS)
        self.address: int = self._handle.cells.__array_interface__["data"][0]
        self._refused: dict[str, str] = {}
        self._kept: list[Any] = []
        self._kind = kind  # as it was asked for
        self.refresh()
        net._compiled.add(self)
        lookup.MADE[self.address] = self

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy is made anew: its handle stands elsewhere, and leads to the copy of the net."""
        return type(self), (self.net, self._kind, self.rows, self.workspaces)

    @property
    def kind(self) -> str:
        """What compiled code depends on: for `compiled_from`."""
        return self._numba_type_.name if compiles() else "uncompiled"

    @property
    def user_data(self) -> ctypes.c_void_p:
        """The address, as the user_data of a `scipy.LowLevelCallable`; keep the net alive."""
        return ctypes.c_void_p(self.address)

    def refresh(self) -> None:
        """Find the net's buffers again, where they were exchanged; no call may be running."""
        net = self.net
        h = self._handle
        refused = refusals(net)
        self._refused = refused
        tables = [self._put_space(number, refused) for number in range(self.workspaces)]
        self._kept = [tables, self._put_updates(refused)]
        sizes = (self._n_in, self._n_out, net.n_params, self.rows, self.workspaces)
        h.cells[handle.N_IN : handle.N_SPACES + 1] = sizes
        h.put(handle.PARAMS, net.params)
        if compiles():
            table = tables[0][0]
            calls.ready(table, False)
            h.cells[[handle.EMBEDDED, handle.ENTRY]] = types.addresses_for(table)
            self._numba_type_ = types.type_for(net, self._kind)
            h.cells[handle.KIND] = types.number_of(self.kind)

    def _put_space(self, number: int, refused: dict[str, str]) -> list[Table]:
        """The tables of a workspace, whose addresses go into the handle."""
        net = self.net
        first = handle.SPACES + number * handle.N_SPACE_CELLS + handle.PREDICT_ONE
        tables = [net.new_workspace(rows, False) for rows in (1, self.rows)]
        if "vjp" not in refused:
            for activated in (False, True):
                for rows in (1, self.rows):
                    table = net.new_workspace(rows, True, activated=activated)
                    blank = table.blank.reshape(-1)
                    nothing = given.rows_without_targets(table.blank)
                    calls.fill(table, nothing, net.optimizer_state(), blank, calls.NO_RANDOM)
                    tables.append(table)
        for cell, table in enumerate(tables, start=first):
            self._handle.put(cell, table.cells)
        return tables

    def _put_updates(self, refused: dict[str, str]) -> list[Any]:
        """What makes updates, with the addresses of its tables in the handle."""
        net = self.net
        kept: list[Any] = []
        if "step" not in refused:
            for cell, rows in ((handle.STEP_ONE, 1), (handle.STEP_MANY, self.rows)):
                one = OneStep(net, rows, net._training)
                self._handle.put(cell, one.table.cells)
                kept.append(one)
        if "apply_gradient" not in refused:
            table = net.new_workspace(1, True)
            settings = net.settings.copy()
            settings[[L1, L2]] = 0  # the gradient has them already
            table.put_optimizer(
                net.optimizer_state()._replace(settings=settings, frozen=net.frozen.view(np.uint8))
            )
            self._handle.put(handle.APPLY, table.cells)
            kept.append(table)
        return kept

    def predict(self, x: FloatArray, out: FloatArray) -> None:
        """Write the outputs of a row, or of rows, into `out`: the bits of ``net.predict``.

        Parameters
        ----------
        x : array of the net's dtype, shape (n_in,) or (rows, n_in)
        out : array of the net's dtype, shape (n_out,) or (rows, n_out)
            A row of x that is not finite has NaN here.

        Raises
        ------
        ValueError, TypeError
            For another shape, dtype or layout; nothing was written.
        """
        self._check("x", x, (1, 2))
        self._check("out", out, (x.ndim,), written=True)
        inputs, outputs = self._rows("x", x, "out", out)
        first = 0
        while first < len(inputs):
            index = self._predict_finite(inputs[first:], outputs[first:])
            if index < 0:
                return
            good = index // self._n_in
            if good > 0:
                self._predict_finite(inputs[first : first + good], outputs[first : first + good])
            outputs[first + good] = np.nan
            first += good + 1

    def _predict_finite(self, x: FloatArray, out: FloatArray) -> int:
        table = self.net.workspace(len(x), False)
        return int(calls.carry_out(table, entry.PREDICT, False, x, out))

    def loss_and_grad(self, x: FloatArray, y: Targets, grad: FloatArray) -> float:
        """Return the loss of a row, or the mean of rows, and write its gradient into `grad`.

        Both include the penalties; the bits are those of ``net.loss_and_grad`` up to `rows` rows.

        Parameters
        ----------
        x : array of the net's dtype, shape (n_in,) or (rows, n_in)
        y : array, shape (n_out,) or (rows, n_out), or class labels, int64, shape (1,) or (rows,)
            For one row, a label, or the target of a single output, may be a number. Compiled code
            does not check that targets are such as the loss takes.
        grad : array of the net's dtype, shape (n_params,)

        Returns
        -------
        float
            The loss.

        Raises
        ------
        ValueError, TypeError
            For other shapes, dtypes and layouts, and labels that are no classes.
        """
        self._check_method("loss_and_grad")
        X, targets = self._rows_and_targets(x, y)
        self._check_vector("grad", grad, words.GRAD)
        loss: float = self.net.loss_and_grad(X, targets, out=grad)[0]
        return loss

    def vjp(self, x: FloatArray, dy: FloatArray | float, dx: FloatArray, grad: FloatArray) -> None:
        """Write the derivatives of sum(dy * outputs) by x, into `dx`, and by `params`, into `grad`.

        Nothing is divided, and penalties have no share. A row of the Jacobian by x is `dx` with
        `dy` 1 for that output and else 0.

        Parameters
        ----------
        x : array of the net's dtype, shape (n_in,) or (rows, n_in)
        dy : array of the net's dtype, shape (n_out,) or (rows, n_out)
            For one row and one output it may be a number.
        dx : array of the net's dtype, shape of x
            Empty where it is not wanted.
        grad : array of the net's dtype, shape (n_params,)
            The sum over the rows. Empty where it is not wanted.

        Raises
        ------
        ValueError, TypeError
            For other shapes, dtypes and layouts, and nets with step units.
        """
        self._check_method("vjp")
        self._check("x", x, (1, 2))
        dy = self._array("dy", dy, x)
        self._check("dy", dy, (x.ndim,))
        self._check("dx", dx, (1, 2), written=True)
        X, dY = self._rows("x", x, "dy", dy)
        if dx.size not in (0, x.size):
            raise ValueError(f"{words.DX}; got {dx.shape}")
        if grad.size:
            self._check_vector("grad", grad, words.GRAD_OR_NONE)
        by_x, by_params = self.net.vjp(X, dY)
        if dx.size:
            dx.reshape(X.shape)[...] = by_x
        if grad.size:
            grad[...] = by_params

    def step(self, x: FloatArray, y: Targets) -> float:
        """Update the parameters by a row, or rows, and return the loss before: ``net.step``.

        In compiled code it returns NaN where the loss is not finite, and the parameters are as
        before. One thread may update at a time.

        Parameters
        ----------
        x : array of the net's dtype, shape (n_in,) or (rows, n_in)
        y : array, shape (n_out,) or (rows, n_out), or class labels, int64, shape (1,) or (rows,)
            As in `loss_and_grad`; at most `rows` rows.

        Returns
        -------
        float
            The loss before the update.

        Raises
        ------
        ValueError, TypeError
            As in `loss_and_grad`, and for numbers that are not finite; nothing was changed.
        """
        self._check_method("step")
        X, targets = self._rows_and_targets(x, y)
        if len(X) > self.rows:
            raise ValueError(f"{words.TOO_MANY}; got {len(X)}")
        loss: float = self.net.step(X, targets)
        return loss

    def apply_gradient(self, grad: FloatArray) -> None:
        """Update the parameters by a gradient: ``net.apply_gradient``.

        Parameters
        ----------
        grad : array of the net's dtype, shape (n_params,)
            Compiled code clips it in place, where the net clips.

        Raises
        ------
        ValueError, TypeError
            For another shape, dtype or layout, and numbers that are not finite.
        """
        self._check_method("apply_gradient")
        self._check_vector("grad", grad, words.GRAD)
        if not np.isfinite(grad).all():
            raise ValueError(words.NOT_FINITE)
        self.net.apply_gradient(grad)

    # ---- checks ----------------------------------------------------------------------------------

    def _check_method(self, name: str) -> None:
        if name in self._refused:
            raise ValueError(self._refused[name])

    def _check(self, name: str, array: Any, ranks: tuple[int, ...], written: bool = False) -> None:
        dtype = self.net.dtype
        if not isinstance(array, np.ndarray):
            raise TypeError(words.array(name, dtype, ranks, f"got {type(array).__name__}"))
        if array.dtype != dtype:
            raise TypeError(words.dtype(name, dtype, ranks, array.dtype))
        if array.ndim not in ranks:
            raise TypeError(words.array(name, dtype, ranks, f"got {array.ndim} dimensions"))
        if not array.flags.c_contiguous:
            raise TypeError(words.gaps(name, dtype, ranks, written))
        if written and not array.flags.writeable:
            raise TypeError(words.read_only(name))

    def _check_vector(self, name: str, array: Any, message: str) -> None:
        self._check(name, array, (1,), written=True)
        if array.shape != (self.net.n_params,):
            raise ValueError(f"{message}, here ({self.net.n_params},); got {array.shape}")

    def _rows(self, name: str, x: Any, other: str, y: Any) -> tuple[FloatArray, FloatArray]:
        """Both as rows."""
        if x.shape[-1:] != (self._n_in,) or y.shape != (*x.shape[:-1], self._n_out):
            shapes = words.ROW_OR_ROWS.format(x=name, y=other)
            raise ValueError(
                f"{shapes}, n_in being {self._n_in} and n_out {self._n_out}; got {x.shape} and "
                f"{y.shape}"
            )
        return x.reshape(-1, self._n_in), y.reshape(-1, self._n_out)

    def _array(self, name: str, y: Any, x: FloatArray) -> Any:
        """The array that a single number stands for; all else as it is."""
        if not isinstance(y, NUMBERS):
            return y
        label = name == "y" and "labels" not in self._refused and not isinstance(y, FLOATS)
        if x.ndim != 1 or not (label or self._n_out == 1):
            raise (TypeError if x.ndim != 1 else ValueError)(words.one_number(name))
        return np.array([y], np.int64 if label else self.net.dtype)

    def _rows_and_targets(self, x: Any, y: Any) -> tuple[FloatArray, Any]:
        """Rows and targets, or labels."""
        self._check("x", x, (1, 2))
        y = self._array("y", y, x)
        if not (isinstance(y, np.ndarray) and y.dtype.kind in "iu"):
            self._check("y", y, (x.ndim,))
            return self._rows("x", x, "y", y)
        self._check_method("labels")
        X, _ = self._rows("x", x, "y", np.empty((*x.shape[:-1], self._n_out)))
        if y.dtype != np.int64 or not y.flags.c_contiguous:
            raise TypeError(words.LABELS)
        if y.shape != (len(X),):
            raise ValueError(f"{words.LABELS}; got {y.shape}")
        if not ((y >= 0) & (y < self._n_out)).all():
            raise ValueError(words.NO_CLASSES)
        return X, y


def compiled(net: Differentiable, kind: str, rows: int, workspaces: int | None) -> Compiled:
    """`MLP.compiled`."""
    kind = checks.choice("kind", kind, KINDS)
    rows = checks.count("rows", rows)
    count = os.cpu_count() or 1 if workspaces is None else checks.count("workspaces", workspaces)
    if net.in_python is not None and net.in_python.activations:
        raise ValueError(
            "a net with an activation in Python cannot be called from compiled code; got one in "
            f"layer {min(net.in_python.activations)}. Give that layer a named activation"
        )
    own = [i for i, unit in enumerate(net.activations) if not isinstance(unit, str)]
    if own and kind == "unrolled":
        raise ValueError(
            "the code of a row is written out for built-in activations; got "
            f"{net.activations[own[0]]!r} in layer {own[0]}. Take kind='auto'"
        )
    return Compiled(net, kind, rows, count)


if compiles():
    types.knows(Compiled, words.A_GLOBAL)
