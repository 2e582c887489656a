"""Make optax_updates.json: ten updates of Lion as optax does them, in float64.

Run it with optax installed (``pip install optax``):
``python tests/reference_values/optax_updates.py``.
The net and its data are those of torch_updates.json.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

SETTINGS = {
    "lion": {"learning_rate": 0.01},
    "lion_decay": {"learning_rate": 0.03, "beta_1": 0.5, "beta_2": 0.8, "weight_decay": 0.5},
}
HERE = Path(__file__).parent


def layers_of(params, sizes):
    """Weights (n_out, n_in) and biases of each layer of the flat parameters."""
    found, at = [], 0
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        weights = params[at : at + n_in * n_out].reshape(n_out, n_in)
        at += n_in * n_out
        found.append((weights, params[at : at + n_out]))
        at += n_out
    return found


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    net = json.loads((HERE / "torch_updates.json").read_text("utf-8"))
    X, T = jnp.array(net["inputs"]), jnp.array(net["targets"])

    def loss_of(params):
        (w, b), (w2, b2) = layers_of(params, net["sizes"])
        return 0.5 * ((jnp.tanh(X @ w.T + b) @ w2.T + b2 - T) ** 2).sum(axis=1).mean()

    figures = {"optax": optax.__version__, "runs": {}}
    for run, options in SETTINGS.items():
        optimizer = optax.lion(
            options["learning_rate"],
            b1=options.get("beta_1", 0.9),
            b2=options.get("beta_2", 0.99),
            weight_decay=options.get("weight_decay", 0.0),
        )
        params = jnp.array(net["params"])
        state, losses, all_params = optimizer.init(params), [], []
        for _ in range(10):
            loss, grad = jax.value_and_grad(loss_of)(params)
            step, state = optimizer.update(grad, state, params)
            params = optax.apply_updates(params, step)
            losses.append(float(f"{float(loss):.12g}"))
            all_params.append([float(f"{number:.12g}") for number in params.tolist()])
        figures["runs"][run] = {
            "optimizer": "Lion",
            "options": options,
            "losses": losses,
            "params": all_params,
        }
    text = json.dumps(figures, indent=1)
    # One list of numbers a line.
    text = re.sub(r"\[[^\[\]{}]*\]", lambda m: re.sub(r"\s+", " ", m[0]), text) + "\n"
    assert json.loads(text) == figures
    (HERE / "optax_updates.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
