"""Random graphs, beside the same function of complex numbers: its derivative by complex step.

Squire and Trapp 1998, SIAM Review 40: Im f(x + ih) / h has no difference to lose digits in.
Operations that are not analytic are continued by their rule: abs, relu and max branch on the real
parts, away from their kinks.
"""

from __future__ import annotations

import numpy as np

from fastbp import graph

STEP = 1e-100
ANALYTIC = {
    "exp": np.exp, "log": np.log, "tanh": np.tanh, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "abs": lambda z: z if z.real > 0 else -z,
    "relu": lambda z: z if z.real > 0 else 0 * z,
    "max": lambda *z: max(z, key=lambda one: one.real),
    "sum": lambda *z: sum(z),
    "dot": lambda a, b: sum(x * y for x, y in zip(a, b, strict=True)),
}  # fmt: skip
OURS = {name: getattr(graph, name) for name in ANALYTIC}


def steps_of(rng, inputs, steps):
    """A program: operations with the numbers of their arguments, and constants."""
    program = []
    for at in range(inputs, inputs + steps):
        # Each step takes the last one or another, so that graphs are deep and branch.
        pick = [int(i) for i in rng.integers(max(0, at - 6), at, size=4)]
        program.append((int(rng.integers(20)), pick, float(rng.uniform(0.3, 2.0))))
    return program


def choices(f, c, a, b, d, e):
    """What a step may be, as functions: a choice that is not taken is not computed."""
    tame = f["tanh"](a)  # between -1 and 1: no function leaves its domain or overflows
    return (
        lambda: a + b, lambda: a - b, lambda: tame * b, lambda: a / (2 + f["tanh"](b)),
        lambda: (1.5 + tame) ** c, lambda: (1.5 + tame) ** f["tanh"](b), lambda: c**tame,
        lambda: -a, lambda: f["exp"](tame), lambda: f["log"](1.5 + tame),
        lambda: f["tanh"](a * c), lambda: f["sigmoid"](a), lambda: f["sqrt"](1.5 + tame),
        lambda: f["sin"](a), lambda: f["cos"](a), lambda: f["abs"](a - c),
        lambda: f["relu"](a + c), lambda: f["max"](a, b - c, d + c),
        lambda: f["sum"](tame, b, d), lambda: f["dot"]([tame, b], [c, f["sin"](e)]),
    )  # fmt: skip


def run(program, values, functions):
    """The program on expressions or on complex numbers; its last value."""
    values = list(values)
    for kind, chosen, c in program:
        values.append(choices(functions, c, *(values[i] for i in chosen))[kind]())
    return functions["sum"](*[functions["tanh"](v * 0.5) for v in values[-4:]])


def complex_step(program, point):
    """The value, and the derivatives by all inputs."""
    value, slopes = 0.0, []
    for i in range(len(point)):
        at = [complex(x, STEP if i == j else 0.0) for j, x in enumerate(point)]
        found = run(program, at, ANALYTIC)
        value = complex(found).real
        slopes.append(complex(found).imag / STEP)
    return value, np.array(slopes)
