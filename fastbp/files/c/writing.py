"""Nets in C99 for machines without Python: `to_c`."""

from __future__ import annotations

import os
import textwrap
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import __version__, checks, whole_files
from fastbp.files.c.floats import float_parts
from fastbp.files.c.int8 import error_on, int8_net, int8_parts
from fastbp.files.c.parts import GREATEST, Parts, has_classes, layers_of
from fastbp.files.c.quantization import MOST_FLOAT, Int8Error
from fastbp.files.c.text import array, checked_name, comment, filled, long_long, string
from fastbp.files.c.training import training_of
from fastbp.files.chain import Chain, FloatArray, chain_of, in_dtype, net_of

TYPES = {
    "float": np.float32, "double": np.float64, "int8": np.int8, "float32": np.float32,
    "float64": np.float64,
}  # fmt: skip
"""The dtypes of C's types, too."""
PLACES = {"auto": None, "stack": False, "caller": True}
"""Where the outputs of hidden layers stand, and whether the caller passes it."""
LONG = 2**31 - 1
LONGEST_TEXT = 4095
"""Bytes of text that every compiler of C99 takes (5.2.4.1)."""
POINTER = 4
"""Bytes of an address on a microcontroller."""

HEADER = """\
{about}
#ifndef UPPER_H
#define UPPER_H
{includes}
#ifdef __cplusplus
extern "C" {{
#endif

#define UPPER_INPUTS {inputs}
#define UPPER_OUTPUTS {outputs}

{declarations}
#ifdef __cplusplus
}}
#endif

#endif
"""


class CFiles(NamedTuple):
    """What `to_c` has written.

    Attributes
    ----------
    header, source : Path
    flash : int
        Bytes of the constants: weights, biases, scales, tables, labels. Code comes on top.
    ram : int
        Bytes of the arrays of one call, on its stack or passed by the caller. What the few
        functions put on the stack comes on top.
    error : Int8Error or None
        With dtype="int8": how far the outputs are from those of the net.
    """

    header: Path
    source: Path
    flash: int
    ram: int
    error: Int8Error | None


def to_c(
    net: Any,
    folder: str | os.PathLike[str],
    *,
    name: str = "net",
    dtype: npt.DTypeLike | None = None,
    input_scaler: Any = None,
    output_scaler: Any = None,
    class_labels: Any = None,
    calibration: npt.ArrayLike | None = None,
    training: bool = False,
    scratch: str = "auto",
    fma: bool = False,
) -> CFiles:
    """Write a net in C99, a header and a source: no allocation, no state, no library but math.h.

    The header says what net it is, how to call it, and what it takes of memory; the same net gives
    the same text. Both files compile as C++, too.

    Parameters
    ----------
    net : MLP, or a fitted MLPClassifier or MLPRegressor of fastbp.sklearn or scikit-learn
    folder : str or path
        Where ``name.h`` and ``name.c`` are written. It is made if it is not there.
    name : str, default="net"
        What all names begin with: an identifier of C.
    dtype : {"float32", "float64", "int8"}, optional
        In which type the C computes; the net's own by default. "float" and "double" are C's names
        of the first two. With "int8" weights and outputs of layers have 8 bits, and between inputs
        and outputs there are whole numbers only.
    input_scaler, output_scaler : (mean, scale), or a scaler of scikit-learn, optional
        What the inputs were scaled by in front of the net, and the targets. The C then takes and
        returns what has not been scaled.
    class_labels : sequence of int or of str, optional
        One for each output, or two where there is one output.
    calibration : array-like, shape (rows, n_in), optional
        With "int8", and only then: inputs as the C will be given them, such as those of the
        training, by which the ranges of the whole numbers are chosen.
    training : bool, default=False
        Whether the C can train further, by ``name_train_step``, which is a `MLP.step` of plain SGD
        with one row. What is frozen stays constant, and layers below the lowest that is not cost
        no backward pass.
    scratch : {"auto", "stack", "caller"}, default="auto"
        Where the outputs of hidden layers stand: on the stack, or in an array that the caller
        passes. "auto" leaves to the caller what is larger than 2 KiB.
    fma : bool, default=False
        Add each product to its sum without rounding it first, by fmaf or fma: an instruction of
        many processors, and slow on others.

    Returns
    -------
    CFiles
        Both paths, bytes of flash and of RAM, and with "int8" the error.

    Raises
    ------
    ValueError, TypeError
        For nets that cannot be written in C, and bad options; nothing is written then.
    OSError
        Whatever the system says, such as a full disk.

    Notes
    -----
    Outputs equal those of `MLP.predict`, rounding apart: for each activation to 5e-7 of the output
    in float and to 2e-15 in double, measured with glibc, whose elementary functions they are. A
    unit's sum begins with its bias and goes through its inputs in order. With ``fma=True`` these
    are the sums of fastbp's batches to the bit, in layers of four or more units and for the rows
    of whole tiles (the first 512 of a batch of 512, for one); what comes after a few rows, few
    units or in a batch of one row, fastbp sums in another order.

    Graphs as activations are computed in double, as in fastbp; where fastbp raises a GraphError,
    the C returns infinity or NaN.

    Functions are ``name_predict(x, y)``; ``name_class(x)``, the index of the class, after softmax,
    one sigmoid or with labels, which are ``name_labels``; with "int8" also ``name_quantize``,
    ``name_predict_int8``, ``name_dequantize`` and ``name_class_int8``; for training ``name_init``
    and ``name_train_step``.

    Examples
    --------
    >>> import tempfile
    >>> from fastbp import MLP
    >>> from fastbp.files import to_c
    >>> net = MLP((64, 100, 10), loss="cross_entropy", seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = to_c(net, folder, name="digits")
    >>> written.header.name, written.source.name, written.flash, written.ram
    ('digits.h', 'digits.c', 30040, 400)
    """
    name = checked_name(name)
    caller = PLACES[checks.choice("scratch", scratch, PLACES)]
    fma = checks.flag("fma", fma)
    kind = _type(dtype)
    trained = training_of(net) if checks.flag("training", training) else None
    own = chain_of(
        net, input_scaler=input_scaler, output_scaler=output_scaler, class_labels=class_labels
    )
    for label in own.labels or ():
        if len(str(label).encode()) > LONGEST_TEXT:
            raise ValueError(
                f"class_labels must have at most {LONGEST_TEXT} bytes each, as a C99 compiler "
                f"takes; got {label!r:.60}..."
            )
    if kind == np.int8:
        if fma or trained is not None:
            what = "fma" if fma else "training"
            raise ValueError(f"{what}=True is for floats; with dtype='int8' leave it out")
        parts, error = _in_int8(own, calibration, caller)
    elif calibration is not None:
        raise ValueError("calibration is for dtype='int8' alone; leave it out")
    else:
        error = None
        chain = own if kind is None else in_dtype(own, kind)
        parts = float_parts(chain, caller, fma, trained)
    if has_classes(own):
        _add_classes(parts)
    return _write(Path(os.fspath(folder)), name, parts, error)


def _type(dtype: Any) -> np.dtype[Any] | None:
    """The dtype that the C computes in, None for the net's own."""
    if dtype is None:
        return None
    if isinstance(dtype, str):
        return np.dtype(TYPES[checks.choice("dtype", dtype, TYPES)])
    try:
        if np.dtype(dtype) == np.int8:
            return np.dtype(np.int8)
    except TypeError:
        pass
    return checks.float_dtype(dtype)


def _in_int8(own: Chain, calibration: Any, caller: bool | None) -> tuple[Parts, Int8Error]:
    """A net in whole numbers, and its error on the calibration rows."""
    if calibration is None:
        raise ValueError(
            "dtype='int8' needs calibration=X, a few hundred rows of inputs such as those of the "
            "training, by which the ranges of the numbers are chosen"
        )
    checks.refuse_sparse("calibration", calibration, "dtype='int8'")
    inputs = checks.matrix("calibration", calibration, own.n_in, np.float32, "the net's inputs")
    checks.finite("calibration", inputs, calibration)
    chain, net = int8_net(in_dtype(own, np.dtype(np.float32)), inputs)
    classes = has_classes(own)
    wanted = _outputs(own, inputs)
    if not (np.abs(wanted) <= MOST_FLOAT).all():
        raise ValueError(
            "the outputs for the calibration rows must be within float32; they reach "
            f"{np.abs(wanted).max():.3g}"
        )
    error = error_on(chain, net, inputs, wanted, classes)
    parts = int8_parts(chain, net, caller, classes)
    parts.about += textwrap.wrap(str(error), 88)
    return parts, error


def _outputs(chain: Chain, inputs: FloatArray) -> FloatArray:
    """What the net itself returns, with the scaling around it."""
    x = inputs.astype(np.float64)
    if chain.input_scaling is not None:
        x = (x - chain.input_scaling.mean) / chain.input_scaling.scale
    y = net_of(chain.layers, dtype=chain.dtype).predict(x)
    if chain.output_scaling is not None:
        y = y * chain.output_scaling.scale + chain.output_scaling.mean
    return y


def _add_classes(parts: Parts) -> None:
    """Add what returns the index of the class, if it is not there, and the labels."""
    chain = parts.chain
    scratch = parts.scratch
    if not any("NAME_class(" in text for text in parts.functions):
        if chain.n_out > 1:
            lines = ["int best = 0;"]
            choice = GREATEST
            about = "The index of the largest output for inputs x."
        else:
            lines = []
            choice = f"return y[0] > {chain.threshold}_F;"
            about = f"1 if the output for inputs x is above {chain.threshold}, else 0."
        parts.function(
            f"int NAME_class({parts.parameter}const REAL *x{scratch.parameter})",
            ["REAL y[UPPER_OUTPUTS];", *lines],
            [f"NAME_predict({parts.argument}x, y{scratch.argument});", *choice.splitlines()],
            about,
        )
    if chain.labels is not None:
        kind, values, size = _labels(chain.labels)
        about = "/* The classes by their index. */\n"
        parts.declarations.append(f"{about}extern const {kind} NAME_labels[{len(values)}];\n")
        parts.constants.append(array(f"const {kind}", "NAME_labels", values, 1))
        parts.flash += size


def _labels(labels: list[int] | list[str]) -> tuple[str, list[str], int]:
    """The type of the labels, their constants and their size in bytes."""
    numbers = [label for label in labels if isinstance(label, int)]
    if not numbers:
        texts = [str(label) for label in labels]
        size = sum(len(text.encode()) + 1 + POINTER for text in texts)
        return "char *const", [string(text) for text in texts], size
    most = max(abs(number) for number in numbers)
    if most > LONG:
        return "long long", [long_long(number) for number in numbers], 8 * len(numbers)
    return "long", [f"{number}L" for number in numbers], 4 * len(numbers)


def _example(parts: Parts) -> list[str]:
    """How the functions are called."""
    lines = ["REAL x[UPPER_INPUTS] = {0};", "REAL y[UPPER_OUTPUTS];"]
    if parts.scratch.caller:
        lines.append(f"{parts.scratch.kind} scratch[UPPER_SCRATCH];")
    net = ""
    if parts.trained:
        lines += ["static NAME_parameters net;", "NAME_init(&net);"]
        net = "&net, "
    return [*lines, f"NAME_predict({net}x, y{parts.scratch.argument});"]


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _write(folder: Path, name: str, parts: Parts, error: Int8Error | None) -> CFiles:
    """Write both files, when all is known to be right."""
    chain = parts.chain
    scratch = parts.scratch
    about = [
        f"A net in C99, written by fastbp {__version__}.",
        "",
        *[f"  {line}" for line in layers_of(chain)],
        "",
        *parts.about,
        f"Constants take {parts.flash} bytes, a prediction arrays of {parts.call} bytes "
        f"{scratch.place}.",
        "No allocation and no state: calls may run side by side.",
        "",
        *[f"    {line}" for line in _example(parts)],
    ]
    header = HEADER.format(
        about=comment([filled(line, name, parts.single) for line in about]),
        includes="".join(f"\n#include <{file}>\n" for file in parts.includes),
        inputs=chain.n_in,
        outputs=chain.n_out,
        declarations="\n".join(parts.declarations),
    )
    includes = [f'#include "{name}.h"\n', *["#include <math.h>\n"] * parts.math]
    source = "\n".join([*includes, *parts.constants, *parts.functions])
    texts = {f"{name}.h": header, f"{name}.c": source}
    folder.mkdir(parents=True, exist_ok=True)
    for file in texts:
        whole_files.target_of(folder / file)
    for file, text in texts.items():
        content = filled(text, name, parts.single).encode("ascii")
        whole_files.write(folder / file, partial(_put, content))
    return CFiles(folder / f"{name}.h", folder / f"{name}.c", parts.flash, parts.ram, error)
