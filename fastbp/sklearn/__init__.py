"""scikit-learn's neural networks on fastbp: the same interface and model, and more.

================  =========================================================================
MLPClassifier     a drop-in for `sklearn.neural_network.MLPClassifier`
MLPRegressor      a drop-in for `sklearn.neural_network.MLPRegressor`
Perceptron        a drop-in for `sklearn.linear_model.Perceptron`
LossCurveDisplay  draws the loss curves of a fitted network, with matplotlib
load              reads what ``save`` of the three has written, without pickle
register_onnx     lets skl2onnx convert the three estimators
================  =========================================================================

It needs scikit-learn: ``pip install scikit-learn``. To `isinstance` the three are
scikit-learn's classes of the same names; ``to_sklearn()`` gives one to tools that ask for the exact
class, such as mlflow's autologging and m2cgen.

Inside: `estimators` and their `base`, with `documentation` for their docstrings; `inputs`,
`targets` and `validation` check and encode data; `networks`, `losses`, `optimizers` and
`randomness` make scikit-learn's model of fastbp's parts; `training` and `lbfgs` fit it, `callbacks`
calls scikit-learn's callbacks, `hooks` warns of methods that nothing calls; `pickles`, `values`,
`saving`, `loading` and `conversion` take estimators elsewhere. What other people's code sees is in
`annotations`, `features`, `recognition` and `onnx`.
"""

try:
    import sklearn as _library  # noqa: F401
except ImportError as error:
    raise ImportError("fastbp.sklearn needs scikit-learn: pip install scikit-learn") from error

from fastbp.sklearn.display import LossCurveDisplay
from fastbp.sklearn.estimators import MLPClassifier, MLPRegressor
from fastbp.sklearn.loading import load
from fastbp.sklearn.onnx import register_onnx
from fastbp.sklearn.perceptron import Perceptron
from fastbp.sklearn.recognition import register

__all__ = [
    "LossCurveDisplay", "MLPClassifier", "MLPRegressor", "Perceptron", "load", "register_onnx",
]  # fmt: skip

register((MLPClassifier, MLPRegressor), Perceptron)
