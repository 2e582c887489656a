"""Make torch_schedules.json: learning rates by update as PyTorch's schedulers give them.

Run it with PyTorch installed (``pip install torch``):
``python tests/reference_values/torch_schedules.py``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from torch.optim import lr_scheduler as torch_schedules

UPDATES = 60
BASE = 0.1


def warm_up(optimizer):
    line = torch_schedules.LinearLR(optimizer, start_factor=1 / 11, total_iters=10)
    cosine = torch_schedules.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.01)
    return torch_schedules.SequentialLR(optimizer, [line, cosine], milestones=[10])


def one_cycle(optimizer, **options):
    return torch_schedules.OneCycleLR(optimizer, cycle_momentum=False, **options)


# Names, arguments in fastbp, and the scheduler of PyTorch.
RUNS = {
    "step": (
        "StepDecay",
        {"initial_rate": BASE, "every": 7, "factor": 0.5},
        lambda o: torch_schedules.StepLR(o, step_size=7, gamma=0.5),
    ),
    "exponential": (
        "ExponentialDecay",
        {"initial_rate": BASE, "factor": 0.93},
        lambda o: torch_schedules.ExponentialLR(o, gamma=0.93),
    ),
    "cosine": (
        "CosineDecay",
        {"initial_rate": BASE, "period": 59, "min_rate": 0.003},
        lambda o: torch_schedules.CosineAnnealingLR(o, T_max=59, eta_min=0.003),
    ),
    "restarts": (
        "CosineDecay",
        {"initial_rate": BASE, "period": 8, "min_rate": 0.01, "restarts": True},
        lambda o: torch_schedules.CosineAnnealingWarmRestarts(o, T_0=8, eta_min=0.01),
    ),
    "growing_restarts": (
        "CosineDecay",
        {"initial_rate": BASE, "period": 5, "restarts": True, "growth": 3},
        lambda o: torch_schedules.CosineAnnealingWarmRestarts(o, T_0=5, T_mult=3),
    ),
    "inverse": (
        "InverseScaling",
        {"initial_rate": BASE, "power": 0.7},
        lambda o: torch_schedules.LambdaLR(o, lambda t: 1 / (t + 1) ** 0.7),
    ),
    "one_cycle": (
        "OneCycle",
        {"max_rate": 0.5, "total": 60},
        lambda o: one_cycle(o, max_lr=0.5, total_steps=60),
    ),
    "one_cycle_2": (
        "OneCycle",
        {"max_rate": 2.0, "total": 60, "pct_start": 0.45, "div_factor": 4, "final_div_factor": 7},
        lambda o: one_cycle(
            o, max_lr=2.0, total_steps=60, pct_start=0.45, div_factor=4, final_div_factor=7
        ),
    ),
    "warm_up": ("WarmUp", {"updates": 10}, warm_up),  # then CosineDecay(0.1, 50, min_rate=0.01)
}


def main() -> None:
    figures: dict = {"torch": torch.__version__, "runs": {}}
    for name, (schedule, options, make) in RUNS.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
        scheduler, rates = make(optimizer), []
        for _ in range(UPDATES):
            rates.append(float(f"{optimizer.param_groups[0]['lr']:.12g}"))
            optimizer.step()
            if len(rates) < UPDATES:
                scheduler.step()
        figures["runs"][name] = {"schedule": schedule, "options": options, "rates": rates}
    text = json.dumps(figures, indent=1)
    # One list of numbers a line.
    text = re.sub(r"\[[^\[\]{}]*\]", lambda m: re.sub(r"\s+", " ", m[0]), text) + "\n"
    assert json.loads(text) == json.loads(json.dumps(figures))
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
