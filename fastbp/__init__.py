"""fastbp: train small neural networks on a CPU, fast.

========================  =================================================================
MLP                       a multilayer perceptron: fit, predict, score, evaluate, summary, save,
                          loss, loss_and_grad, step, vjp, hessian_product, objective
load                      a net from its file
Dense                     a layer, for nets that are given layer by layer
SGD, Adam, AdamW, Lion    optimisers; also AMSGrad, NAdam, RMSprop, Adagrad, Adadelta; Group:
                          parameters with another learning rate or decay
Huber, Quantile,          losses with hyper-parameters; also BinaryCrossEntropy, CallableLoss;
CrossEntropy              without: SquaredError, AbsoluteError, Hinge, Poisson, Gamma
ElementwiseActivation,    a function of your own, of single numbers, compiled into the net
ElementwiseLoss
StepDecay, CosineDecay,   schedules of the learning rate, in updates or in epochs; also
OneCycle, WarmUp          ExponentialDecay, InverseScaling, ScaledSchedule, Schedule
History                   loss, seconds and whatever else was measured, by epoch; the best epoch
Callback                  what `fit` calls between epochs; it gets a Fit
EarlyStopping,            callbacks; also CSVLog, LearningRateSchedule, ReduceOnPlateau, Progress
Checkpoint
GradientDescent,          methods on all rows at once, for ``fit(method=...)``; also
ConjugateGradient, LBFGS, ScaledConjugateGradient, Rprop
LevenbergMarquardt
ImageShift,               changes of batches, for ``fit(augment=...)``; also ImageZoom,
ImageRotation             GaussianNoise
Parquet                   rows of files that may exceed memory, for ``net.fit(Parquet(path, y))``
fit_many                  train many nets side by side, each as its own fit; on it: restarts,
                          the best of several initialisations, and cross_validate
gradcheck                 compare a net's gradient with central differences
DivergenceWarning         training stopped at values that are not finite
find_learning_rate        the learning-rate range test: suggests a learning rate
diagnose                  look for the usual faults of training, with advice
explain                   every quantity of one backpropagation step for one sample
compiled_from             a net in callbacks from C; ``net.compiled()`` is one for Numba
Perceptron                a layer of threshold units and the perceptron learning rule
========================  =================================================================

``fastbp.graph`` has computational graphs with forward and backward mode; ``fastbp.plot`` draws
nets and their training, with matplotlib. Both are loaded when asked for.
``fastbp.sklearn`` has scikit-learn's estimators, for ``import fastbp.sklearn``.
``python -m fastbp demo | info | warmup | build | show FILE | export FILE`` trains a digit
classifier, describes the machine, compiles into the cache or into objects (docs/objects.md), says
what is in a file, and writes its net as ONNX, C or Python. ``python -m fastbp warmup --dtype
float32`` compiles what most programs need, in about half a minute, so that no fit has to.
"""

# The redundant `as` says, to type checkers too, that a name is imported for others to use.
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastbp import older
from fastbp.fit.callbacks import Callback as Callback
from fastbp.fit.callbacks import Checkpoint as Checkpoint
from fastbp.fit.callbacks import CSVLog as CSVLog
from fastbp.fit.callbacks import EarlyStopping as EarlyStopping
from fastbp.fit.callbacks import Fit as Fit
from fastbp.fit.callbacks import LearningRateSchedule as LearningRateSchedule
from fastbp.fit.callbacks import Progress as Progress
from fastbp.fit.callbacks import ReduceOnPlateau as ReduceOnPlateau
from fastbp.fit.history import History as History
from fastbp.fit.warn import DivergenceWarning as DivergenceWarning
from fastbp.inspection import GradCheck as GradCheck
from fastbp.inspection import gradcheck as gradcheck
from fastbp.mlp import MLP as MLP
from fastbp.mlp import load as load
from fastbp.model.elementwise import ElementwiseActivation as ElementwiseActivation
from fastbp.model.elementwise import ElementwiseLoss as ElementwiseLoss
from fastbp.model.layers import Dense as Dense
from fastbp.model.losses import AbsoluteError as AbsoluteError
from fastbp.model.losses import BinaryCrossEntropy as BinaryCrossEntropy
from fastbp.model.losses import CallableLoss as CallableLoss
from fastbp.model.losses import CrossEntropy as CrossEntropy
from fastbp.model.losses import Gamma as Gamma
from fastbp.model.losses import Hinge as Hinge
from fastbp.model.losses import Huber as Huber
from fastbp.model.losses import Loss as Loss
from fastbp.model.losses import Poisson as Poisson
from fastbp.model.losses import Quantile as Quantile
from fastbp.model.losses import SquaredError as SquaredError
from fastbp.model.optimizers import SGD as SGD
from fastbp.model.optimizers import Adadelta as Adadelta
from fastbp.model.optimizers import Adagrad as Adagrad
from fastbp.model.optimizers import Adam as Adam
from fastbp.model.optimizers import AdamW as AdamW
from fastbp.model.optimizers import AMSGrad as AMSGrad
from fastbp.model.optimizers import Group as Group
from fastbp.model.optimizers import Lion as Lion
from fastbp.model.optimizers import NAdam as NAdam
from fastbp.model.optimizers import Optimizer as Optimizer
from fastbp.model.optimizers import RMSprop as RMSprop
from fastbp.model.schedules import CosineDecay as CosineDecay
from fastbp.model.schedules import ExponentialDecay as ExponentialDecay
from fastbp.model.schedules import InverseScaling as InverseScaling
from fastbp.model.schedules import OneCycle as OneCycle
from fastbp.model.schedules import ScaledSchedule as ScaledSchedule
from fastbp.model.schedules import Schedule as Schedule
from fastbp.model.schedules import StepDecay as StepDecay
from fastbp.model.schedules import WarmUp as WarmUp

if TYPE_CHECKING:
    from fastbp import graph as graph
    from fastbp import plot as plot
    from fastbp.augment.images import GaussianNoise as GaussianNoise
    from fastbp.augment.images import ImageRotation as ImageRotation
    from fastbp.augment.images import ImageShift as ImageShift
    from fastbp.augment.images import ImageZoom as ImageZoom
    from fastbp.embed.lookup import compiled_from as compiled_from
    from fastbp.fit.parquet import Parquet as Parquet
    from fastbp.insight.diagnose import diagnose as diagnose
    from fastbp.insight.explain import explain as explain
    from fastbp.insight.range_test import find_learning_rate as find_learning_rate
    from fastbp.many.fit_many import fit_many as fit_many
    from fastbp.many.selection import cross_validate as cross_validate
    from fastbp.many.selection import restarts as restarts
    from fastbp.methods import LBFGS as LBFGS
    from fastbp.methods import ConjugateGradient as ConjugateGradient
    from fastbp.methods import GradientDescent as GradientDescent
    from fastbp.methods import LevenbergMarquardt as LevenbergMarquardt
    from fastbp.methods import Rprop as Rprop
    from fastbp.methods import ScaledConjugateGradient as ScaledConjugateGradient
    from fastbp.perceptron.perceptron import Perceptron as Perceptron

__version__ = "0.2.0"

ON_DEMAND = {
    "ConjugateGradient": "methods",
    "GaussianNoise": "augment.images",
    "GradientDescent": "methods",
    "ImageRotation": "augment.images",
    "ImageShift": "augment.images",
    "ImageZoom": "augment.images",
    "LBFGS": "methods",
    "LevenbergMarquardt": "methods",
    "Parquet": "fit.parquet",
    "Perceptron": "perceptron.perceptron",
    "Rprop": "methods",
    "ScaledConjugateGradient": "methods",
    "compiled_from": "embed.lookup",
    "cross_validate": "many.selection",
    "diagnose": "insight.diagnose",
    "explain": "insight.explain",
    "fit_many": "many.fit_many",
    "graph": "graph",
    "find_learning_rate": "insight.range_test",
    "plot": "plot",
    "restarts": "many.selection",
}
"""Names that are loaded when they are asked for, and the modules that have them."""

_HERE = [
    name
    for name, value in globals().items()
    if getattr(value, "__module__", "").startswith("fastbp.")
]
__all__ = sorted([*_HERE, *ON_DEMAND])

older.name_moved_modules()


def __getattr__(name: str) -> Any:
    """Load what is in ON_DEMAND."""
    if name not in ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{ON_DEMAND[name]}")
    return globals().setdefault(name, getattr(module, name, module))


def __dir__() -> list[str]:
    """The public names, for completion; those on demand, too."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
