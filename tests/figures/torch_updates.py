"""Make torch_updates.json: ten updates of each optimiser as PyTorch does them, in float64.

Run it with PyTorch installed (``pip install torch``): ``python tests/figures/torch_updates.py``.
The net is 3-4-2 with tanh, no randomness: its numbers are sines.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch

SETTINGS = {
    "sgd": ("SGD", {"learning_rate": 0.1}),
    "momentum": ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    "nesterov": ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"learning_rate": 0.001}),
    "adam_2": ("Adam", {"learning_rate": 0.05, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3}),
}
SIZES = (3, 4, 2)


def sines(start: int, *shape: int) -> torch.Tensor:
    count = 1
    for size in shape:
        count *= size
    numbers = torch.sin(torch.arange(start, start + count, dtype=torch.float64) * 1.7)
    return torch.round(numbers.reshape(shape) * 1000) / 1000


def torch_optimizer(name: str, options: dict, params) -> torch.optim.Optimizer:
    options = dict(options)
    rate = options.pop("learning_rate")
    if name == "SGD":
        return torch.optim.SGD(params, lr=rate, **options)
    betas = options.get("beta_1", 0.9), options.get("beta_2", 0.999)
    return torch.optim.Adam(params, lr=rate, betas=betas, eps=options.get("epsilon", 1e-8))


def main() -> None:
    X, T = sines(1, 5, SIZES[0]), sines(50, 5, SIZES[-1])
    figures = {
        "torch": torch.__version__,
        "sizes": SIZES,
        "inputs": X.tolist(),
        "targets": T.tolist(),
        # A layer's weights unit by unit, then its biases, as in MLP.params.
        "params": [],
        "runs": {},
    }
    for run, (name, options) in SETTINGS.items():
        layers = [torch.nn.Linear(a, b).double() for a, b in zip(SIZES, SIZES[1:], strict=False)]
        net = torch.nn.Sequential(layers[0], torch.nn.Tanh(), layers[1])
        start = 100
        with torch.no_grad():
            for p in net.parameters():
                p.copy_(sines(start, *p.shape))
                start += p.numel()

        def flat(net=net) -> list[float]:
            numbers = torch.cat([p.detach().reshape(-1) for p in net.parameters()])
            return [float(f"{number:.12g}") for number in numbers.tolist()]

        figures["params"] = flat()
        optimizer = torch_optimizer(name, options, net.parameters())
        losses, params = [], []
        for _ in range(10):
            optimizer.zero_grad()
            loss = 0.5 * ((net(X) - T) ** 2).sum(dim=1).mean()
            loss.backward()
            optimizer.step()
            losses.append(float(f"{loss.item():.12g}"))
            params.append(flat())
        figures["runs"][run] = {
            "optimizer": name,
            "options": options,
            "losses": losses,
            "params": params,
        }
    text = json.dumps(figures, indent=1)
    # One list of numbers a line.
    text = re.sub(r"\[[^\[\]{}]*\]", lambda m: re.sub(r"\s+", " ", m[0]), text) + "\n"
    assert json.loads(text) == json.loads(json.dumps(figures))
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
