"""Print what nets in C reach: errors of activations, int8 on digits, bytes. Run it as a program."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from c_code import Library
from helpers import DTYPES

from fastbp import MLP
from fastbp.files import to_c
from fastbp.kernels.activations import ACTIVATIONS

sys.path.append(str(Path(__file__).parent / "files"))
from test_c import GRAPHS, identity_net, points


def print_errors(folder: Path) -> None:
    """The largest error of an output, for each activation, as a share of the largest of its row."""
    units = {**dict.fromkeys(ACTIVATIONS), **GRAPHS}
    names = [f"{unit}_{dtype}" for unit in units for dtype in DTYPES]
    made = {}
    for unit, expression in units.items():
        for dtype in DTYPES:
            net = identity_net(8, unit if expression is None else expression, dtype)
            made[f"{unit}_{dtype}"] = net
            to_c(net, folder, name=f"{unit}_{dtype}")
    library = Library(folder, names)
    print(f"{'activation':<14} {'float32':>9} {'float64':>9}   net inputs up to 1e30")
    for unit, expression in units.items():
        errors = []
        for dtype in DTYPES:
            x = points(dtype)
            if expression is not None:  # beyond, fastbp raises
                x = x[np.abs(x).max(axis=1) <= 110]
            want = made[f"{unit}_{dtype}"].predict(x).astype(np.float64)
            got = library.predict(f"{unit}_{dtype}", x, 8)
            tiny = np.finfo(dtype).tiny  # below, fastbp has no numbers
            difference = np.abs(got - want).max(axis=1) - 2.0 * tiny
            most = np.maximum(np.abs(want).max(axis=1), tiny)
            errors.append(max(0.0, float((difference / most).max())))
        shown = unit if expression is None else f"graph {unit}"
        print(f"{shown:<14} {errors[0]:9.1e} {errors[1]:9.1e}")


def print_digits(folder: Path) -> None:
    """64-100-10 on the digits: accuracy, the error that is stated, bytes."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = (x[order] / 16).astype(np.float32), y[order]
    print("\n64-100-10 on 497 digits   fastbp   float    int8")
    for activation in ("relu", "tanh", "gelu"):
        net = MLP((64, 100, 10), activation=activation, loss="cross_entropy", seed=0)
        net.fit(x[:1300], y[:1300], epochs=20)
        names = [f"{activation}_digits_{dtype}" for dtype in ("float32", "int8")]
        written = [
            to_c(net, folder, name=names[0]),
            to_c(net, folder, name=names[1], dtype="int8", calibration=x[:1300]),
        ]
        library = Library(folder, names)
        right = [(net.predict(x[1300:]).argmax(axis=1) == y[1300:]).mean()]
        right += [np.mean(library.classes(name, x[1300:]) == y[1300:]) for name in names]
        print(f"{activation:<24} {right[0]:8.2%} {right[1]:7.2%} {right[2]:7.2%}")
        print(f"  {written[1].error}")
        for dtype, files in zip(("float", "int8"), written, strict=True):
            print(f"  {dtype}: {files.flash:,} bytes of flash, {files.ram} bytes of RAM")


if __name__ == "__main__":
    for part in (print_errors, print_digits):
        with TemporaryDirectory() as where:
            part(Path(where))
