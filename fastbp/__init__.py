"""fastbp: train small neural networks on a CPU, fast.

========================  =================================================================
MLP                       a multilayer perceptron: fit, predict, loss, loss_and_grad, step
SGD, Adam, AdamW, Lion    optimisers; also AMSGrad, NAdam, RMSprop, Adagrad, Adadelta; Group:
                          parameters with another learning rate or decay
Huber, Quantile,          losses with numbers of their own; also BinaryCrossEntropy, CallableLoss,
CrossEntropy              and without: SquaredError, AbsoluteError, Hinge, Poisson, Gamma
StepDecay, CosineDecay,   schedules of the learning rate by the number of the update; also
OneCycle, WarmUp          ExponentialDecay, InverseScaling, Scaled, Schedule
History                   loss, seconds and what else was measured, by epoch
Callback                  what `fit` calls between epochs; it gets a Fit
EarlyStopping,            ready callbacks; also CSVLog, LearningRateSchedule, ReduceOnPlateau,
Checkpoint                Progress
gradcheck                 compare a net's gradient with central differences
DivergenceWarning         training stopped at numbers that are not finite
========================  =================================================================

``fastbp.sklearn`` has scikit-learn's estimators, for ``import fastbp.sklearn``; ``fastbp.graph``,
loaded when first asked for, computational graphs with forward and backward mode.
``python -m fastbp demo | info | warmup`` trains a digit classifier, describes the machine,
compiles into the cache.
"""

from importlib import import_module
from typing import Any

from fastbp.callbacks import (
    Callback,
    Checkpoint,
    CSVLog,
    EarlyStopping,
    Fit,
    LearningRateSchedule,
    Progress,
    ReduceOnPlateau,
)
from fastbp.fitting import DivergenceWarning
from fastbp.gradcheck import GradCheck, gradcheck
from fastbp.history import History
from fastbp.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CallableLoss,
    CrossEntropy,
    Gamma,
    Hinge,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SquaredError,
)
from fastbp.mlp import MLP
from fastbp.optimizer_base import Group, Optimizer
from fastbp.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, AMSGrad, Lion, NAdam, RMSprop
from fastbp.schedules import (
    CosineDecay,
    ExponentialDecay,
    InverseScaling,
    OneCycle,
    Scaled,
    Schedule,
    StepDecay,
    WarmUp,
)

__version__ = "0.1.0"

__all__ = [
    "MLP",
    "SGD",
    "AMSGrad",
    "AbsoluteError",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "CSVLog",
    "CallableLoss",
    "Callback",
    "Checkpoint",
    "CosineDecay",
    "CrossEntropy",
    "DivergenceWarning",
    "EarlyStopping",
    "ExponentialDecay",
    "Fit",
    "Gamma",
    "GradCheck",
    "Group",
    "Hinge",
    "History",
    "Huber",
    "InverseScaling",
    "LearningRateSchedule",
    "Lion",
    "Loss",
    "NAdam",
    "OneCycle",
    "Optimizer",
    "Poisson",
    "Progress",
    "Quantile",
    "RMSprop",
    "ReduceOnPlateau",
    "Scaled",
    "Schedule",
    "SquaredError",
    "StepDecay",
    "WarmUp",
    "gradcheck",
]

_ON_DEMAND = ("graph",)
"""Modules that are loaded when they are first asked for."""


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return import_module(f"fastbp.{name}")
    raise AttributeError(f"module 'fastbp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ON_DEMAND])
