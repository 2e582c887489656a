"""Numba's internals, looked at before they are used: another Numba may have others."""

from __future__ import annotations


class InternalsWarning(RuntimeWarning):
    """Numba lacks internals that fastbp uses, so compiling takes longer than it could."""


def has(owner: type, name: str) -> bool:
    """Whether a class has an attribute of this name, or one of its methods reads or sets it.

    Parameters
    ----------
    owner : class
    name : str
    """
    members = [member for base in owner.__mro__ for member in vars(base).values()]
    codes = [getattr(getattr(m, "__wrapped__", m), "__code__", None) for m in members]
    return hasattr(owner, name) or any(name in code.co_names for code in codes if code is not None)


def require(owner: type, names: str) -> None:
    """Check that a class has attributes, as `has` finds them.

    Looking is enough: a name that is missing is nearly always one that moved, and a trial would
    compile for a second in each process.

    Parameters
    ----------
    owner : class
        One of Numba's.
    names : str
        The attributes, separated by spaces.

    Raises
    ------
    AttributeError
        If one of them is missing.
    """
    missing = [name for name in names.split() if not has(owner, name)]
    if missing:
        raise AttributeError(f"{owner.__module__}.{owner.__qualname__} has no {', '.join(missing)}")
