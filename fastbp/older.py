"""What older versions of fastbp left behind: names of modules that have moved, and pickles."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

__all__ = ["MOVED", "PickleError", "check_format", "name_moved_modules"]

MOVED = {
    "activations": "model.activations",
    "augmentation": "augment.images",
    "callbacks": "fit.callbacks",
    "diagnosis": "insight.diagnose",
    "explanation": "insight.explain",
    "hardware": "machine.peak",
    "history": "fit.history",
    "idx": "files.idx",
    "initializers": "model.initializers",
    "layers": "model.layers",
    "losses": "model.losses",
    "metrics": "fit.metrics",
    "net": "model.net",
    "optimizers": "model.optimizers",
    "rate_finder": "insight.range_test",
    "regularization": "model.regularization",
    "schedules": "model.schedules",
}
"""Modules of fastbp by their names before the first release, and where they stand now."""

MEND = (
    "Load it with the fastbp that made it, and there keep the parameters of the net with "
    "numpy.savez('net.npz', params=net.params); for an estimator, net is a new MLP with the "
    "weights coefs_ and the biases intercepts_. Then make the same net here and set "
    "net.params[:] = numpy.load('net.npz')['params']"
)


class PickleError(ValueError):
    """A pickle of another version of fastbp, or one that was changed."""


def check_format(what: str, found: object, known: int) -> None:
    """Raise a PickleError for a pickle of a format that is not known here.

    Parameters
    ----------
    what : str
        What was pickled.
    found : object
        The number in the pickle; None where it has none.
    known : int
    """
    if found != known:
        number = "has no format number" if found is None else f"has the format {found!r}"
        raise PickleError(
            f"this pickle of {what} {number}, so another version of fastbp made it; this one "
            f"reads format {known}. {MEND}"
        )


class _MovedModules(MetaPathFinder):
    """Says of a module that has moved where it is, also to `pickle`, which imports by name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        package, _, name = fullname.partition(".")
        if package == __name__.partition(".")[0] and name in MOVED:
            raise ModuleNotFoundError(
                f"{fullname} is now {package}.{MOVED[name]}. If a pickle asks for it, an older "
                f"version of fastbp made that pickle, and this one cannot read it. {MEND}",
                name=fullname,
            )


def name_moved_modules() -> None:
    """Let imports of modules that have moved say so. Asked last, it costs other imports nothing."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules())
