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
gradcheck                 compare a net's gradient with central differences
DivergenceWarning         training stopped at numbers that are not finite
========================  =================================================================

``fastbp.sklearn`` has scikit-learn's estimators, for ``import fastbp.sklearn``.
``python -m fastbp demo | info | warmup`` trains a digit classifier, describes the machine,
compiles into the cache.
"""

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
from fastbp.layers import Dense
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
    "Dense",
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
