"""Expressions as text: formulas, Greek letters, and numbers with few digits."""

from __future__ import annotations

import re
from collections.abc import Sequence

SUM, PRODUCT, POWER, ATOM = range(4)
"""Precedences: how strongly the outermost operation of a formula binds."""
INFIX = {
    "add": (" + ", SUM),
    "subtract": (" - ", SUM),
    "multiply": (" * ", PRODUCT),
    "divide": (" / ", PRODUCT),
    "power": ("**", POWER),
}
SYMBOLS = {name: sign.strip() for name, (sign, _) in INFIX.items()} | {"negate": "-"}
"""Text in the node of an operation in a drawing."""

LETTERS = dict(
    zip(
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
        "sigma tau upsilon phi chi psi omega".split(),
        "αβγδεζηθικλμνξοπρστυφχψω",
        strict=True,
    )
)
GREEK = re.compile(rf"(?<![A-Za-z0-9_])({'|'.join(LETTERS)})(\d*)(?![A-Za-z0-9_(])")
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

Formula = tuple[str, int]
"""A text and its precedence."""


def number_text(number: float, digits: int = 6) -> str:
    """A number with at most `digits` significant digits; zero has no sign."""
    return f"{number + 0.0:.{digits}g}"


def greek(text: str) -> str:
    """A text with the names of Greek letters as these letters, and the digits after them below."""
    return GREEK.sub(lambda m: LETTERS[m[1]] + m[2].translate(SUBSCRIPTS), text)


def atom(text: str) -> Formula:
    """A name or a number; a negative one has the precedence of a product."""
    return text, PRODUCT if text.startswith("-") else ATOM


def _within(formula: Formula, least: int) -> str:
    text, binds = formula
    return text if binds >= least else f"({text})"


def formula(operation: str, arguments: Sequence[Formula]) -> Formula:
    """The formula of an operation from those of its arguments.

    Parameters
    ----------
    operation : str
    arguments : sequence of (text, precedence)
    """
    if operation == "negate":
        return f"-{_within(arguments[0], POWER)}", PRODUCT
    if operation in INFIX:
        sign, binds = INFIX[operation]
        left, right = arguments
        # Subtraction and division go from left to right, powers from right to left.
        least = binds + (operation in ("subtract", "divide", "multiply"))
        if operation == "power":
            return f"{_within(left, ATOM)}{sign}{_within(right, ATOM)}", POWER
        return f"{_within(left, binds)}{sign}{_within(right, least)}", binds
    names = [text for text, _ in arguments]
    if operation == "dot":
        half = len(names) // 2
        return f"dot([{', '.join(names[:half])}], [{', '.join(names[half:])}])", ATOM
    return f"{operation}({', '.join(names)})", ATOM
