"""Activations in C: a function for each kind.

Elementary functions are those of ``math.h``, whose arguments are cut off where fastbp cuts off its
own (`fastbp.kernels.elementary`): exp never overflows. Templates as in `fastbp.files.c.text`.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from fastbp.files.c import graphs
from fastbp.files.c.text import real
from fastbp.kernels.activations import LEAK, SELU_DEPTH, SELU_SCALE
from fastbp.kernels.elementary import LEAST_DOUBLE, LEAST_SINGLE

SQRT_HALF = 0.7071067811865476
SQRT_HALF_REST = -4.833646656726457e-17
"""What the double SQRT_HALF is less than the root of 1/2, or more."""


class Element(NamedTuple):
    """An activation of single net inputs.

    Attributes
    ----------
    expression : str
        A template, of z.
    math : bool
        Whether it needs ``math.h``.
    """

    expression: str
    math: bool = False


EXP = """\
/* exp(x), cut off where it would overflow or be too small for a normal number */
static REAL NAME_exp(REAL x)
{
    if (x < LEAST) {
        x = LEAST;
    }
    if (x > MOST) {
        x = MOST;
    }
    return exp_F(x);
}
"""

BY_ELEMENT = {
    "sigmoid": Element("1.0_F / (1.0_F + NAME_exp(-z))", math=True),
    "tanh": Element("tanh_F(z)", math=True),
    "relu": Element("z < 0.0_F ? 0.0_F : z"),
    "step": Element("z > 0.0_F ? 1.0_F : 0.0_F"),
    "leaky_relu": Element("z > 0.0_F ? z : LEAK * z"),
    "elu": Element("z > 0.0_F ? z : expm1_F(z)", math=True),
    "selu": Element("z > 0.0_F ? SELU_SCALE * z : SELU_DEPTH * expm1_F(z)", math=True),
    "softplus": Element("(z > 0.0_F ? z : 0.0_F) + log1p_F(NAME_exp(-fabs_F(z)))", math=True),
    "hard_sigmoid": Element(
        "(z < -3.0_F ? 0.0_F : z > 3.0_F ? 6.0_F : z + 3.0_F) * (1.0_F / 6.0_F)"
    ),
    "exp": Element("NAME_exp(z)", math=True),
}
"""Activations that are one expression of z; identity needs none."""

IN_STEPS = {
    "gelu": """\
/* z Phi(z), Phi the normal distribution, as max(z, 0) - a Phi(-a) with a = |z|: nothing cancels.
   erfc is taken at h, a / sqrt(2) rounded; the rest of it is added by the derivative of erfc. */
static REAL NAME_gelu(REAL z)
{
    const REAL a = fabs_F(z) > GELU_MOST ? GELU_MOST : fabs_F(z);
    const REAL h = a * SQRT_HALF;
    const REAL rest = fma_F(a, SQRT_HALF, -h) + a * SQRT_HALF_REST;
    const REAL tail = 0.5_F * erfc_F(h) * (1.0_F - 2.0_F * h * rest);

    return (z > 0.0_F ? z : 0.0_F) - a * tail;
}
""",
    "silu": """\
/* z / (1 + exp(-z)); for z < 0 by exp(z / 2), which is a normal number where exp(z) is none */
static REAL NAME_silu(REAL z)
{
    if (z < 0.0_F) {
        const REAL cut = z > SILU_LEAST ? z : SILU_LEAST;
        const REAL root = exp_F(0.5_F * cut);

        return cut * root * root / (1.0_F + root * root);
    }
    return z / (1.0_F + NAME_exp(-z));
}
""",
}
"""Activations of single net inputs that take several statements."""

SOFTMAX = """\
/* exp(z) / sum exp(z), from the largest down */
static void NAME_softmax(REAL *y, int n)
{
    REAL most = y[0];
    REAL sum = 0.0_F;

    for (int i = 1; i < n; i++) {
        if (y[i] > most) {
            most = y[i];
        }
    }
    for (int i = 0; i < n; i++) {
        y[i] = NAME_exp(y[i] - most);
        sum += y[i];
    }
    for (int i = 0; i < n; i++) {
        y[i] /= sum;
    }
}
"""

ONE = """\
static REAL NAME_{function}(REAL z)
{{
    return {expression};
}}
"""
LOOP = """\
static void NAME_{function}_layer(REAL *y, int n)
{{
    for (int i = 0; i < n; i++) {{
        y[i] = NAME_{function}(y[i]);
    }}
}}
"""


class Functions:
    """The functions that the activations of a net need, each once, in the order of their calls.

    Parameters
    ----------
    single : bool
        Whether to compute in float.

    Attributes
    ----------
    texts : dict of str to str
        Templates by the names of the functions.
    math : bool
        Whether one of them needs ``math.h``.
    """

    def __init__(self, single: bool) -> None:
        self.single = single
        self.texts: dict[str, str] = {}
        self.math = False
        self._graphs: list[Any] = []

    def add(self, name: str, text: str) -> None:
        """Add a function, if it is not there.

        Parameters
        ----------
        name : str
        text : str
            A template, in which the names of `_constants` stand for numbers.
        """
        if name not in self.texts:
            constants = _constants(self.single)
            words = re.compile(rf"\b({'|'.join(constants)})\b")
            self.texts[name] = words.sub(lambda found: constants[found[0]], text)

    def one(self, activation: Any) -> str:
        """The name of the function of a single net input.

        Parameters
        ----------
        activation : str or GraphActivation
            Not softmax.
        """
        if not isinstance(activation, str):
            name = self.graph(activation.expression)
            self.add_graph(name, activation.expression, False)
            return name
        if activation in IN_STEPS:
            self.math = True
            if "NAME_exp" in IN_STEPS[activation]:
                self.needs_exp()
            self.add(activation, IN_STEPS[activation])
            return activation
        expression, math = BY_ELEMENT[activation]
        self.math = self.math or math
        if "NAME_exp" in expression:
            self.needs_exp()
        name = f"{activation}_unit" if activation == "exp" else activation
        self.add(name, ONE.format(function=name, expression=expression))
        return name

    def layer(self, activation: Any) -> str | None:
        """The name of the function that overwrites the net inputs of a layer, None for identity.

        Parameters
        ----------
        activation : str or GraphActivation
        """
        if activation == "identity":
            return None
        if activation == "softmax":
            self.needs_exp()
            self.add("softmax", SOFTMAX)
            return "softmax"
        one = self.one(activation)
        self.add(f"{one}_layer", LOOP.format(function=one))
        return f"{one}_layer"

    def needs_exp(self) -> None:
        """Add the exponential."""
        self.math = True
        self.add("exp", EXP)

    def graph(self, expression: Any) -> str:
        """The name of the function of a graph, and of its derivative with ``_slope`` behind it."""
        if expression not in self._graphs:
            self._graphs.append(expression)
        return f"graph_{self._graphs.index(expression) + 1}"

    def add_graph(self, name: str, expression: Any, slope: bool) -> None:
        """Add the function of a graph, or that of its derivative."""
        helpers, text, math = graphs.function(name, expression, slope)
        for helper in helpers:
            self.add(f"graph {helper}", graphs.HELPERS[helper])
        self.math = self.math or math
        self.add(name, text)


def _constants(single: bool) -> dict[str, str]:
    """The numbers for the names that stand in templates."""
    root = np.float32(SQRT_HALF) if single else np.float64(SQRT_HALF)
    values = {
        "LEAST": LEAST_SINGLE if single else LEAST_DOUBLE,
        "MOST": 88.0 if single else 709.0,
        "GELU_MOST": 13.2 if single else 37.64,
        "SILU_LEAST": -98.0 if single else -719.0,
        "SQRT_HALF": root,
        "SQRT_HALF_REST": float(SQRT_HALF - float(root)) if single else SQRT_HALF_REST,
        "LEAK": LEAK,
        "SELU_SCALE": SELU_SCALE,
        "SELU_DEPTH": SELU_DEPTH,
    }
    return {name: real(value, single) for name, value in values.items()}
