"""``python -m fastbp export FILE``: the net in a file as ONNX, C or Python."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.commands.contents import Contents, read
from fastbp.commands.printing import complain, printable
from fastbp.mlp import MLP

DTYPES = ("float32", "float64", "int8")


def run(
    path: str,
    *,
    onnx: str | None = None,
    c: str | None = None,
    python: str | None = None,
    name: str = "net",
    dtype: str | None = None,
    labels: str | None = None,
    calibration: str | None = None,
    training: bool = False,
) -> int:
    """Write the net of a file in other formats, and print what was written.

    Parameters
    ----------
    path : str
    onnx, python : str, optional
        Files to write.
    c : str, optional
        The folder for a header and a source.
    name, training
        As in `fastbp.files.to_c`.
    dtype : {"float32", "float64", "int8"}, optional
        The net's own by default; "int8" in C alone.
    labels : str, optional
        Class labels with commas between them; whole numbers where all are.
    calibration : str, optional
        A file of rows for "int8".

    Returns
    -------
    int
        The exit status: 1 when anything could not be read or written. What stands before it in
        the order ONNX, C, Python is written then.
    """
    try:
        net = _net(path, read(path))
        _check_paths(path, onnx, python, c, name)
        rows = None if calibration is None else _rows(calibration, net)
        options = {"dtype": dtype, "class_labels": None if labels is None else _labels(labels)}
        if onnx is not None:
            _write_onnx(net, onnx, options)
        if c is not None:
            _write_c(net, c, options | {"name": name, "calibration": rows, "training": training})
        if python is not None:
            _write_python(net, python, options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        return complain(error)
    return 0


def _write_onnx(net: Any, path: str, options: dict[str, Any]) -> None:
    from fastbp.files.onnx.exchange import to_onnx

    with _named(path):
        to_onnx(net, path, **options)
    _say(f"{path}: {os.path.getsize(path):,} bytes, a model of ONNX")


def _write_c(net: Any, folder: str, options: dict[str, Any]) -> None:
    from fastbp.files.c.writing import to_c

    with _named(folder):
        made = to_c(net, folder, **options)
    n_bytes = os.path.getsize(made.header) + os.path.getsize(made.source)
    _say(f"{made.header}, {made.source}: {n_bytes:,} bytes of C99")
    _say(f"  {made.flash:,} bytes of flash for constants, {made.ram:,} of RAM in a call")
    if made.error is not None:
        _say(f"  {made.error}")


def _write_python(net: Any, path: str, options: dict[str, Any]) -> None:
    from fastbp.files.python import to_python

    with _named(path):
        to_python(net, path, **options)
    _say(f"{path}: {os.path.getsize(path):,} bytes of Python, which needs NumPy alone")
    _say(f"  predict(X) in it, or: python {path} < rows.csv")


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Errors of writing name what was asked for, and not a temporary file beside it."""
    try:
        yield
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror or error}") from error


def _say(line: str) -> None:
    print(printable(line))


def _net(path: str, found: Contents) -> Any:
    """The net or the estimator of a file."""
    one = found.holds
    if isinstance(one, MLP) or hasattr(one, "coefs_"):
        return one
    if one is None:
        what = "arrays, and nothing that says how they make a net"
    elif hasattr(one, "coef_"):
        what = "a Perceptron, whose threshold units none of these formats has"
    else:
        what = "an estimator that is not fitted"
    raise ValueError(
        f"{path} holds {what}. Take the file of an MLP, or of a fitted MLPClassifier or "
        "MLPRegressor"
    )


def _check_paths(path: str, onnx: str | None, python: str | None, c: str | None, name: str) -> None:
    """No file is written over the one that is read, or over another of this call."""
    files = [path, *[file for file in (onnx, python) if file is not None]]
    if c is not None:
        files += [os.path.join(c, f"{name}.{ending}") for ending in "hc"]
    seen: set[str] = set()
    for file in files:
        real = os.path.realpath(file)
        if real in seen:
            raise ValueError(f"{file} would be written over; give each file a name of its own")
        seen.add(real)


def _labels(text: str) -> list[int] | list[str]:
    """Labels of classes; one that has a comma stands in double quotes."""
    given = [label.strip() for label in next(csv.reader([text], skipinitialspace=True), [])]
    try:
        numbers = [int(label) for label in given]
    except ValueError:
        return given
    return numbers if [str(number) for number in numbers] == given else given


def _rows(path: str, net: Any) -> npt.NDArray[Any]:
    """Rows of inputs: a file of NumPy, or comma-separated numbers."""
    n_in = len((net.weights if isinstance(net, MLP) else net.coefs_)[0])
    try:
        if path.endswith(".npy"):
            # Mapped, so that what lies about its size takes no memory; pickles are refused.
            return np.lib.format.open_memmap(path, mode="r")
        lines = [line for line in Path(path).read_text("utf-8").splitlines() if line.strip()]
        if not lines:
            raise ValueError("it is empty")
        return np.loadtxt(lines, delimiter=",", ndmin=2)
    except UnicodeDecodeError:
        reason: object = "it is not text"
    except ValueError as error:
        reason = error
    raise ValueError(
        f"{path}: {str(reason).rstrip('.')}. Wanted are rows of {n_in} numbers: lines with commas "
        "and no header, or a .npy file"
    )
