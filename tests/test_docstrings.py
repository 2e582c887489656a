"""What `help` shows: every public name is documented, as it is, with an example that runs."""

from __future__ import annotations

import ast
import doctest
import inspect
import pydoc
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest
from docstrings import Entry, Name, entries, faults, names, sections
from helpers import long_uncompiled

import fastbp.sklearn
from fastbp import plain
from fastbp.sklearn.documentation import with_shared_entries

PACKAGE = Path(fastbp.__file__).parent
ELSEWHERE = {
    "distributed/dask.py": "dask",
    "distributed/mpi.py": "mpi4py",
    "files/keras.py": "keras",
    "files/torch.py": "torch",
    "sklearn/onnx.py": "skl2onnx",
}
"""Files with examples that do not run, and the library that the extra `test` does not have."""
ESTIMATORS = [
    fastbp.sklearn.MLPClassifier, fastbp.sklearn.MLPRegressor, fastbp.sklearn.Perceptron,
]  # fmt: skip


# ---- sections, parameters, defaults -------------------------------------------------------------


def test_public_names_are_documented_with_their_parameters_and_an_example() -> None:
    found = names()
    assert len(found) > 200
    assert {"fastbp.MLP.fit", "fastbp.graph.Expression.jvp", "fastbp.sklearn.load"} < set(found)
    missing = {path: faults(name) for path, name in found.items()}
    assert not {path: lacks for path, lacks in missing.items() if lacks}


def well(a: int, b: str = "x", c: float | None = None) -> int:
    """Do it.

    Parameters
    ----------
    a : int
    b : str, default="x"
    c : float, optional
        More of it.

    Returns
    -------
    int

    Raises
    ------
    ValueError

    Examples
    --------
    >>> well(1)
    """
    raise ValueError


@pytest.mark.parametrize(
    ("old", "new", "lack"),
    [
        ("a : int", "d : int", "documents d, b, c; takes a, b, c"),
        ("    c : float, optional\n", "", "documents a, b; takes a, b, c"),
        ("a : int", "a", "a has no type"),
        ("a : int", "a : int, optional", "a : 'int, optional', but its default is <class"),
        ('default="x"', 'default="y"', "b : 'str, default=\"y\"', but its default is 'x'"),
        ("float, optional", "float", "c : 'float', but its default is None"),
        ("Returns", "Notes", "no Returns"),
        ("Raises", "Warns", "no Raises"),
        (">>> well(1)", "well(1)", "no example"),
    ],
)
def test_what_is_missing_is_found(monkeypatch, old: str, new: str, lack: str) -> None:
    assert faults(Name("here.well", well)) == []
    monkeypatch.setattr(well, "__doc__", well.__doc__.replace(old, new, 1))
    assert [fault[: len(lack)] for fault in faults(Name("here.well", well))] == [lack]


def test_the_plain_page_says_what_each_letter_is() -> None:
    """Its functions stand on one page, whose legend and example serve all of them."""
    functions = {name: value for name, value in vars(plain).items() if hasattr(value, "py_func")}
    assert len(functions) > 15
    words = set(plain.__doc__.replace(",", " ").replace(".", " ").split())
    for name, function in functions.items():
        assert function.py_func.__doc__, name
        for letter in inspect.signature(function.py_func).parameters:
            assert {letter, letter.removeprefix("d"), letter.rstrip("s")} & words, (name, letter)


def test_completion_offers_public_names_alone() -> None:
    assert {name for name in dir(fastbp) if not name.startswith("__")} == set(fastbp.__all__)


# ---- the estimators -----------------------------------------------------------------------------


def told_of(kind: type) -> list[Entry]:
    return entries(sections(inspect.getdoc(kind))["Parameters"])


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_help_of_an_estimator_explains_each_parameter_itself(kind: type) -> None:
    shown = pydoc.plaintext.document(kind)
    told = {name: entry for entry in told_of(kind) for name in entry.names}
    assert set(told) == set(kind().get_params())
    for name, entry in told.items():
        assert f"{', '.join(entry.names)} : {entry.kind}" in shown
        assert len(entry.text) > 10, f"{name} is not explained"
    assert "BaseMLP" not in kind.__doc__
    assert list(sections(inspect.getdoc(kind)))[1:3] == ["Parameters", "Attributes"]


def test_without_docstrings_nothing_is_added() -> None:
    class Plain:  # as Python makes all classes with -OO
        pass

    assert with_shared_entries(fastbp.sklearn.MLPClassifier)(Plain).__doc__ is None
    own = type("Own", (), {"__doc__": "Own.\n\nParameters\n----------\n", "__init__": well})
    assert with_shared_entries(Plain)(own).__doc__ == own.__doc__


# ---- examples -----------------------------------------------------------------------------------


def examples() -> Iterator[doctest.DocTest]:
    """The examples in all docstrings, each with no names but its own."""
    parser = doctest.DocTestParser()
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        file = path.relative_to(PACKAGE).as_posix()
        if ">>> " not in text or file == "plain.py":  # compiled anew: test_plain.py runs that one
            continue
        for owner, docstring, line in docstrings_in(ast.parse(text)):
            yield parser.get_doctest(docstring, {}, f"{file}:{owner}", str(path), line)


def docstrings_in(tree: ast.AST, path: str = "") -> Iterator[tuple[str, str, int]]:
    """Owners, docstrings with examples, and lines of a module and all that it defines."""
    if isinstance(tree, ast.Module | ast.ClassDef | ast.FunctionDef):
        docstring = ast.get_docstring(tree, clean=True)
        if docstring and ">>> " in docstring:
            yield path, docstring, tree.body[0].lineno - 1
        for node in tree.body:
            name = getattr(node, "name", "")
            yield from docstrings_in(node, f"{path}.{name}".lstrip("."))


EXAMPLES = list(examples())


@long_uncompiled
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_prints_what_it_says(example, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "iris", raising=False)  # what an example writes and imports
    matplotlib.use("Agg")
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    result = runner.run(example, out=report.append)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    assert result.failed == 0, "".join(report)


def test_only_what_needs_other_libraries_does_not_run() -> None:
    skipped = {
        example.name.partition(":")[0]
        for example in EXAMPLES
        for line in example.examples
        if line.options.get(doctest.SKIP)
    }
    assert skipped == set(ELSEWHERE)
    extras = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    tests = extras[extras.index("\ntest = [") :].partition("]\n")[0]
    assert not [name for name in ELSEWHERE.values() if f'"{name}' in tests]
