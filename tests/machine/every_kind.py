"""Prints a hash of what nets of 67 kinds come to: parameters, losses, predictions; by the dtype.

For processes that are to be compared, of one processor and one width of vectors.
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from typing import Any

import numpy as np
import scipy.sparse

import fastbp
from fastbp import MLP, SGD

ACTIVATIONS = (
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus",
    "hard_sigmoid",
)  # fmt: skip
OPTIMIZERS = (
    "Adam", "AdamW", "AMSGrad", "NAdam", "RMSprop", "Adagrad", "Adadelta", "Lion", "SGD",
)  # fmt: skip
ROWS = 203
EPOCHS = 4


def kinds(rng: np.random.Generator) -> dict[str, tuple[dict[str, Any], Any, dict[str, Any]]]:
    """Options of nets, their targets and options of their fits."""
    Y = np.abs(rng.normal(size=(ROWS, 3))) + 0.1
    labels = rng.integers(0, 4, ROWS)
    deep = (7, 20, 33, 3)
    found: dict[str, tuple[dict[str, Any], Any, dict[str, Any]]] = {}

    def add(name: str, y: Any = Y, sizes: tuple[int, ...] = (7, 16, 3), fit: Any = None, **of: Any):
        found[name] = {"layer_sizes": sizes, **of}, y, fit or {}

    for activation in ACTIVATIONS:
        add(activation, sizes=deep, activation=activation)
        drops = {"dropout": 0.3, "input_dropout": 0.15}
        add(f"{activation} dropout", sizes=deep, activation=activation, **drops)
    rules = {"l1": 1e-3, "l2": 1e-2, "clip_value": 0.1, "max_norm": 1.5}
    for name in OPTIMIZERS:
        optimizer = getattr(fastbp, name)(1e-3)
        add(name, sizes=deep, optimizer=optimizer)
        add(f"{name} rules", sizes=deep, optimizer=optimizer, **rules)
    momentum = SGD(0.01, momentum=0.9)
    add("momentum", sizes=deep, optimizer=momentum)
    add("Nesterov", sizes=deep, optimizer=SGD(0.01, momentum=0.9, nesterov=True))
    for loss in ("squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma"):
        add(loss, loss=loss)
    add("hinge", np.sign(Y - 0.7), loss="hinge")
    add("binary_cross_entropy", (Y > 0.7) * 1.0, loss="binary_cross_entropy")
    add("cross_entropy", labels, (7, 16, 4), loss="cross_entropy")
    add("clip_norm", labels, (7, 16, 4), loss="cross_entropy", clip_norm=0.1, l2=0.1)
    for batch in (1, 2, 3, 7, 16, 17, 33, 64, 200):
        add(f"batches of {batch}", sizes=(7, 5, 40, 3), fit={"batch_size": batch})
    chain = (7, 12, 13, 14, 15, 16, 17, 3)
    for sizes in ((7, 1), (7, 1, 1), (7, 100, 2, 100, 3), (7, 300, 3), chain):
        add(f"sizes {sizes}", Y[:, : sizes[-1]], sizes, {"batch_size": 50})
    add("no biases", bias=False)
    add("sample weights", fit={"sample_weight": rng.random(ROWS)})
    add("sparse rows", sizes=deep)
    return found


def main(dtype: str) -> None:
    """Print a line for each kind."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(1)
    X = rng.normal(size=(ROWS, 7))
    for name, (options, y, fit) in kinds(rng).items():
        net = MLP(**options, dtype=dtype, seed=3)
        rows = scipy.sparse.csr_array(X * (X > 1.0)) if name == "sparse rows" else X
        history = net.fit(rows, y, epochs=EPOCHS, **fit)
        loss, gradient = net.loss_and_grad(rows, y)
        bits = [net.params, net.predict(X), net.predict(X[:1]), gradient, [*history.loss, loss]]
        bits += [net.vjp(X[:5], net.predict(X[:5]))[0], [net.step(X[:9], y[:9])]]
        hashed = hashlib.sha256(b"".join(np.asarray(part).tobytes() for part in bits))
        print(dtype, name, hashed.hexdigest()[:16])
    print(fastbp.machine.objects.STATE)


if __name__ == "__main__":
    main(sys.argv[1])
