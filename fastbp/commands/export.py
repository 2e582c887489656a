"""``python -m fastbp export FILE``: the net in a file as ONNX, C or Python."""

from __future__ import annotations

import csv
import os
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
    from fastbp.files import to_c, to_onnx, to_python

    try:
        net = _net(path, read(path))
        _check_paths(path, onnx, python, c, name)
        rows = None if calibration is None else _rows(calibration, net)
        shared = {"class_labels": None if labels is None else _labels(labels), "dtype": dtype}
        if onnx is not None:
            to_onnx(net, onnx, **shared)
            _say(f"{onnx}: {os.path.getsize(onnx):,} bytes, a model of ONNX")
        if c is not None:
            made = to_c(net, c, name=name, calibration=rows, training=training, **shared)
            n_bytes = os.path.getsize(made.header) + os.path.getsize(made.source)
            _say(f"{made.header}, {made.source}: {n_bytes:,} bytes of C99")
            _say(f"  {made.flash:,} bytes of flash for constants, {made.ram:,} of RAM in a call")
            if made.error is not None:
                _say(f"  {made.error}")
        if python is not None:
            to_python(net, python, **shared)
            _say(f"{python}: {os.path.getsize(python):,} bytes of Python, which needs NumPy alone")
            _say(f"  predict(X) in it, or: python {python} < rows.csv")
    except (ValueError, TypeError, OSError, ImportError) as error:
        return complain(error)
    return 0


def _say(line: str) -> None:
    print(printable(line))


def _net(path: str, found: Contents) -> Any:
    """The net or the estimator of a file."""
    one = found.holds
    if isinstance(one, MLP) or hasattr(one, "coefs_"):
        return one
    if one is None:
        what = "holds arrays, and nothing that says how they make a net"
    elif hasattr(one, "coef_"):
        what = "holds threshold units, a Perceptron, which none of these formats has"
    else:
        what = "holds an estimator that is not fitted"
    raise ValueError(f"{path} {what}. Export what MLP.save wrote, or a fitted network's save")


def _check_paths(
    path: str, onnx: str | None, python: str | None, c: str | None, name: str
) -> None:
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
    """Rows of inputs: a file of NumPy, or comma-separated numbers.

    Nothing is executed: pickles in a file of NumPy are refused.
    """
    n_in = len((net.weights if isinstance(net, MLP) else net.coefs_)[0])
    wanted = f"wanted are rows of {n_in} numbers, in a .npy file or with commas and no header"
    try:
        if path.endswith(".npy"):
            # Mapped, so that what lies about its size takes no memory.
            rows = np.load(path, mmap_mode="r", allow_pickle=False)
            if not isinstance(rows, np.ndarray):
                raise ValueError("it holds several arrays")
            return rows
        lines = [line for line in Path(path).read_text("utf-8").splitlines() if line.strip()]
        if not lines:
            raise ValueError("it is empty")
        return np.loadtxt(lines, delimiter=",", ndmin=2)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: {error}; {wanted}") from error
