"""What to write instead: for misspelt names and options, and for those of other libraries.

`instead` suggests values such as names of losses, `explained` adds a suggestion to Python's own
error for an option that a function does not have, and `way_to_set` says how to change what is not
an attribute to set. All that they know stands in the tables of ``words.py``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar

from fastbp.checks.words import (
    ATTRIBUTES,
    NAMES,
    OF_OPTIMIZER,
    OPTIONS,
    PLACES,
    REBUILD,
    REMARKS,
)

Function = TypeVar("Function", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)

CLOSE = 0.7
"""How similar a word must be to a name, as difflib counts it, to be taken for a slip."""
LONGEST_VALUE = 40
"""Values with a longer text are left out of what a suggestion repeats."""


# ---- values --------------------------------------------------------------------------------------


def instead(option: str, value: Any, accepted: Iterable[str] = (), base: type | None = None) -> str:
    """A sentence that says what to write for a value that is not accepted, "" where none is known.

    Parameters
    ----------
    option : str
        The option's name, with or without an index: "loss", "activation[1]".
    value : object
        What was given: a name, or a class where an object is wanted.
    accepted : iterable of str
        The names that are accepted.
    base : type, optional
        The class whose objects are accepted.

    Returns
    -------
    str
        Begins with ". ", to follow what was given.
    """
    option = option.partition("[")[0]
    accepted = tuple(accepted)
    if isinstance(value, type):
        if base is not None and issubclass(value, base):
            return f". Write {value.__name__}(...), an object, instead of the class"
        value = value.__name__
    if not isinstance(value, str):
        return ""
    word = plain(value)
    if (option, word) in REMARKS:
        return f". {REMARKS[option, word]}"
    name = _name(option, word, {plain(name): name for name in accepted})
    return "" if name is None else f". Write {name!r}"


def described(value: Any) -> str:
    """What was given, in words: a class by its name, all else with its type."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"{type(value).__name__} {value!r}"


def name_of(function: Any) -> str:
    """The name of a function, or of the class of an object that can be called."""
    return str(getattr(function, "__name__", type(function).__name__))


def plain(word: str) -> str:
    """Letters and digits in lower case, without what stands between them."""
    return "".join(letter for letter in word.lower() if letter.isalnum())


def _name(option: str, word: str, accepted: Mapping[str, str]) -> str | None:
    """The accepted name that a plain word stands for."""
    known = NAMES.get(option, {})
    for form in (word, word.removesuffix("loss"), word.removesuffix("error")):
        if form in accepted:
            return accepted[form]
        if known.get(form) in accepted.values():
            return known[form]
    meant = {other: name for other, name in known.items() if name in accepted.values()}
    meant.update(accepted)
    close = get_close_matches(word, meant, 1, CLOSE)
    return meant[close[0]] if close else None


# ---- options -------------------------------------------------------------------------------------


def explained(function: Function) -> Function:
    """The same function; Python's error for an option that it does not have says what to write.

    Only errors of the call itself are touched, which come before the function's first line. Its
    signature stays, so that editors and type checkers see it.
    """

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise
            message = _explained(function, str(error), arguments, options)
        raise TypeError(message)

    return call  # type: ignore[return-value]


def explained_class(kind: Class) -> Class:
    """The same class, whose ``__init__`` is `explained`.

    Where it is a frozen dataclass, the error for changing a field says what to write, too.
    """
    init: Any = kind.__init__  # type: ignore[misc]
    setattr(kind, "__init__", explained(init))  # noqa: B010
    if "__setattr__" in vars(kind):  # of a frozen dataclass
        assign: Any = kind.__setattr__

        def refuse(self: Any, name: str, value: Any) -> None:
            try:
                assign(self, name, value)
            except dataclasses.FrozenInstanceError as error:
                message = str(error)
            else:
                return
            way = f"make another with dataclasses.replace(old, {name}={_shown(value)})"
            if name in OF_OPTIMIZER:
                way = way_to_set(name, value)
            raise dataclasses.FrozenInstanceError(
                f"{message}, since objects of {type(self).__name__} do not change: {way}"
            )

        setattr(kind, "__setattr__", refuse)  # noqa: B010
    return kind


def _explained(
    function: Callable[..., Any], message: str, arguments: Sequence[Any], options: dict[str, Any]
) -> str:
    """Python's message for a call that does not fit, and what to write."""
    parameters = [p for p in signature(function).parameters.values() if p.name != "self"]
    found = re.match(r".*got an unexpected keyword argument '(\w+)'", message)
    if found:
        names = [p.name for p in parameters]
        name = found[1]
        return f"{found[0]}. {_option(name, options.get(name), names)}"
    if re.search(r"takes .*positional arguments? but", message):
        given = arguments[1:] if "self" in signature(function).parameters else arguments
        return f"{message}. {_by_name(parameters, given)}"
    return message


def _option(name: str, value: Any, accepted: Sequence[str]) -> str:
    """What to write for an option that is not accepted."""
    shown = _shown(value)
    meant = (*OPTIONS.get(plain(name), ()), name)
    by_word = {plain(other): other for other in accepted}
    for option in meant:
        if option in accepted and option != name:
            return f"Write {option}={shown}"
        if plain(option) in by_word:
            return f"Write {by_word[plain(option)]}={shown}"
    for option in meant:
        if option in PLACES:
            place = PLACES[option].format(value=shown)
            return f"{place[0].upper()}{place[1:]}"
    close = get_close_matches(plain(name), by_word, 1, CLOSE)
    if close:
        return f"Write {by_word[close[0]]}={shown}"
    return f"Accepted are {', '.join(accepted)}"


def _by_name(parameters: Sequence[Parameter], given: Sequence[Any]) -> str:
    """What to write where there are too many arguments without a name."""
    if parameters[0].name == "layer_sizes" and all(isinstance(size, int) for size in given):
        return f"The sizes are one argument: MLP({tuple(given)})"
    named = [p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY]
    if not named:
        return f"Accepted are {', '.join(p.name for p in parameters)}"
    several = ", ".join(f"{name}=..." for name in named[:3])
    return f"Give the options by name: {several}{', ...' if len(named) > 3 else ''}"


def _shown(value: Any) -> str:
    """A value as it is repeated in a suggestion."""
    if isinstance(value, type):
        return f"{value.__name__}()"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE and "\n" not in text else "..."


# ---- attributes ----------------------------------------------------------------------------------


def refuse_to_set(owner: type, kind: str, name: str, value: Any, anything: bool) -> None:
    """Raise an AttributeError for an attribute that would be set without effect.

    Parameters
    ----------
    owner : type
        The class of this package, of which the object may be of a subclass.
    kind : str
        What it is, in words: "net".
    name : str
        The attribute that was to be set.
    value : object
        What it was to be.
    anything : bool
        Whether other attributes than the class's own, and those that look like options, may be
        set: then nothing is raised for them. Subclasses may have what they like.
    """
    way = way_to_set(name, value)
    known = hasattr(owner, name)
    if anything and not (way or known):
        return
    what = f"{name} of a {kind} cannot be set" if known else f"a {kind} has no {name} to set"
    way = way or f"keep your own attributes in a subclass, or beside the {kind}"
    raise AttributeError(f"{what}: {way}")


def way_to_set(name: str, value: Any) -> str:
    """How to change a net's property that is not an attribute to set, "" where none is known.

    Parameters
    ----------
    name : str
        The attribute that was to be set.
    value : object
        What it was to be.
    """
    shown = _shown(value)
    if name in ATTRIBUTES:
        return ATTRIBUTES[name]
    for option in (*OPTIONS.get(plain(name), ()), name):
        if option in ATTRIBUTES:
            return ATTRIBUTES[option]
        if option in OF_OPTIMIZER:
            return f"write net.optimizer = dataclasses.replace(net.optimizer, {option}={shown})"
        if option == "optimizer":
            return f"write net.optimizer = {shown}"
        if option in PLACES and "net.fit" in PLACES[option]:
            return f"write net.fit(X, y, {option}={shown})"
        if option in PLACES or option == "layer_sizes":
            return REBUILD.format(name=option, value=shown)
    return ""
