"""What takes the place of code in Python, which no file holds, so that a file can be looked at."""

from __future__ import annotations

from typing import Any

from fastbp.saving.recipe import OWN, has_own


class StandIn:
    """A function by its name, for nets that are shown or exported, and not trained.

    As a learning rate it passes the checks of an optimiser; losses and activations refuse what it
    returns.

    Parameters
    ----------
    name : object
        From a file, where it is text.
    """

    def __init__(self, name: Any) -> None:
        self.__name__ = name if isinstance(name, str) else f"{name!r:.100}"

    def __repr__(self) -> str:
        return self.__name__

    def __call__(self, *_: Any) -> float:
        """A learning rate."""
        return 1.0


def stand_in(data: Any) -> StandIn | None:
    """One for the first code in what `recipe.encoded` returned; None where there is none."""
    if not has_own(data):
        return None
    if isinstance(data, dict) and data.get("kind") == OWN:
        return StandIn(data.get("name"))
    parts = data.values() if isinstance(data, dict) else data
    return next(found for found in map(stand_in, parts) if found is not None)


def of_net(recipe: dict[str, Any]) -> dict[str, Any]:
    """What `fastbp.load` needs beside a file, by its parameters.

    Parameters
    ----------
    recipe : dict of str
        That of a net, unchecked.
    """
    given = recipe.get("activations")
    units = given if isinstance(given, list) else []
    found: dict[str, Any] = {
        "loss": stand_in(recipe.get("loss")),
        "learning_rate": stand_in(recipe.get("optimizer")),
        "activation": [stand_in(unit) for unit in units] if has_own(units) else None,
    }
    return {name: value for name, value in found.items() if value is not None}
