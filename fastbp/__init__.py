"""fastbp: train small neural networks on a CPU, fast.

========================  =================================================================
MLP                       a multilayer perceptron: fit, predict, loss, loss_and_grad, step
SGD, Adam                 optimisers
StepDecay, CosineDecay,   schedules of the learning rate by the number of the update; also
OneCycle, WarmUp          ExponentialDecay, InverseScaling, Scaled, Schedule
History                   loss, seconds and what else was measured, by epoch
Callback                  what `fit` calls between epochs; it gets a Fit
EarlyStopping,            ready callbacks; also CSVLog, LearningRateSchedule, ReduceOnPlateau,
Checkpoint                Progress
gradcheck                 compare a net's gradient with central differences
DivergenceWarning         training stopped at numbers that are not finite
========================  =================================================================

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
from fastbp.mlp import MLP
from fastbp.optimizers import SGD, Adam
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
    "Adam",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "CosineDecay",
    "DivergenceWarning",
    "EarlyStopping",
    "ExponentialDecay",
    "Fit",
    "GradCheck",
    "History",
    "InverseScaling",
    "LearningRateSchedule",
    "OneCycle",
    "Progress",
    "ReduceOnPlateau",
    "Scaled",
    "Schedule",
    "StepDecay",
    "WarmUp",
    "gradcheck",
]
