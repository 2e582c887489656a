"""Nets in C99 for machines without Python: `to_c`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from fastbp import __version__, checks, whole_files
from fastbp.files.c_float import Code, float_code, layers_of
from fastbp.files.c_text import array, checked_name, comment, filled, string
from fastbp.files.chain import Chain, chain_of

TYPES = {"float": "float32", "double": "float64"}
"""The dtypes of C's types."""
PLACES = {"auto": None, "stack": False, "caller": True}
"""Where the outputs of hidden layers stand, and whether the caller passes it."""
LONG = 2**31 - 1
LONG_LONG = 2**63 - 1

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
GREATEST = """\
    for (int i = 1; i < UPPER_OUTPUTS; i++) {
        if (y[i] > y[best]) {
            best = i;
        }
    }
    return best;
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
    """

    header: Path
    source: Path
    flash: int
    ram: int


def to_c(
    net: Any,
    folder: str | os.PathLike[str],
    *,
    name: str = "net",
    dtype: npt.DTypeLike | None = None,
    input_scaler: Any = None,
    output_scaler: Any = None,
    class_labels: Any = None,
    scratch: str = "auto",
) -> CFiles:
    """Write a net as C99, a header and a source: no allocation, no state, no library but math.h.

    Parameters
    ----------
    net : MLP, or a fitted MLPClassifier or MLPRegressor of fastbp.sklearn or scikit-learn
    folder : str or path
        Where ``name.h`` and ``name.c`` are written. It is made if it is not there.
    name : str, default="net"
        What all names begin with: an identifier of C.
    dtype : {"float32", "float64"}, optional
        In which type the C computes: float or double; the net's own by default. "float" and
        "double" are C's names of them.
    input_scaler, output_scaler, class_labels
        As in `fastbp.files.chain.chain_of`.
    scratch : {"auto", "stack", "caller"}, default="auto"
        Where the outputs of hidden layers stand: on the stack, or in an array that the caller
        passes. "auto" leaves to the caller what is larger than 2 KiB.

    Returns
    -------
    CFiles

    Raises
    ------
    ValueError, TypeError
        For nets that cannot be written in C, and bad options; nothing is written then.
    OSError
        Whatever the system says, such as a full disk.
    """
    name = checked_name(name)
    caller = PLACES[checks.choice("scratch", scratch, PLACES)]
    if isinstance(dtype, str):
        dtype = TYPES.get(dtype, dtype)
    chain = chain_of(
        net, input_scaler=input_scaler, output_scaler=output_scaler, class_labels=class_labels,
        dtype=dtype,
    )  # fmt: skip
    code = _with_classes(float_code(chain, caller), chain)
    return _write(Path(os.fspath(folder)), name, chain, code)


def _with_classes(code: Code, chain: Chain) -> Code:
    """With the function that returns the index of the class, and the labels of the classes."""
    several = chain.n_out > 1
    activation = chain.layers[-1].activation
    if chain.labels is None and activation != ("softmax" if several else "sigmoid"):
        return code
    if chain.output_scaling is not None:
        return code
    scratch = code.scratch
    head = f"int NAME_class(const REAL *x{scratch.parameters})"
    threshold = f"{chain.threshold}_F"
    choice = GREATEST if several else f"    return y[0] > {threshold};\n"
    what = "The index of the largest output" if several else f"1 if the output is above {threshold}"
    first = "    REAL y[UPPER_OUTPUTS];\n" + "    int best = 0;\n" * several
    call = f"    NAME_predict(x, y{scratch.arguments});\n"
    function = f"{head}\n{{\n{first}\n{call}{choice}}}\n"
    declarations = f"/* {what}, else 0. */\n{head};\n".replace("output, else 0", "output")
    constants = code.constants
    flash = code.flash
    if chain.labels is not None:
        kind, values, size = _labels(chain.labels)
        declarations += f"\nextern const {kind} NAME_labels[{len(values)}];\n"
        constants = array(f"const {kind}", "NAME_labels", values, 1) + "\n" + constants
        flash += size
    return code._replace(
        declarations=f"{code.declarations}\n{declarations}",
        constants=constants,
        functions=f"{code.functions}\n{function}",
        flash=flash,
    )


def _labels(labels: list[int] | list[str]) -> tuple[str, list[str], int]:
    """The type of the labels, their constants and their size in bytes."""
    numbers = [label for label in labels if isinstance(label, int)]
    if not numbers:
        texts = [str(label) for label in labels]
        if any("\0" in text for text in texts):
            raise ValueError(f"class_labels must not have zero bytes, which end a text in C: {texts}")
        return "char *const", [string(text) for text in texts], sum(len(t) + 5 for t in texts)
    most = max(abs(number) for number in numbers)
    if most > LONG_LONG:
        raise ValueError(f"class_labels must be whole numbers of 64 bits or text; got {labels}")
    if most > LONG:
        return "long long", [f"{number}LL" for number in numbers], 8 * len(numbers)
    return "long", [f"{number}L" for number in numbers], 4 * len(numbers)


def _write(folder: Path, name: str, chain: Chain, code: Code) -> CFiles:
    """Write both files, when all is known to be right."""
    single = chain.dtype.itemsize == 4
    scratch = code.scratch
    sizes = [
        f"{code.flash} bytes of constants; {scratch.size} bytes of RAM, "
        + ("passed by the caller" if scratch.caller else "on the stack of a call"),
        "No allocation, no state: calls may run side by side.",
    ]
    example = [f"    {line}" for line in code.call]
    if scratch.caller:
        example.append(f"    {scratch.kind} scratch[UPPER_SCRATCH];")
    example.append(f"    NAME_predict(x, y{scratch.arguments});")
    about = [
        f"NAME_predict and what belongs to it: a net in C99, written by fastbp {__version__}",
        "", *layers_of(chain), *[f"  {line}" for line in (*code.about, *sizes)], "",
        *example,
    ]  # fmt: skip
    declarations = code.declarations
    if scratch.caller:
        count = sum(scratch.sizes)
        declarations = f"#define UPPER_SCRATCH {count}\n\n{declarations}"
    else:
        declarations = f"\n{declarations}"
    includes = "".join(f"#include <{header}>\n" for header in code.includes)
    header = HEADER.format(
        about=comment([filled(line, name, single) for line in about]),
        includes=f"\n{includes}" if includes else "",
        inputs=chain.n_in,
        outputs=chain.n_out,
        declarations=declarations,
    )
    math = "\n#include <math.h>\n" if code.math else ""
    source = f'#include "NAME_.h"\n{math}\n{code.constants}\n{code.functions}'
    texts = {
        f"{name}.h": filled(header, name, single),
        f"{name}.c": filled(source.replace("NAME_.h", f"{name}.h"), name, single),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file in texts:
        whole_files.target_of(folder / file)
    for file, text in texts.items():
        content = text.encode("ascii")
        whole_files.write(folder / file, lambda to, content=content: to.write(content))
    return CFiles(folder / f"{name}.h", folder / f"{name}.c", code.flash, scratch.size)
