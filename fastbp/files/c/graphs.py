"""Graphs of one variable in C, node by node: their value, or their derivative by backward mode.

They compute in double, as fastbp does: ``exp(z) / (1 + exp(z))`` has a value at 100 there, and is
NaN in float.
"""

from __future__ import annotations

import re
from typing import Any

from fastbp.files.c.text import comment, real
from fastbp.saving.recipe import nodes_of

HELPERS = {
    "logistic": """\
static double NAME_logistic(double a)
{
    const double e = exp(-fabs(a));

    return a >= 0.0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}
""",
    "logistic_slope": """\
static double NAME_logistic_slope(double a)
{
    const double e = exp(-fabs(a));

    return e / ((1.0 + e) * (1.0 + e));
}
""",
    "larger": """\
static double NAME_larger(double a, double b)
{
    return b > a ? b : a;
}
""",
}
"""What the operations call."""
OPERATIONS = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "power": "pow({0}, {1})",
    "negate": "-{0}",
    "exp": "exp({0})",
    "log": "log({0})",
    "tanh": "tanh({0})",
    "sigmoid": "NAME_logistic({0})",
    "sqrt": "sqrt({0})",
    "sin": "sin({0})",
    "cos": "cos({0})",
    "abs": "fabs({0})",
    "relu": "{0} > 0.0 ? {0} : 0.0",
}
"""Values of one or two arguments (`fastbp.graph.operations`)."""
SLOPES = {
    "add": ("1.0", "1.0"),
    "subtract": ("1.0", "-1.0"),
    "multiply": ("{1}", "{0}"),
    "divide": ("1.0 / {1}", "-{y} / {1}"),
    "power": ("{1} * pow({0}, {1} - 1.0)", "({0} == 0.0 && {1} > 0.0 ? 0.0 : {y} * log({0}))"),
    "negate": ("-1.0",),
    "exp": ("{y}",),
    "log": ("1.0 / {0}",),
    "tanh": ("4.0 * NAME_logistic_slope(2.0 * {0})",),
    "sigmoid": ("NAME_logistic_slope({0})",),
    "sqrt": ("0.5 / {y}",),
    "sin": ("cos({0})",),
    "cos": ("-sin({0})",),
    "abs": ("({0} > 0.0 ? 1.0 : {0} < 0.0 ? -1.0 : 0.0)",),
    "relu": ("({0} > 0.0 ? 1.0 : 0.0)",),
}
"""Derivatives by each argument; y is the value."""


def function(name: str, expression: Any, slope: bool) -> tuple[list[str], str, bool]:
    """A graph as a function.

    Parameters
    ----------
    name : str
    expression : Expression
        Of one variable.
    slope : bool
        Whether to return the derivative.

    Returns
    -------
    helpers : list of str
        Names of `HELPERS` that it calls.
    text : str
        A template.
    math : bool
        Whether it calls ``math.h``.
    """
    nodes = nodes_of(expression)
    terms: list[str] = []
    lines = []
    for i, (operation, below, number, _, _) in enumerate(nodes):
        if operation == "constant":
            text = real(number, False)
            terms.append(f"({text})" if text.startswith("-") else text)
            continue
        terms.append(f"v{i}")
        lines.append(f"const double v{i} = {_value(operation, [terms[k] for k in below])};")
    result = terms[-1]
    if slope:
        back, result = _backward(nodes, terms)
        lines = _used(lines, back) + back
    about = f"{'the derivative of ' * slope}{expression!r:.200}, in double as in fastbp"
    body = "\n".join(f"    {line}" if line else "" for line in lines)
    text = f"static REAL NAME_{name}(REAL z)\n{{\n{body}\n\n    return (REAL){result};\n}}\n"
    helpers = [helper for helper in HELPERS if f"NAME_{helper}(" in body]
    calls = ("pow(", "exp(", "log(", "tanh(", "sqrt(", "sin(", "cos(", "fabs(", "NAME_logistic")
    return helpers, comment([about]) + text, any(call in body for call in calls)


def _used(lines: list[str], back: list[str]) -> list[str]:
    """The values that the backward pass needs."""
    kept: list[str] = []
    text = " ".join(back)
    for line in reversed(lines):
        name = line.split()[2]
        if re.search(rf"\b{name}\b", text):
            kept.append(line)
            text += line.partition("=")[2]
    return kept[::-1]


def _value(operation: str, arguments: list[str]) -> str:
    """The value of a node; the square is a product, as in fastbp."""
    if operation == "variable":
        return "(double)z"
    if operation == "power" and arguments[1] == "2.0":
        return f"{arguments[0]} * {arguments[0]}"
    if operation == "sum":
        return " + ".join(arguments)
    if operation == "dot":
        half = len(arguments) // 2
        pairs = zip(arguments[:half], arguments[half:], strict=True)
        return " + ".join(f"{a} * {b}" for a, b in pairs)
    if operation == "max":
        text = arguments[0]
        for other in arguments[1:]:
            text = f"NAME_larger({text}, {other})"
        return text
    return OPERATIONS[operation].format(*arguments)


def _backward(nodes: list[list[Any]], terms: list[str]) -> tuple[list[str], str]:
    """The lines of the backward pass, and the derivative by the variable.

    What has no share in the result passes nothing on, even if its own derivative is infinite.
    """
    inner: list[int] = []  # what depends on the variable
    for i, (operation, below, *_) in enumerate(nodes):
        if operation == "variable" or any(k in inner for k in below):
            inner.append(i)
    variable = next(i for i in inner if nodes[i][0] == "variable")
    last = len(nodes) - 1
    lines = ["", *(f"double d{i} = {'1.0' if i == last else '0.0'};" for i in inner), ""]
    for i in reversed(inner):
        operation, below = nodes[i][:2]
        shares = []
        for k, argument in enumerate(below):
            if argument in inner:
                slope = _slope(operation, [terms[j] for j in below], f"v{i}", k)
                shares.append(f"    d{argument} += d{i} * ({slope});")
        if shares:
            lines += [f"if (d{i} < 0.0 || d{i} > 0.0) {{", *shares, "}"]
    return lines, f"d{variable}"


def _slope(operation: str, arguments: list[str], y: str, k: int) -> str:
    """The derivative of a node by its argument k."""
    if operation == "sum":
        return "1.0"
    if operation == "dot":
        half = len(arguments) // 2
        return arguments[k + half if k < half else k - half]
    if operation == "max":
        equal = [f"({a} < {y} ? 0.0 : 1.0)" for a in arguments]
        return f"{equal[k]} / ({' + '.join(equal)})"
    if operation == "power" and k == 0 and arguments[1] == "2.0":
        return f"2.0 * {arguments[0]}"
    if operation == "power" and k == 0 and arguments[1] == "0.0":
        return "0.0"
    return SLOPES[operation][k].format(*arguments, y=y)
