"""Random estimators that are stopped between two calls and go on: for the tests of resuming and
their child process, which imports this file by its name.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas
import scipy.sparse

import fastbp
import fastbp.sklearn
from fastbp import graph
from fastbp.model.losses import as_loss

CALLS = 4
KINDS = (
    "binary", "multiclass", "multilabel", "several targets", "one target", "three targets",
    "counts", "perceptron",
)  # fmt: skip
CLASSES: dict[str, Any] = {
    "int": np.array([-2, 3, 7]),
    "int8": np.array([1, 2, 5], np.int8),
    "float": np.array([0.0, 1.0, 3.0]),
    "str": np.array(["no", "yes", "Übermut"]),
    "object": np.array(["a longer one than sixteen", "b", "c"], object),
}


class Run(NamedTuple):
    """An estimator before its first call, what each call is, and after how many it is stopped."""

    estimator: Any
    call: Callable[[Any, int], object]
    stop: int


def run(seed: int) -> Run:
    """The same for the same seed; 8 in a row are of every kind."""
    rng = np.random.default_rng([seed, 23])
    kind = KINDS[seed % len(KINDS)]
    rows = int(rng.integers(30, 90))
    X = rng.normal(size=(rows, int(rng.integers(2, 6))))
    X[rng.random(X.shape) < 0.2] = 0
    classes = CLASSES[str(rng.choice([*CLASSES]))]
    stop = int(rng.integers(CALLS))
    if kind == "perceptron":
        y = classes[rng.integers(int(rng.integers(2, 4)), size=rows)]
        unit = fastbp.sklearn.Perceptron(**of_perceptron(rng))
        return Run(unit, perceptron_call(rng, X, y), stop)
    parameters = of_net(rng, kind)
    y = targets(rng, kind, X, classes)
    if kind in ("one target", "three targets") and parameters["missing_targets"]:
        y[rng.random(y.shape) < 0.1] = np.nan
    regression = kind in ("one target", "three targets", "counts")
    made = fastbp.sklearn.MLPRegressor if regression else fastbp.sklearn.MLPClassifier
    if kind in ("binary", "multiclass"):
        weight: Any = {label: 0.5 + i for i, label in enumerate(np.unique(y).tolist())}
        parameters["class_weight"] = [None, weight][int(rng.integers(2))]
    return Run(made(**parameters), net_call(rng, X, y, parameters, kind), stop)


def targets(rng: np.random.Generator, kind: str, X: np.ndarray, classes: np.ndarray) -> Any:
    z = X @ rng.normal(size=(X.shape[1], 3)) + 0.3 * rng.normal(size=(len(X), 3))
    if kind == "binary":
        return z[:, 0] > 0 if rng.integers(3) == 0 else classes[(z[:, 0] > 0).astype(int)]
    if kind == "multiclass":
        return classes[z.argmax(axis=1)]
    if kind == "multilabel":
        return (z > 0).astype(int)
    if kind == "several targets":
        return np.stack([z.argmax(axis=1), z.argmin(axis=1) * 2], axis=1)
    if kind == "counts":
        return rng.poisson(np.exp(0.3 * z[:, 0])).astype(float)
    return z[:, 0].copy() if kind == "one target" else z


def random_state(rng: np.random.Generator) -> Any:
    seed = int(rng.integers(2**31))
    stream = np.random.RandomState(seed)
    stream.normal(size=int(rng.integers(700)))
    return [seed, np.int64(seed), stream, None][int(rng.integers(4))]


def of_net(rng: np.random.Generator, kind: str) -> dict[str, Any]:
    """Parameters of many kinds."""
    way = ["fit", "fit", "partial_fit", "partial_fit", "lbfgs"][int(rng.integers(5))]
    if kind == "several targets":
        way = "fit"
    hidden = rng.integers(2, 9, size=int(rng.integers(0, 3)))
    sizes: Any = [tuple(hidden.tolist()), hidden.tolist(), hidden, 5][int(rng.integers(4))]
    n_hidden = 1 if type(sizes) is int else len(hidden)
    found: dict[str, Any] = {
        "hidden_layer_sizes": sizes,
        "activation": ["relu", "logistic", ["gelu"] * n_hidden or "tanh"][int(rng.integers(3))],
        "alpha": [0.0, 1e-3, np.float32(0.01)][int(rng.integers(3))],
        "random_state": random_state(rng),
        "max_iter": int(rng.integers(2, 20)),
        "batch_size": ["auto", 7, np.int64(16)][int(rng.integers(3))],
        "shuffle": bool(rng.integers(4)),
        "tol": float(rng.choice([0.0, 1e-2])),
        "n_iter_no_change": [1, 3, np.inf][int(rng.integers(3))],
        "dtype": [None, "float32", "float64"][int(rng.integers(3))],
        "warm_start": way != "partial_fit",
        "l1_ratio": float(rng.choice([0.0, 0.3])),
    }
    if way == "lbfgs":
        return found | loss_of(rng, kind) | {"solver": "lbfgs", "dtype": "float64"}
    if way == "fit" and rng.integers(2) and kind != "several targets":
        found["early_stopping"] = True
        found["validation_fraction"] = 0.25
        if rng.integers(2) and kind not in ("one target", "three targets"):
            found["scoring"] = "loss"
    rates = [0.01, fastbp.CosineDecay(np.float32(0.01), 30), fastbp.WarmUp(0.02, 5)]
    rate: Any = rates[int(rng.integers(3))]
    group = fastbp.Group([0], biases=False, weight_decay=0.01)
    optimizers = [
        {"solver": "adam", "learning_rate_init": 0.01},
        {
            "solver": "sgd", "momentum": float(rng.choice([0.0, 0.9, 1.0])),
            "learning_rate": str(rng.choice(["constant", "invscaling", "adaptive"])),
        },
        {"optimizer": "nadam"},
        {"optimizer": fastbp.AdamW(rate, groups=[group]), "weight_decay": 0.01},
        {"optimizer": fastbp.SGD(rate, momentum=0.5)},
    ]  # fmt: skip
    found |= optimizers[int(rng.integers(5))]
    if rng.integers(3) == 0:
        found |= {"dropout": 0.2, "clip_norm": 1.0}
    found["weight_init"] = [None, None, "he"][int(rng.integers(3))]
    return found | loss_of(rng, kind)


def loss_of(rng: np.random.Generator, kind: str) -> dict[str, Any]:
    if kind == "counts":
        return {"loss": str(rng.choice(["poisson", "squared_error"]))}
    if kind not in ("one target", "three targets"):
        return {}
    y_pred, y = graph.variables("y_pred y")
    squares = as_loss((y_pred - y) ** 2 / 3)
    losses = ["squared_error", "huber", fastbp.Huber(0.7), squares, fastbp.Quantile(0.3)]
    missing = bool(rng.integers(2)) and kind == "three targets"
    return {"loss": losses[int(rng.integers(5))], "missing_targets": missing}


def net_call(
    rng: np.random.Generator, X: Any, y: Any, parameters: dict[str, Any], kind: str
) -> Callable[[Any, int], object]:
    weights = rng.random(len(X)) + 0.1 if rng.integers(2) else None
    if rng.integers(4) == 0:
        X = scipy.sparse.csr_array(X)
    elif rng.integers(4) == 0:
        X = pandas.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])

    def call(estimator: Any, number: int) -> object:
        if parameters["warm_start"]:
            return estimator.fit(X, y, weights)
        some = slice(number % 2, None, 2 if kind in ("one target", "three targets") else 1)
        rows = X.iloc[some] if hasattr(X, "iloc") else X[some]
        shares = None if weights is None else weights[some]
        more: dict[str, Any] = {}
        if kind in ("binary", "multiclass", "multilabel"):
            more["classes"] = np.arange(3) if kind == "multilabel" else np.unique(y)
        return estimator.partial_fit(rows, y[some], shares, **more)

    return call


def of_perceptron(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "penalty": [None, "l2", "l1", "elasticnet"][int(rng.integers(4))],
        "alpha": 1e-3,
        "random_state": random_state(rng),
        "max_iter": int(rng.integers(1, 20)),
        "tol": [None, 1e-3][int(rng.integers(2))],
        "warm_start": True,
        "eta0": float(rng.choice([0.1, 1.0])),
    }


def perceptron_call(
    rng: np.random.Generator, X: Any, y: Any
) -> Callable[[Any, int], object]:  # fmt: skip
    in_parts, sparse = bool(rng.integers(2)), bool(rng.integers(3) == 0)

    def call(estimator: Any, number: int) -> object:
        if in_parts:
            estimator.partial_fit(X, y, classes=np.unique(y))
        else:
            estimator.fit(X, y)
        return estimator.sparsify() if sparse else estimator

    return call


def gone_on(estimator: Any, r: Run, first: int, last: int) -> Any:
    """The estimator after the calls from `first` to `last`."""
    for number in range(first, last):
        np.random.seed(number)  # noqa: NPY002  # for those without a random state
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            r.call(estimator, number)
    return estimator


def flat(value: Any) -> Any:
    """A value as what tells it from others, to the bit and the type."""
    if isinstance(value, np.ndarray):
        content = value.tolist() if value.dtype == object else value.tobytes()
        return "array", str(value.dtype), value.shape, content
    if isinstance(value, dict):
        return [(flat(key), flat(part)) for key, part in value.items()]
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(flat, value)]
    if isinstance(value, np.random.RandomState):
        return flat(value.get_state())
    if scipy.sparse.issparse(value):
        return type(value).__name__, *map(flat, (value.data, value.indices, value.indptr))
    if type(value).__name__ in ("LabelBinarizer", "MetadataRequest"):
        return flat({name: x for name, x in sorted(vars(value).items()) if name != "owner"})
    return type(value).__name__, repr(value)


def parts(estimator: Any) -> dict[str, Any]:
    """All that an estimator holds."""
    state = estimator.__getstate__()
    return {name: flat(state[name]) for name in sorted(state)}


def digest(estimator: Any) -> str:
    return hashlib.sha256(repr(parts(estimator)).encode()).hexdigest()


def unpickled(estimator: Any) -> Any:
    return pickle.loads(pickle.dumps(estimator))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for seed in map(int, sys.argv[2:]):
        r = run(seed)
        estimator = fastbp.sklearn.load(folder / f"{seed}.safetensors")
        print(digest(gone_on(estimator, r, r.stop, CALLS)))
