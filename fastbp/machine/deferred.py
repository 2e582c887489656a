"""Functions that Numba is to compile, in a process that may do without Numba.

Where the code of nets was compiled beforehand (`objects.py`), nothing is compiled before something
else is called that has to be: Numba takes longer to import than all else together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

_lock = threading.RLock()


class Deferred:
    """Stands for what Numba makes of a function; makes it when something is asked of it.

    Numba takes it, in the code of other functions, for what it stands for.

    Parameters
    ----------
    make : callable
        Without arguments; imports Numba.
    function : callable, optional
        Whose name and docstring it has.
    """

    def __init__(self, make: Callable[[], Any], function: Callable[..., Any] | None = None) -> None:
        self._make = make
        if function is not None:
            update_wrapper(self, function)

    @property
    def made(self) -> Any:
        """What it stands for."""
        with _lock:
            if "_made" not in vars(self):
                self._made = self._make()
        return vars(self)["_made"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.made, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self.made(*args, **kwargs)

    @property
    def _numba_type_(self) -> Any:
        """The type that Numba gives it."""
        if "_type" not in vars(self):
            from fastbp.machine.compiler import type_of

            self._type = type_of(self.made)
        return vars(self)["_type"]


def made(function: Any) -> Any:
    """What a function stands for; the function itself where it stands for nothing else."""
    return function.made if isinstance(function, Deferred) else function
