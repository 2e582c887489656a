"""Make torch_derivatives.json: derivatives of small nets as PyTorch computes them, in float64.

Run it with PyTorch installed (``pip install torch``):
``python tests/reference_values/torch_derivatives.py``.
The nets are 3-4-2 with four rows, no randomness: their numbers are sines. Hessian products come
from two passes backward, the gradient of a row from that row alone.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch.nn import functional

SIZES = (3, 4, 2)
ROWS = 4
ACTIVATIONS = {
    "identity": lambda z: z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": lambda z: functional.leaky_relu(z, 0.01),
    "elu": functional.elu,
    "selu": functional.selu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "hard_sigmoid": lambda z: torch.clamp(z + 3, 0, 6) / 6,  # theirs has no second derivative
}
LOSSES = {  # of each output, from outputs or, the last four, from net inputs
    "squared_error": lambda y, t: (y - t) ** 2 / 2,
    "absolute_error": lambda y, t: (y - t).abs(),
    "huber": lambda y, t: functional.huber_loss(y, t, reduction="none"),
    "quantile": lambda y, t: torch.maximum(0.5 * (y - t), -0.5 * (y - t)),
    "hinge": lambda y, t: torch.relu(1 - t * y),
    "poisson": lambda z, t: functional.poisson_nll_loss(z, t, reduction="none"),
    "gamma": lambda z, t: t * torch.exp(-z) + z,
    "binary_cross_entropy": lambda z, t: functional.binary_cross_entropy_with_logits(
        z, t, reduction="none"
    ),
    "cross_entropy": lambda z, t: -t * torch.log_softmax(z, 1),
}
OUTPUT = {
    "poisson": torch.exp, "gamma": torch.exp, "binary_cross_entropy": torch.sigmoid,
    "cross_entropy": lambda z: torch.softmax(z, 1),
}  # fmt: skip


def sines(shape: tuple[int, ...], start: float, step: float = 0.7) -> torch.Tensor:
    count = torch.Size(shape).numel()
    return torch.sin(start + step * torch.arange(count, dtype=torch.float64)).reshape(shape)


def targets_for(loss: str) -> torch.Tensor:
    t = sines((ROWS, SIZES[-1]), 0.3, 1.1)
    if loss == "hinge":
        return torch.sign(t)
    if loss in ("poisson", "gamma", "binary_cross_entropy"):
        return (t + 1.1) / 2.2
    return torch.softmax(t, 1) if loss == "cross_entropy" else t


def net_inputs(activation: str, params: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The net inputs of the outputs; parameters as in ``MLP.params``."""
    at, y = 0, x
    for layer, (k, n) in enumerate(zip(SIZES, SIZES[1:], strict=False)):
        w, b = params[at : at + n * k].reshape(n, k), params[at + n * k : at + n * k + n]
        at += n * k + n
        y = y @ w.T + b
        if layer == 0:
            y = ACTIVATIONS[activation](y)
    return y


def case(activation: str, loss: str) -> dict[str, object]:
    count = sum((k + 1) * n for k, n in zip(SIZES, SIZES[1:], strict=False))
    params = sines((count,), 0.1).requires_grad_()
    x = (2 * sines((ROWS, SIZES[0]), 0.5, 0.9)).requires_grad_()
    v, dy = sines((count,), 0.9, 1.3), sines((ROWS, SIZES[-1]), 0.2, 0.8)
    t = targets_for(loss)

    def loss_of(p: torch.Tensor, rows: slice = slice(None)) -> torch.Tensor:
        values = LOSSES[loss](net_inputs(activation, p, x[rows]), t[rows])
        return values.sum() / len(values)

    grad, dx = torch.autograd.grad(loss_of(params), (params, x), create_graph=True)
    (product,) = torch.autograd.grad((grad * v).sum(), params)
    (of_row,) = torch.autograd.grad(loss_of(params, slice(1, 2)), params)
    y = OUTPUT.get(loss, lambda z: z)(net_inputs(activation, params, x))
    vjp = torch.autograd.grad((y * dy).sum(), (x, params))
    arrays = {
        "params": params, "X": x, "y": t, "v": v, "dY": dy, "grad": grad, "input_gradient": dx,
        "hessian_product": product, "gradient_of_row_1": of_row, "vjp_inputs": vjp[0],
        "vjp_params": vjp[1],
    }  # fmt: skip
    found = {name: array.detach().tolist() for name, array in arrays.items()}
    return {"activation": activation, "loss": loss, **found}


if __name__ == "__main__":
    pairs = [(name, "squared_error") for name in ACTIVATIONS]
    pairs += [("tanh", loss) for loss in LOSSES if loss != "squared_error"]
    cases = [case(*pair) for pair in pairs]
    shared = {name: cases[0][name] for name in ("params", "X", "v", "dY")}
    for one in cases:
        for name in shared:
            del one[name]
    found = {"torch": torch.__version__, **shared, "cases": cases}
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(found, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")
