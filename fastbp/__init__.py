"""fastbp: train small neural networks on a CPU, fast.

========================  =================================================================
MLP                       a multilayer perceptron: fit, predict, loss, loss_and_grad, step
SGD, Adam                 optimisers
History                   loss and seconds by epoch
gradcheck                 compare a net's gradient with central differences
DivergenceWarning         training stopped at numbers that are not finite
========================  =================================================================

``python -m fastbp demo | info | warmup`` trains a digit classifier, describes the machine,
compiles into the cache.
"""

from fastbp.gradcheck import GradCheck, gradcheck
from fastbp.history import History
from fastbp.mlp import MLP, DivergenceWarning
from fastbp.optimizers import SGD, Adam

__version__ = "0.1.0"

__all__ = ["MLP", "SGD", "Adam", "DivergenceWarning", "GradCheck", "History", "gradcheck"]
