"""The house: imports point down, files and functions stay small, what is public is documented."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fastbp

PACKAGE = Path(fastbp.__file__).parent

# Bottom up: a room is a folder, or a file on the top floor. A file imports only from its own room
# and from rooms in rows above its own.
LEVELS = """
    axes older tables whole_files
    machine
    kernels
    checks plain
    model augment
    fit graph
    methods saving
    derivatives
    embed
    mlp
    inspection perceptron many
    plot
    insight
    __init__
    sklearn files distributed
    commands
    __main__
"""
LEVEL = {room: i for i, row in enumerate(LEVELS.strip().splitlines()) for room in row.split()}
DEPENDENCIES = {"llvmlite", "numba", "numpy"}
# These lean on what Numba does not promise.
INTERNALS = {"machine.cache_entries", "machine.emission", "machine.linked", "machine.passes"}
ON_DEMAND = {  # imported inside functions
    "fit.callbacks": {"tqdm"},
    "commands.demo": {"sklearn", "threadpoolctl"},
    "graph.drawing": {"matplotlib"},
    "files.keras": {"keras"},
    "files.keras_layers": {"keras"},
    "files.torch": {"torch"},
    "files.torch_modules": {"torch"},
    "distributed.dask": {"distributed"},
    "distributed.mpi": {"mpi4py"},
    "fit.history": {"pandas"},
    "fit.parquet": {"pyarrow"},
    "files.onnx.contents": {"google"},
    "files.onnx.library": {"onnx"},
    "plot.animation": {"PIL", "matplotlib"},
    "axes": {"matplotlib"},
    "plot.network": {"matplotlib"},
    "sklearn.display": {"sklearn"},
    "methods.cholesky": {"scipy"},
    "methods.objective": {"scipy"},
    "saving.container": {"safetensors"},
    "sklearn": {"sklearn"},
    "sklearn.base": {"sklearn"},
    "sklearn.conversion": {"sklearn"},
    "sklearn.estimators": {"sklearn"},
    "sklearn.features": {"sklearn"},
    "sklearn.inputs": {"sklearn"},
    "sklearn.callbacks": {"sklearn"},
    "sklearn.networks": {"sklearn"},
    "sklearn.onnx": {"scipy", "skl2onnx", "sklearn"},
    "sklearn.perceptron": {"sklearn"},
    "sklearn.randomness": {"sklearn"},
    "sklearn.recognition": {"sklearn"},
    "sklearn.saving": {"sklearn"},
    "sklearn.targets": {"sklearn"},
    "sklearn.training": {"sklearn"},
    "sklearn.scores": {"sklearn"},
    "sklearn.validation": {"sklearn"},
    "sklearn.values": {"scipy", "sklearn"},
}
ON_TOP = {  # what a package or a file that is itself on demand is made of
    "files.keras_layers": {"keras"},
    "files.torch_modules": {"torch"},
    "sklearn": {"scipy", "sklearn"},
}
SHIPPED = ["kernel(cached=True, shipped=True)"]
TABLES = {"kernels.layout", "kernels.table", "kernels.workspace"}  # Python: what kernels read
FILE_LINES = 400  # without blank lines, comments and docstrings
FUNCTION_STATEMENTS = 70


def name_of(path: Path) -> str:
    """The module's name below fastbp; that of the package itself is __init__."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
each_file = pytest.mark.parametrize("name", FILES)


def imports(tree: ast.AST) -> Iterator[str]:
    """Full names of the modules a tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            for alias in node.names:
                below = f"{node.module}.{alias.name}".removeprefix("fastbp.")
                yield f"fastbp.{below}" if below in FILES else str(node.module)


def inside(name: str) -> set[str]:
    """The files of fastbp that a file imports."""
    found = {target for target in imports(TREES[name]) if target.split(".")[0] == "fastbp"}
    return {target.removeprefix("fastbp").removeprefix(".") or "__init__" for target in found}


def room_of(name: str) -> str:
    return name.split(".")[0]


@each_file
def test_imports_point_down(name: str) -> None:
    room = room_of(name)
    assert room in LEVEL, f"{room} has no level: give it one here"
    for target in inside(name):
        below = room_of(target)
        assert below == room or LEVEL[below] < LEVEL[room], f"{name} imports {target}, above it"


def test_levels_name_rooms_that_are_there() -> None:
    assert set(LEVEL) == {room_of(name) for name in FILES}


def test_no_file_imports_itself_by_any_way() -> None:
    order = tuple(TopologicalSorter({name: inside(name) for name in FILES}).static_order())
    assert set(order) == set(FILES)  # a circle raises CycleError, which names it


@each_file
def test_no_other_dependencies(name: str) -> None:
    roots = {target.split(".")[0] for target in imports(TREES[name])}
    other = roots - DEPENDENCIES - {"fastbp"} - sys.stdlib_module_names
    assert other == ON_DEMAND.get(name, set())
    inner = other - ON_TOP.get(name, ON_TOP.get(room_of(name), set()))
    for node in TREES[name].body:
        assert not {target.split(".")[0] for target in imports(ast.Module([node], []))} & inner or (
            isinstance(node, ast.FunctionDef)
        ), f"line {node.lineno}: import {other} where it is needed"


@each_file
def test_only_the_machine_knows_numba(name: str) -> None:
    found = {target for target in imports(TREES[name]) if target.split(".")[0] != "fastbp"}
    of_numba = {target for target in found if target.split(".")[0] == "numba"}
    internals = {target for target in of_numba if target.startswith("numba.core")}
    machine = room_of(name) == "machine"
    assert machine or name == "plain" or not of_numba
    assert machine or not any(target.split(".")[0] == "llvmlite" for target in found)
    assert name in INTERNALS or not internals


def loaded_by(module: str) -> set[str]:
    """The modules that a process has loaded after importing one."""
    code = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.slow
def test_import_loads_nothing_large() -> None:
    ours = loaded_by("fastbp") - loaded_by("numba")  # Numba looks at SciPy's version
    assert "fastbp.mlp" in ours
    assert {
        "fastbp.plain",
        "fastbp.commands",
        "fastbp.saving",
        "fastbp.sklearn",
        "fastbp.__main__",
    }.isdisjoint(ours)
    on_demand = {f"fastbp.{module}" for module in fastbp.ON_DEMAND.values()}
    assert on_demand.isdisjoint(ours)
    assert {
        "sklearn",
        "scipy",
        "torch",
        "jax",
        "pandas",
        "tqdm",
        "matplotlib",
        "safetensors",
    }.isdisjoint(name.split(".")[0] for name in ours)
    assert "matplotlib" not in loaded_by("fastbp.plot")


@pytest.mark.parametrize("name", fastbp.ON_DEMAND)
def test_what_is_on_demand_is_there(name: str) -> None:
    assert name in fastbp.__all__ and name in dir(fastbp)
    module = sys.modules[f"fastbp.{fastbp.ON_DEMAND[name]}"] if getattr(fastbp, name) else None
    assert getattr(fastbp, name) is getattr(module, name, module)


def test_other_names_are_missing() -> None:
    with pytest.raises(AttributeError, match="module 'fastbp' has no attribute 'lrfind'"):
        _ = fastbp.lrfind


Documented = ast.Module | ast.ClassDef | ast.FunctionDef


def code_lines(name: str) -> set[int]:
    """Numbers of the lines that hold code."""
    lines = FILES[name].read_text(encoding="utf-8").splitlines()
    filled = {i for i, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"}
    for node in ast.walk(TREES[name]):
        if isinstance(node, Documented) and ast.get_docstring(node) is not None:
            filled -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return filled


@each_file
def test_files_and_functions_are_small(name: str) -> None:
    assert len(code_lines(name)) < FILE_LINES
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.FunctionDef):
            count = sum(isinstance(inner, ast.stmt) for inner in ast.walk(node)) - 1
            assert count <= FUNCTION_STATEMENTS, f"{node.name} has {count} statements"


def root(node: ast.expr) -> str | None:
    """The name that an expression is about: its first argument, or what its fields belong to."""
    if isinstance(node, ast.Call):
        return root(node.args[0]) if node.args else root(node.func)
    if isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        return root(node.value)
    return node.id if isinstance(node, ast.Name) else None


def shape(node: ast.expr) -> list[str]:
    """What an expression does, whatever it does it to."""
    inner = [type(part).__name__ for part in ast.walk(node)]
    return [*inner, ast.unparse(node.func) if isinstance(node, ast.Call) else ""]


def joins(node: ast.AST) -> bool:
    """Whether a tuple assignment joins statements that have nothing to do with each other.

    An enumeration, a swap, attributes that take the names of what is assigned to them, the fields
    of one thing and the same of several things are one statement.
    """
    if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)):
        return False
    targets, values = node.targets[0], node.value.elts
    if not isinstance(targets, ast.Tuple) or len(targets.elts) != len(values):
        return False
    names = [ast.unparse(target) for target in targets.elts]
    read = {ast.unparse(part) for value in values for part in ast.walk(value)}
    if all(name.isupper() for name in names) or set(names) & read:
        return False
    if all(n.split(".")[-1] == ast.unparse(v) for n, v in zip(names, values, strict=True)):
        return False
    roots = {root(value) for value in values}
    plain = all(isinstance(value, ast.Constant | ast.Name) for value in values)
    alike = not plain and len({str(shape(value)) for value in values}) == 1
    return not alike and (None in roots or len(roots) > 1)


@each_file
def test_one_statement_a_line(name: str) -> None:
    joined = [f"{n.lineno}: {ast.unparse(n)}" for n in ast.walk(TREES[name]) if joins(n)]
    assert not joined, "\n".join(joined)


@pytest.mark.parametrize(
    ("line", "joined"),
    [
        ("mode, total, count = flush(), 0.0, x.shape[0]", True),
        ("self.data, rows = load(path), 3", True),
        ("a, b = b, a", False),
        ("RUNNING, FINISHED = 0, 1", False),
        ("k, n = n_inputs(layer), n_units(layer)", False),
        ("self.X, self.y = X, y", False),
        ("top, left = floor(i), floor(j)", False),
        ("rows, columns = X.shape", False),
    ],
)
def test_what_joins_statements(line: str, joined: bool) -> None:
    assert joins(ast.parse(line).body[0]) == joined


def public(name: str) -> Iterator[tuple[str, Documented]]:
    """Public classes and functions of a file, and the methods of public classes."""
    for node in TREES[name].body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            if not any("overload" in ast.unparse(d) for d in node.decorator_list):
                yield node.name, node
            if isinstance(node, ast.ClassDef) and not name.startswith("_"):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                        decorators = " ".join(map(ast.unparse, method.decorator_list))
                        if "setter" not in decorators and "overload" not in decorators:
                            yield f"{node.name}.{method.name}", method


@each_file
def test_public_names_are_documented(name: str) -> None:
    assert ast.get_docstring(TREES[name]), f"{FILES[name]} has no docstring"
    missing = [what for what, node in public(name) if not ast.get_docstring(node)]
    assert not missing


@each_file
def test_no_code_from_strings_and_one_decorator(name: str) -> None:
    if name in TABLES or not (name.startswith("kernels") or name.endswith(".kernels")):
        return
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"exec", "eval", "compile"}
        if isinstance(node, ast.FunctionDef):
            decorators = [ast.unparse(d) for d in node.decorator_list]
            assert decorators in ([], ["kernel"], ["kernel(cached=True)"], SHIPPED), node.name
            assert node in TREES[name].body, f"{node.name} is not at the top of the module"
