"""Estimators of files that hold code in Python by its name alone, to be looked at or exported."""

from __future__ import annotations

from typing import Any

from fastbp.model.optimizers import SGD
from fastbp.saving.stand_ins import StandIn, stand_in
from fastbp.sklearn.loading import KINDS, held_in
from fastbp.sklearn.saving import is_own


def estimator_in(content: bytes, recipe: dict[str, Any]) -> Any:
    """The estimator in the bytes of a file, for its attributes and not for training.

    Its class is one of fastbp's, or derived from that without code of its own where the file's is.
    Code is None, but for a loss, activations and an optimiser, which a network is made of.

    Parameters
    ----------
    content : bytes
    recipe : dict of str
        That of the file, unchecked.
    """
    parameters = recipe.get("parameters")
    given = parameters if isinstance(parameters, dict) else {}
    own = {name: _made(name, stand_in(data)) for name, data in given.items() if is_own(data)}
    kind = recipe["estimator"]
    base = kind.get("base") if is_own(kind) else None
    derived = _derived(KINDS[base], set(given)) if isinstance(base, str) and base in KINDS else None
    return held_in(content, derived, own)


def _made(name: str, code: StandIn | None) -> Any:
    if name == "optimizer":
        return SGD(code)  # type: ignore[arg-type]
    return code if name in ("loss", "activation") else None


def _derived(base: type[Any], parameters: set[str]) -> type[Any]:
    """A class with the parameters that a file has."""
    names = sorted(parameters)
    return type(base.__name__, (base,), {"_get_param_names": classmethod(lambda _: names)})
