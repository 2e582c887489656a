"""What every kind of net in C is put together from: the parts of a header and of a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastbp.files.c.activations import Functions
from fastbp.files.c.text import array, comment, real
from fastbp.files.chain import Chain, FloatArray, in_type
from fastbp.model.activations import Activation

STACK_BYTES = 2048
"""Scratch that a function takes from its stack at most, unless asked to."""
WIDEST_HEAD = 90
"""Characters of a template's head that stays in one line."""
SCALE_INPUTS = """\
static void NAME_scale_inputs(const REAL *x, REAL *scaled)
{
    for (int k = 0; k < UPPER_INPUTS; k++) {
        scaled[k] = (x[k] - NAME_input_means[k]) * NAME_input_factors[k];
    }
}
"""
SCALE_OUTPUTS = """\
static void NAME_scale_outputs(REAL *y)
{
    for (int i = 0; i < UPPER_OUTPUTS; i++) {
        y[i] = y[i] * NAME_output_scales[i] + NAME_output_means[i];
    }
}
"""
GREATEST = """\
for (int i = 1; i < UPPER_OUTPUTS; i++) {
    if (y[i] > y[best]) {
        best = i;
    }
}
return best;"""


class Scratch(NamedTuple):
    """Where results within a call stand.

    Attributes
    ----------
    arrays : dict of str to int
        Their names, and how many numbers they have.
    kind : str
        Type of the numbers.
    itemsize : int
        Bytes of a number.
    caller : bool
        Whether the caller passes them.
    """

    arrays: dict[str, int]
    kind: str
    itemsize: int
    caller: bool

    @property
    def length(self) -> int:
        """Numbers in all."""
        return sum(self.arrays.values())

    @property
    def place(self) -> str:
        """Where they stand, in words."""
        return "that the caller passes" if self.caller else "on the stack"

    @property
    def parameter(self) -> str:
        """What functions that need it take behind their other parameters."""
        return f", {self.kind} *scratch" if self.caller else ""

    @property
    def argument(self) -> str:
        """What they are passed."""
        return ", scratch" if self.caller else ""

    @property
    def lines(self) -> list[str]:
        """The first lines of such a function."""
        lines = []
        first = 0
        for name, size in self.arrays.items():
            offset = f" + {first}" if first else ""
            passed = f"{self.kind} *const {name} = scratch{offset};"
            lines.append(passed if self.caller else f"{self.kind} {name}[{size}];")
            first += size
        return lines


def scratch_of(arrays: dict[str, int], kind: str, itemsize: int, caller: bool | None) -> Scratch:
    """Scratch of arrays, of which those without numbers are left out.

    Parameters
    ----------
    arrays, kind, itemsize
        As in `Scratch`.
    caller : bool or None
        None leaves more than `STACK_BYTES` to the caller.
    """
    needed = {name: size for name, size in arrays.items() if size}
    if caller is None:
        caller = sum(needed.values()) * itemsize > STACK_BYTES
    return Scratch(needed, kind, itemsize, caller and bool(needed))


def in_turn(sizes: Sequence[int]) -> dict[str, int]:
    """The arrays a and b for results that are each made from the one before.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of each result.
    """
    return {"a": max(sizes[0::2], default=0), "b": max(sizes[1::2], default=0)}


class Parts:
    """The parts of two files, as templates (`fastbp.files.c.text`).

    Parameters
    ----------
    chain : Chain
        Its dtype is the type REAL.
    scratch : Scratch
        That of the functions that predict.

    Attributes
    ----------
    about : list of str
        Lines of the comment on top of the header.
    includes : list of str
        Headers of the compiler that the header includes.
    declarations, constants, functions : list of str
    late : list of str
        Functions that call those of the activations.
    activations : Functions
    trained : dict of str to int
        Arrays that training changes, and their sizes: they stand in a struct of the caller.
    math : bool
        Whether the source needs ``math.h``.
    flash : int
        Bytes of the constants.
    call, step, struct : int
        Bytes of the arrays of a prediction, of those of a step of training, and of what it changes.
    """

    def __init__(self, chain: Chain, scratch: Scratch) -> None:
        self.chain = chain
        self.scratch = scratch
        self.single = chain.dtype == np.float32
        self.about: list[str] = []
        self.includes: list[str] = []
        self.declarations: list[str] = []
        self.constants: list[str] = []
        self.functions: list[str] = []
        self.late: list[str] = []
        self.trained: dict[str, int] = {}
        self.activations = Functions(self.single)
        self.math = False
        self.flash = 0
        self.call = scratch.length * scratch.itemsize
        self.step = 0
        self.struct = 0
        if scratch.caller:
            self.declarations.append(f"#define UPPER_SCRATCH {scratch.length}\n")

    def constant(
        self, kind: str, itemsize: int, name: str, values: Sequence[str], row: int = 0,
        about: str = "",
    ) -> None:  # fmt: skip
        """Add a constant array.

        Parameters
        ----------
        kind : str
            Type of its numbers.
        itemsize : int
            Bytes of one.
        name : str
        values : sequence of str
        row : int, optional
            Numbers of a unit.
        about : str, optional
            A comment.
        """
        text = array(f"static const {kind}", f"NAME_{name}", values, row, "unit" * bool(row))
        self.constants.append(comment([about]) + text if about else text)
        self.flash += itemsize * len(values)

    def reals(self, name: str, values: FloatArray, row: int = 0, about: str = "") -> None:
        """Add a constant array of REAL; parameters as in `constant`."""
        texts = [real(value, self.single) for value in values.ravel()]
        self.constant("REAL", values.dtype.itemsize, name, texts, row, about)

    def function(
        self, head: str, lines: Sequence[str], statements: Sequence[str], about: str = ""
    ) -> None:
        """Add a function.

        Parameters
        ----------
        head : str
        lines, statements : sequence of str
            Its declarations, and what it does.
        about : str, optional
            What it is for: it is then declared in the header.
        """
        if len(head) > WIDEST_HEAD:
            head = head.replace("(", "(\n    ", 1)
        if about:
            self.declarations.append(f"{comment(about.splitlines())}{head};\n")
        rows = "\n".join([*lines, *[""] * bool(lines), *statements]).splitlines()
        inner = "\n".join(f"    {row}" if row else "" for row in rows)
        self.functions.append(f"{head}\n{{\n{inner}\n}}\n")

    def input_scaling(self, means: FloatArray, factors: FloatArray) -> None:
        """Add what scales inputs: ``(x - mean) * factor``."""
        self.reals("input_means", means)
        self.reals("input_factors", factors)

    def output_scaling(self) -> list[str]:
        """Add what scales outputs back, and return the statement that calls it, if any."""
        if self.chain.output_scaling is None:
            return []
        mean, scale = in_type("output_scaler", self.chain.output_scaling, self.chain.dtype)
        self.reals("output_means", mean)
        self.reals("output_scales", scale)
        self.functions.append(SCALE_OUTPUTS)
        return ["NAME_scale_outputs(y);"]

    def add_activations(self) -> None:
        """Add the functions of the activations, and those that call them."""
        self.functions += [*self.activations.texts.values(), *self.late]
        self.math = self.math or self.activations.math

    def place(self, array: str) -> str:
        """Where an array of parameters stands."""
        return f"net->{array}" if array in self.trained else f"NAME_{array}"

    @property
    def ram(self) -> int:
        """Bytes of what is not constant."""
        return self.struct + max(self.call, self.step)

    @property
    def parameter(self) -> str:
        """The first parameter of functions that predict."""
        return "const NAME_parameters *net, " if self.trained else ""

    @property
    def argument(self) -> str:
        """What they are passed for it."""
        return "net, " if self.trained else ""


def has_classes(chain: Chain) -> bool:
    """Whether the outputs of a net stand for classes: with labels, softmax or one sigmoid."""
    if chain.labels is not None:
        return True
    natural = "softmax" if chain.n_out > 1 else "sigmoid"
    return chain.layers[-1].activation == natural and chain.output_scaling is None


def with_exact_means(chain: Chain) -> Chain:
    """The chain with what the means of the inputs lose to rounding moved into the first biases.

    Air pressure is 101,325 Pa, give or take 500: rounded to float, its mean is off by 1e-5 of that.
    """
    scaling = chain.input_scaling
    if scaling is None:
        return chain
    mean, _ = in_type("input_scaler", scaling, chain.dtype, invert=True)
    lost = (scaling.mean - mean) / scaling.scale
    if not lost.any():
        return chain
    first = chain.layers[0]
    bias = np.zeros(first.weight.shape[1]) if first.bias is None else first.bias
    bias = (bias - lost @ first.weight.astype(np.float64)).astype(chain.dtype)
    return chain._replace(layers=(first._replace(bias=bias), *chain.layers[1:]))


def name_of(activation: str | Activation) -> str:
    """What comments call an activation."""
    return activation if isinstance(activation, str) else f"graph {activation!r:.60}"


def layers_of(chain: Chain) -> list[str]:
    """A line about each layer."""
    lines = []
    if chain.input_scaling is not None:
        lines.append(f"{chain.n_in} inputs, scaled by (x - mean) / scale")
    for number, layer in enumerate(chain.layers):
        n_in, n_out = layer.weight.shape
        biases = "" if layer.bias is not None else ", without biases"
        lines.append(f"layer {number}: {n_in} -> {n_out}, {name_of(layer.activation)}{biases}")
    if chain.output_scaling is not None:
        lines.append(f"{chain.n_out} outputs, scaled by y * scale + mean")
    return lines
