"""The public names, and what the NumPy-style docstring of each says, read by introspection."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib import import_module
from typing import Any, NamedTuple

MODULES = [
    "fastbp", "fastbp.augment.images", "fastbp.distributed", "fastbp.distributed.dask",
    "fastbp.distributed.mpi", "fastbp.files", "fastbp.files.idx", "fastbp.graph",
    "fastbp.inspection", "fastbp.methods", "fastbp.plot", "fastbp.sklearn",
]  # fmt: skip
"""Where users find public names."""
BESIDE = {
    "fastbp.derivatives.objective": ["Objective"],
    "fastbp.embed.compiled": ["Compiled"],
    "fastbp.insight.explain": ["Explanation"],
    "fastbp.insight.findings": ["Diagnosis", "Finding"],
    "fastbp.insight.range_test": ["RangeTest"],
    "fastbp.model.activations": ["CallableActivation"],
    "fastbp.model.summary": ["Summary"],
}
"""What functions return, or docstrings refer to, and no module offers."""
OFTEN_CALLED = {"MLP", "MLPClassifier", "MLPRegressor", "Perceptron"}
"""Classes of which each method has an example; elsewhere the example of the class serves."""
CALLED_BY_FASTBP = {
    "Callback": {"on_epoch_end", "on_fit_begin", "on_fit_end"},
    "Activation": {"code_for", "compiled"},
    "Expression": {"as_activation", "as_loss", "flat"},
    "History": {"add", "go_on"},
    "Loss": {
        "by_output", "check_by_output", "check_outputs", "code_for", "compiled", "parameters",
        "short", "targets",
    },
    "Method": {"beta", "check", "minimise"},
    "Optimizer": {"first_rate", "group_table", "reset", "write"},
    "Parquet": {"check_inputs", "read", "weight_factor"},
    "Schedule": {"in_updates"},
    "Vector": {"named"},
}  # fmt: skip
"""Methods of classes, and of those derived from them, that users do not call: a line does."""


MADE_BY_FASTBP = {"Explanation", "Expression"}
"""Classes of objects that users are given, and whose constructor is not for them."""


class Name(NamedTuple):
    """A public name: where it is found, and the class, function or property behind it."""

    path: str
    value: Any
    method: bool = False

    @property
    def text(self) -> str:
        return inspect.getdoc(self.value) or ""

    @property
    def function(self) -> Any:
        """What has the source and the annotations: the getter of a property."""
        value = self.value
        if isinstance(value, property):
            return value.fget
        return value.func if isinstance(value, cached_property) else value

    @property
    def is_data(self) -> bool:
        return isinstance(self.value, property | cached_property)

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        found = dict(inspect.signature(self.value).parameters)
        return {name: given for name, given in found.items() if name not in ("self", "cls")}


def offered(module: str) -> Iterator[tuple[str, Any]]:
    """The classes and functions that a module offers under names of its own."""
    here = import_module(module)
    for name in getattr(here, "__all__", None) or sorted(vars(here)):
        value = getattr(here, name)
        owner = getattr(value, "__module__", "")
        listed = hasattr(here, "__all__") or (owner.startswith(module) and not name[0] == "_")
        if listed and (inspect.isclass(value) or inspect.isroutine(value) or is_kernel(value)):
            yield name, value


def is_kernel(value: Any) -> bool:
    return hasattr(value, "py_func")


def names() -> dict[str, Name]:
    """Each public class, function, method and property, once."""
    found: dict[str, Name] = {}
    seen: set[int] = set()
    listed = [(module, *pair) for module in MODULES for pair in offered(module)]
    listed += [(m, name, getattr(import_module(m), name)) for m in BESIDE for name in BESIDE[m]]
    for module, name, value in listed:
        if id(value) in seen:
            continue
        seen.add(id(value))
        path = f"{module}.{name}"
        found[path] = Name(path, getattr(value, "py_func", value))
        if inspect.isclass(value):
            for method in methods(value):
                found[f"{path}.{method.path}"] = method._replace(path=f"{path}.{method.path}")
    return found


def methods(kind: type) -> Iterator[Name]:
    """The public methods and properties of a class that fastbp wrote and users call."""
    inside = {m for base in kind.__mro__ for m in CALLED_BY_FASTBP.get(base.__name__, ())}
    if kind.__name__ == "MLP":
        inside |= set(import_module("fastbp.mlp").INSIDE)
    for name in dir(kind):
        static = inspect.getattr_static(kind, name)
        is_data = isinstance(static, property | cached_property)
        value = static if is_data else getattr(kind, name, static)
        owner = Name(name, value).function
        ours = str(getattr(owner, "__module__", "")).startswith("fastbp.")
        if ours and not name.startswith("_") and name not in inside and callable(owner):
            yield Name(name, value, method=True)


# ---------------------------------------------------------------- what a docstring says


class Entry(NamedTuple):
    """One entry of a section: names, the type with its default, the explanation."""

    names: tuple[str, ...]
    kind: str
    text: str


def sections(text: str) -> dict[str, str]:
    """The sections of a docstring by title; what stands above them is called ""."""
    parts = re.split(r"^([A-Z][\w ]+)\n-{3,}\n", text, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(section: str) -> list[Entry]:
    """The entries of a section of parameters or attributes."""
    found = []
    for head, body in re.findall(r"^(\S.*)\n((?:[ \t]+\S.*\n?|\n)*)", section + "\n", re.MULTILINE):
        before, _, kind = head.partition(" : ")
        listed = tuple(name.strip().lstrip("*") for name in before.split(","))
        found.append(Entry(listed, kind, textwrap.dedent(body).strip()))
    return found


def says_default(entry: Entry, name: str, default: Any) -> bool:
    """Whether an entry gives the default that the signature has."""
    said = re.search(r"default=(.+)$", entry.kind)
    if default is inspect.Parameter.empty:
        return said is None and "optional" not in entry.kind
    if said is None:
        return default is None and "optional" in entry.kind
    each = said[1].split(" and ")  # one for all names, or one for each
    text = each[entry.names.index(name)] if len(each) == len(entry.names) else said[1]
    return text in (repr(default), str(default)) or literal(text) == default


def literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


# ---------------------------------------------------------------- what is missing


def faults(name: Name) -> list[str]:
    """What the docstring of a public name lacks."""
    if not name.text:
        return ["no docstring"]
    parts = sections(name.text)
    found = [] if name.is_data else list(faults_of_parameters(name, parts))
    has_example = ">>> " in name.text
    owner = name.path.split(".")[-2]
    if not has_example and (not name.method or (owner in OFTEN_CALLED and not name.is_data)):
        found.append("no example")
    if not name.is_data and not inspect.isclass(name.value):
        found += faults_of_results(name, parts)
    return found


def faults_of_parameters(name: Name, parts: dict[str, str]) -> Iterator[str]:
    try:
        given = name.parameters
    except ValueError:  # built-in exceptions have no signature
        return
    if name.value.__name__ in MADE_BY_FASTBP:
        return
    told = entries(parts.get("Parameters", ""))
    if inspect.isclass(name.value) and not told and "Attributes" in parts:
        has_fields = dataclasses.is_dataclass(name.value) or hasattr(name.value, "_fields")
        if has_fields:
            attributes = entries(parts["Attributes"])
            named = {one for entry in attributes for one in entry.names}
            if not named >= set(given):
                yield f"lacks the attributes {', '.join(set(given) - named)}"
        return
    named = [one for entry in told for one in entry.names]
    if list(named) != list(given):
        yield f"documents {', '.join(named) or 'nothing'}; takes {', '.join(given) or 'nothing'}"
        return
    for entry in told:
        for one in entry.names:
            default = given[one].default
            if not entry.kind:
                yield f"{one} has no type"
            elif not says_default(entry, one, default):
                yield f"{one} : {entry.kind!r}, but its default is {default!r}"


def faults_of_results(name: Name, parts: dict[str, str]) -> Iterator[str]:
    function = inspect.unwrap(name.function)
    returned = inspect.signature(function).return_annotation
    if returned not in (None, "None", "NoReturn") and "Returns" not in parts:
        yield "no Returns"
    if raises(function) and "Raises" not in parts:
        yield "no Raises"


def raises(function: Callable[..., Any]) -> bool:
    """Whether a function has a `raise` of its own."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError):
        return False
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))
