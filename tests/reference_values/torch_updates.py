"""Make torch_updates.json: ten updates of each optimiser as PyTorch does them, in float64.

Run it with PyTorch installed (``pip install torch``):
``python tests/reference_values/torch_updates.py``.
The net is 3-4-2 with tanh, no randomness: its numbers are sines.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch

BIASES = {"weights": False, "learning_rate": 0.03, "weight_decay": 0.0}
# Optimiser of fastbp and its options; then, by name, its groups and the options of the net.
SETTINGS = {
    "sgd": ("SGD", {"learning_rate": 0.1}),
    "momentum": ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    "nesterov": ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"learning_rate": 0.001}),
    "adam_2": ("Adam", {"learning_rate": 0.05, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3}),
    "adamw": ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.5}),
    "amsgrad": ("AMSGrad", {"learning_rate": 0.02, "beta_1": 0.5, "beta_2": 0.6}),
    "nadam": ("NAdam", {"learning_rate": 0.002}),
    "nadam_2": ("NAdam", {"learning_rate": 0.02, "beta_1": 0.8, "momentum_decay": 0.5}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.01}),
    "rmsprop_momentum": ("RMSprop", {"learning_rate": 0.01, "rho": 0.99, "momentum": 0.9}),
    "rmsprop_centered": (
        "RMSprop",
        {"learning_rate": 0.01, "epsilon": 1e-3, "momentum": 0.5, "centered": True},
    ),
    "adagrad": ("Adagrad", {"learning_rate": 0.05}),
    "adadelta": ("Adadelta", {"learning_rate": 1.0, "epsilon": 1e-3}),
    "sgd_groups": ("SGD", {"learning_rate": 0.1, "weight_decay": 0.05}, {"groups": [BIASES]}),
    "momentum_groups": (
        "SGD",
        {"learning_rate": 0.1, "momentum": 0.9},
        {
            "groups": [
                {"layers": [1], "learning_rate": 0.02},
                {"layers": [0], "weights": False, "learning_rate": 0.0},
            ]
        },
    ),
    "adamw_groups": (
        "AdamW",
        {"learning_rate": 0.01, "weight_decay": 0.5},
        {"groups": [BIASES, {"layers": [1], "biases": False, "weight_decay": 0.1}]},
    ),
    "clip_norm": ("SGD", {"learning_rate": 0.1}, {"net": {"clip_norm": 0.5}}),
    "clip_value": ("Adam", {"learning_rate": 0.01}, {"net": {"clip_value": 0.1}}),
    "l2": ("SGD", {"learning_rate": 0.1}, {"net": {"l2": 0.3}}),
    "l1": ("Adam", {"learning_rate": 0.01}, {"net": {"l1": 0.1}}),
    "max_norm": ("SGD", {"learning_rate": 0.1}, {"net": {"max_norm": 1.0}}),
    "all": (
        "AdamW",
        {"learning_rate": 0.02, "weight_decay": 0.2},
        {
            "groups": [BIASES],
            "net": {"l1": 0.02, "l2": 0.1, "clip_value": 0.2, "clip_norm": 0.4, "max_norm": 1.25},
        },
    ),
}
SIZES = (3, 4, 2)


def sines(start: int, *shape: int) -> torch.Tensor:
    count = 1
    for size in shape:
        count *= size
    numbers = torch.sin(torch.arange(start, start + count, dtype=torch.float64) * 1.7)
    return torch.round(numbers.reshape(shape) * 1000) / 1000


def torch_groups(layers, options: dict, groups: list[dict]) -> list[dict]:
    """Each tensor of parameters with its learning rate and decay."""
    found = []
    for number, layer in enumerate(layers):
        for kind, tensor in (("weights", layer.weight), ("biases", layer.bias)):
            own = {"params": [tensor], "lr": options["learning_rate"]}
            own["weight_decay"] = options.get("weight_decay", 0.0)
            for group in groups:
                if number in group.get("layers", range(len(layers))) and group.get(kind, True):
                    own["lr"] = group.get("learning_rate", own["lr"])
                    own["weight_decay"] = group.get("weight_decay", own["weight_decay"])
            found.append(own)
    return found


def torch_optimizer(name: str, options: dict, params) -> torch.optim.Optimizer:
    """The same in PyTorch; without momentum its decay of SGD is fastbp's."""
    options = {k: v for k, v in options.items() if k not in ("learning_rate", "weight_decay")}
    if name == "SGD":
        return torch.optim.SGD(params, **options)
    if name == "RMSprop":
        options = {"rho": 0.9, "epsilon": 1e-7} | options
        alpha, eps = options.pop("rho"), options.pop("epsilon")
        return torch.optim.RMSprop(params, alpha=alpha, eps=eps, **options)
    if name == "Adagrad":
        return torch.optim.Adagrad(params, eps=1e-10)
    if name == "Adadelta":
        return torch.optim.Adadelta(params, rho=0.9, eps=options["epsilon"])
    betas = options.get("beta_1", 0.9), options.get("beta_2", 0.999)
    shared = {"betas": betas, "eps": options.get("epsilon", 1e-8)}
    if name == "NAdam":
        decay = options.get("momentum_decay", 0.004)
        return torch.optim.NAdam(params, momentum_decay=decay, **shared)
    kind = torch.optim.AdamW if name == "AdamW" else torch.optim.Adam
    return kind(params, amsgrad=name == "AMSGrad", **shared)


def clip(net, options: dict) -> None:
    if "clip_value" in options:
        torch.nn.utils.clip_grad_value_(net.parameters(), options["clip_value"])
    if "clip_norm" in options:
        torch.nn.utils.clip_grad_norm_(net.parameters(), options["clip_norm"])


def limit(layers, options: dict) -> None:
    """The weights into each unit, a row here."""
    if "max_norm" in options:
        with torch.no_grad():
            for layer in layers:
                layer.weight.copy_(torch.renorm(layer.weight, 2, 0, options["max_norm"]))


def penalty(layers, options: dict) -> torch.Tensor:
    l1, l2 = options.get("l1", 0.0), options.get("l2", 0.0)
    return sum(l1 * la.weight.abs().sum() + l2 / 2 * (la.weight**2).sum() for la in layers)


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
    for run, (name, options, *more) in SETTINGS.items():
        extras = more[0] if more else {}
        of_net = extras.get("net", {})
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
        groups = torch_groups(layers, options, extras.get("groups", []))
        optimizer = torch_optimizer(name, options, groups)
        losses, params = [], []
        for _ in range(10):
            optimizer.zero_grad()
            loss = 0.5 * ((net(X) - T) ** 2).sum(dim=1).mean() + penalty(layers, of_net)
            loss.backward()
            clip(net, of_net)
            optimizer.step()
            limit(layers, of_net)
            losses.append(float(f"{loss.item():.12g}"))
            params.append(flat())
        figures["runs"][run] = {
            "optimizer": name,
            "options": options,
            **extras,
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
