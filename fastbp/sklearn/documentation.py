"""Docstrings of the estimators: what they share stands in that of `BaseMLP` alone.

An estimator documents what it has for itself. When its class is made, the parameters and attributes
of its base are added, so that ``help`` shows all of them with types, defaults and meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from inspect import cleandoc, signature
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type[Any])

HEAD = re.compile(r"^([A-Z][\w ]+)\n-+\n", re.MULTILINE)
"""The title of a section, and the line under it."""
Entries = dict[tuple[str, ...], str]
"""Entries of a section by the names that they are about."""


def with_shared_entries(base: type[Any]) -> Callable[[Class], Class]:
    """A decorator that adds the entries of a base to the docstring of a class.

    Parameters
    ----------
    base : type
        Its sections of parameters and attributes are added to those of the class: parameters in
        the order of the signature, attributes behind the class's own.
    """

    def complete(kind: Class) -> Class:
        if kind.__doc__ and base.__doc__:  # Python leaves docstrings out with -OO
            ours = _sections(kind.__doc__)
            theirs = _sections(base.__doc__)
            own = _entries(ours["Parameters"])
            both = _entries(theirs["Parameters"]) | own
            ours["Parameters"] = _in_order(both, signature(kind).parameters)
            attributes = _entries(ours.get("Attributes", "")) | _entries(theirs["Attributes"])
            shared = {"": "", "Parameters": "", "Attributes": "".join(attributes.values())}
            kind.__doc__ = _joined(shared | ours | {"Attributes": shared["Attributes"]})
        return kind

    return complete


def _sections(text: str) -> dict[str, str]:
    """The sections of a docstring by their titles; what stands above them has the title ""."""
    parts = HEAD.split(cleandoc(text) + "\n")
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def _joined(sections: dict[str, str]) -> str:
    texts = [
        f"{title}\n{'-' * len(title)}\n{text.strip()}" if title else text.strip()
        for title, text in sections.items()
    ]
    return "\n\n".join(texts) + "\n"


def _entries(section: str) -> Entries:
    """The entries of a section: lines that are not indented, with the indented ones below."""
    found: Entries = {}
    for text in re.split(r"^(?=\S)", section.strip() + "\n", flags=re.MULTILINE):
        names = text.partition("\n")[0].partition(" : ")[0]
        if names:
            found[tuple(name.strip() for name in names.split(","))] = text
    return found


def _in_order(entries: Entries, names: Iterable[str]) -> str:
    """The entries in the order of a signature; what it lacks is left out."""
    place = {name: number for number, name in enumerate(names)}
    kept = [key for key in entries if key[0] in place]
    return "".join(entries[key] for key in sorted(kept, key=lambda key: place[key[0]]))
