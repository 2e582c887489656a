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
GradientDescent,          methods on all rows at once, for ``fit(method=...)``; also
ConjugateGradient, LBFGS  ScaledConjugateGradient, Rprop
ImageShift,               changes of batches, for ``fit(augment=...)``; also ImageZoom,
ImageRotation             GaussianNoise
gradcheck                 compare a net's gradient with central differences
DivergenceWarning         training stopped at numbers that are not finite
========================  =================================================================

``fastbp.sklearn`` has scikit-learn's estimators, for ``import fastbp.sklearn``.
``python -m fastbp demo | info | warmup`` trains a digit classifier, describes the machine,
compiles into the cache.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from fastbp.augmentation import GaussianNoise, ImageRotation, ImageShift, ImageZoom
    from fastbp.methods import (
        LBFGS,
        ConjugateGradient,
        GradientDescent,
        Rprop,
        ScaledConjugateGradient,
    )

__version__ = "0.1.0"

__all__ = [
    "LBFGS",
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
    "ConjugateGradient",
    "CosineDecay",
    "CrossEntropy",
    "DivergenceWarning",
    "EarlyStopping",
    "ExponentialDecay",
    "Fit",
    "Gamma",
    "GaussianNoise",
    "GradCheck",
    "GradientDescent",
    "Group",
    "Hinge",
    "History",
    "Huber",
    "ImageRotation",
    "ImageShift",
    "ImageZoom",
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
    "Rprop",
    "Scaled",
    "ScaledConjugateGradient",
    "Schedule",
    "SquaredError",
    "StepDecay",
    "WarmUp",
    "gradcheck",
]

_ON_DEMAND = {
    "augmentation": ("GaussianNoise", "ImageRotation", "ImageShift", "ImageZoom"),
    "methods": (
        "ConjugateGradient", "GradientDescent", "LBFGS", "Rprop", "ScaledConjugateGradient",
    ),
}  # fmt: skip
"""Names that are imported when they are first asked for, by their modules."""


def __getattr__(name: str) -> Any:
    for module, names in _ON_DEMAND.items():
        if name in names:
            value = getattr(import_module(f"fastbp.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'fastbp' has no attribute {name!r}")
