"""Type checkers and editors know every parameter and fitted attribute of the estimators."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris

import fastbp
import fastbp.sklearn

ROOT = Path(fastbp.__file__).parent.parent
X, Y = load_iris(return_X_y=True)
NAMES = ("MLPClassifier", "MLPRegressor", "Perceptron")
METHODS = {
    "MLPClassifier": ["fit", "partial_fit", "predict", "predict_proba", "predict_log_proba"],
    "MLPRegressor": ["fit", "partial_fit", "predict"],
    "Perceptron": [
        "fit", "partial_fit", "predict", "decision_function", "sparsify", "densify", "save",
    ],
}  # fmt: skip
OF_NETS = [
    "transform", "fit_transform", "get_feature_names_out", "set_output", "from_sklearn",
    "to_sklearn", "score", "get_params", "set_params", "save",
]  # fmt: skip
TYPES = {
    "alpha": "float", "max_iter": "int", "warm_start": "bool", "n_iter_": "int", "loss_": "float64",
    "loss_curve_": "list[float64]", "best_loss_": "float64 | None",
    "validation_scores_": "list[float] | None", "n_features_in_": "int", "eta0": "float",
}  # fmt: skip
"""What some are; the rest must only be known."""


def public_names(name: str) -> list[str]:
    """Parameters, fitted attributes of fits of each kind, and methods."""
    kind = getattr(fastbp.sklearn, name)
    names = set(inspect.signature(kind).parameters) | {"feature_names_in_", "loss"}
    fits: list[dict[str, Any]] = [{}, {"early_stopping": True}]
    if name != "Perceptron":
        fits.append({"solver": "lbfgs"})
    for options in fits:
        fitted = kind(max_iter=2, **options).fit(X, Y)
        names |= {key for key in vars(fitted) if key.endswith("_") and not key.startswith("_")}
    return [*sorted(names), *METHODS[name], *([] if name == "Perceptron" else OF_NETS)]


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pyright", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_pyright_knows_them(tmp_path) -> None:
    pytest.importorskip("pyright", reason="pyright is missing: pip install -e .[test,clients]")
    started = run("--version", folder=tmp_path)
    if started.returncode:
        pytest.skip(f"pyright does not start, for want of node or network: {started.stderr[-300:]}")
    names = {name: public_names(name) for name in NAMES}
    lines = ["from fastbp.sklearn import MLPClassifier, MLPRegressor, Perceptron"]
    for name in NAMES:
        lines.append(f"{name.lower()} = {name}()")
        lines += [f"reveal_type({name.lower()}.{key})" for key in (*names[name], "no_such_name")]
    (tmp_path / "uses.py").write_text("\n".join(lines))
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    done = run("--outputjson", "--pythonpath", sys.executable, "uses.py", folder=tmp_path)
    found = json.loads(done.stdout)["generalDiagnostics"]
    errors = [entry["message"] for entry in found if entry["severity"] == "error"]
    assert [message.splitlines()[0] for message in errors] == [
        f'Cannot access attribute "no_such_name" for class "{name}"' for name in NAMES
    ]
    revealed = dict(
        entry["message"].removeprefix('Type of "').removesuffix('"').split('" is "', 1)
        for entry in found
        if entry["severity"] == "information"
    )
    for name in NAMES:
        for key in names[name]:
            kind = revealed[f"{name.lower()}.{key}"].replace("numpy.", "")
            assert kind != "Unknown", f"{name}.{key}"
            assert kind == TYPES.get(key, kind), f"{name}.{key}"
