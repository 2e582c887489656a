"""Make torch_modules.json: modules of PyTorch, their outputs and their gradients.

Run it with PyTorch installed (``pip install torch==2.13.0``):
``python tests/reference_values/torch_modules.py``.
A module is written as its class with what `from_torch` may read of it, so that the tests can build
stand-ins where there is no PyTorch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

ROWS = 5
UNITS = [
    nn.Sigmoid(), nn.Tanh(), nn.ReLU(), nn.LeakyReLU(), nn.ELU(), nn.SELU(), nn.GELU(), nn.SiLU(),
    nn.Softplus(), nn.Hardsigmoid(), nn.Identity(),
]  # fmt: skip


def half_squares(y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return ((y - target) ** 2).sum() / (2 * len(y))


def cross_entropy(y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return nn.functional.nll_loss(torch.log(y), target)


def bce(y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy(y, target, reduction="sum") / len(y)


def bce_logits(y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    loss = nn.functional.binary_cross_entropy_with_logits(y, target, reduction="sum")
    return loss / len(y)


def cases() -> dict[str, tuple[nn.Module, Any, dict[str, Any]]]:
    """Module, its loss and the options of `from_torch`, by name."""
    found: dict[str, tuple[nn.Module, Any, dict[str, Any]]] = {}
    for unit in UNITS:
        module = nn.Sequential(nn.Linear(3, 4), unit, nn.Linear(4, 2))
        found[type(unit).__name__] = module, half_squares, {}
    found["output"] = (
        nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2), nn.Tanh()), half_squares, {},
    )  # fmt: skip
    found["nested"] = (
        nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.25),
            nn.Sequential(nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Dropout(0.5)),
            nn.Identity(),
            nn.Sequential(nn.Sequential(nn.Linear(4, 4, bias=False), nn.Dropout(0.1), nn.ReLU())),
            nn.Linear(4, 1, bias=False),
        ),
        half_squares,
        {},
    )
    found["one layer"] = nn.Linear(3, 2), half_squares, {}
    classifier = [nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)]
    found["softmax"] = nn.Sequential(*classifier, nn.Softmax(dim=1)), cross_entropy, {}
    found["log softmax"] = (
        nn.Sequential(*classifier, nn.LogSoftmax(dim=-1)), nn.functional.nll_loss, {},
    )  # fmt: skip
    found["class logits"] = (
        nn.Sequential(*classifier), nn.functional.cross_entropy, {"loss": "cross_entropy"},
    )  # fmt: skip
    found["sigmoid"] = (
        nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.Sigmoid()), bce, {},
    )  # fmt: skip
    found["logits"] = (
        nn.Sequential(nn.Linear(3, 2)), bce_logits, {"loss": "binary_cross_entropy"},
    )  # fmt: skip
    return found


def specification(module: nn.Module) -> dict[str, Any]:
    """The class of a module, its plain attributes, and what it is made of."""
    kinds = (bool, int, float, str, type(None))
    attributes = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, kinds) and not name.startswith("_")
    }
    spec: dict[str, Any] = {
        "class": type(module).__name__,
        "module": type(module).__module__,
        "attributes": attributes,
        "parameters": {
            name: None if value is None else value.tolist()
            for name, value in module._parameters.items()
        },
    }
    if isinstance(module, nn.Sequential):
        spec["parts"] = [specification(part) for part in module]
    return spec


def case(module: nn.Module, loss: Any, options: dict[str, Any], dtype: torch.dtype) -> dict:
    """What the JSON holds of a module."""
    module = module.to(dtype).eval()
    X = torch.randn(ROWS, 3, dtype=dtype)
    outputs = module(X)
    if "cross_entropy" in loss.__name__ and "binary" not in loss.__name__ or "nll" in loss.__name__:
        target = torch.arange(ROWS) % outputs.shape[1]
    else:
        target = torch.rand(outputs.shape, dtype=dtype)
    value = loss(outputs, target)
    module.zero_grad()
    value.backward()
    return {
        "spec": specification(module),
        "state": {name: tensor.tolist() for name, tensor in module.state_dict().items()},
        "options": options,
        "dtype": str(dtype).removeprefix("torch."),
        "X": X.tolist(),
        "outputs": outputs.tolist(),
        "target": target.tolist(),
        "loss": value.item(),
        "gradient": {name: tensor.grad.tolist() for name, tensor in module.named_parameters()},
    }


def main() -> None:
    torch.manual_seed(0)
    found = {}
    for name, parts in cases().items():
        found[name] = case(*parts, torch.float64)
    for name in ("GELU", "nested", "softmax"):
        found[f"{name}, float32"] = case(*cases()[name], torch.float32)
    text = "{\n" + ",\n".join(f'"{name}": {json.dumps(made)}' for name, made in found.items())
    path = Path(__file__).with_suffix(".json")
    path.write_text(f"{text}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
