"""Rows of a table of goals: what further measurements return, whichever file they stand in."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One goal: what is measured, how it came out, what is asked for, and whether that is met."""

    what: str
    measured: str
    goal: str
    met: bool


def at_least(what: str, share: float, goal: float) -> Row:
    """Make a row for a share that must not fall short of its goal."""
    return Row(what, f"{100 * share:.1f} %", f">= {100 * goal:.0f} %", share >= goal)


def at_most(what: str, value: float, goal: float, unit: str) -> Row:
    """Make a row for an amount that must not exceed its goal."""
    return Row(what, f"{value:.2f} {unit}", f"<= {goal:g} {unit}", value <= goal)
