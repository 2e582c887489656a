"""fastbp: train small neural networks on a CPU, fast.

========================  =================================================================
MLP                       a multilayer perceptron: fit, predict, loss, loss_and_grad, step
Dense                     a layer, for nets that are given layer by layer
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
lr_find                   the learning-rate range test: suggests a learning rate
diagnose                  look for the usual faults of training, with advice
explain                   every quantity of one backpropagation step for one sample
Perceptron                a layer of threshold units and the perceptron learning rule
========================  =================================================================

``fastbp.graph`` has computational graphs with forward and backward mode; ``fastbp.plot`` draws
nets and their training, with matplotlib. Both are loaded when asked for.
``fastbp.sklearn`` has scikit-learn's estimators, for ``import fastbp.sklearn``.
``python -m fastbp demo | info | warmup`` trains a digit classifier, describes the machine,
compiles into the cache.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastbp.fit.callbacks import (
    Callback,
    Checkpoint,
    CSVLog,
    EarlyStopping,
    Fit,
    LearningRateSchedule,
    Progress,
    ReduceOnPlateau,
)
from fastbp.fit.history import History
from fastbp.fit.warn import DivergenceWarning
from fastbp.inspection import GradCheck, gradcheck
from fastbp.mlp import MLP
from fastbp.model.layers import Dense
from fastbp.model.losses import (
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
from fastbp.model.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    AMSGrad,
    Group,
    Lion,
    NAdam,
    Optimizer,
    RMSprop,
)
from fastbp.model.schedules import (
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
    from fastbp import graph, plot
    from fastbp.augment.images import GaussianNoise, ImageRotation, ImageShift, ImageZoom
    from fastbp.insight.diagnose import diagnose
    from fastbp.insight.explain import explain
    from fastbp.insight.range_test import lr_find
    from fastbp.methods import (
        LBFGS,
        ConjugateGradient,
        GradientDescent,
        Rprop,
        ScaledConjugateGradient,
    )
    from fastbp.perceptron.perceptron import Perceptron

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
    "Dense",
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
    "Perceptron",
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
    "diagnose",
    "explain",
    "gradcheck",
    "graph",
    "lr_find",
    "plot",
]

ON_DEMAND = {
    "ConjugateGradient": "methods",
    "GaussianNoise": "augment.images",
    "GradientDescent": "methods",
    "ImageRotation": "augment.images",
    "ImageShift": "augment.images",
    "ImageZoom": "augment.images",
    "LBFGS": "methods",
    "Perceptron": "perceptron.perceptron",
    "Rprop": "methods",
    "ScaledConjugateGradient": "methods",
    "diagnose": "insight.diagnose",
    "explain": "insight.explain",
    "graph": "graph",
    "lr_find": "insight.range_test",
    "plot": "plot",
}
"""Names that are loaded when they are asked for, and the modules that have them."""


def __getattr__(name: str) -> Any:
    """Load what is in ON_DEMAND."""
    if name not in ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{ON_DEMAND[name]}")
    return globals().setdefault(name, getattr(module, name, module))


def __dir__() -> list[str]:
    """All names, those on demand too."""
    return sorted({*globals(), *ON_DEMAND})
