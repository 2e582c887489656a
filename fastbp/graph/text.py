"""Expressions as text: formulas, and numbers of a few digits."""

from __future__ import annotations

from collections.abc import Sequence

SUM, PRODUCT, POWER, ATOM = range(4)
"""How strongly a formula binds what stands beside it."""
INFIX = {
    "add": (" + ", SUM),
    "subtract": (" - ", SUM),
    "multiply": (" * ", PRODUCT),
    "divide": (" / ", PRODUCT),
    "power": ("**", POWER),
}
SYMBOLS = {name: sign.strip() for name, (sign, _) in INFIX.items()} | {"negate": "-"}
"""What stands in the picture of a node."""

Formula = tuple[str, int]
"""Text, and how strongly it binds."""


def number_text(number: float, digits: int = 6) -> str:
    """A number in at most so many significant digits, a zero without a sign."""
    return f"{number + 0.0:.{digits}g}"


def atom(text: str) -> Formula:
    """A name or a number, which a sign in front of it makes a product."""
    return text, PRODUCT if text.startswith("-") else ATOM


def _within(formula: Formula, least: int) -> str:
    text, binds = formula
    return text if binds >= least else f"({text})"


def formula(operation: str, arguments: Sequence[Formula]) -> Formula:
    """The formula of an operation from those of its arguments.

    Parameters
    ----------
    operation : str
    arguments : sequence of (text, how strongly it binds)
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
