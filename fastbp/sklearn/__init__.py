"""scikit-learn's neural networks on fastbp: the same interface and model, and more.

================  =========================================================================
MLPClassifier     a drop-in for `sklearn.neural_network.MLPClassifier`
MLPRegressor      a drop-in for `sklearn.neural_network.MLPRegressor`
Perceptron        a drop-in for `sklearn.linear_model.Perceptron`
LossCurveDisplay  draws the loss curves of a fitted network, with matplotlib
================  =========================================================================

It needs scikit-learn: ``pip install 'fastbp[sklearn]'``.

Inside: `estimators` and their `base`; `inputs`, `targets` and `validation` check and encode data;
`networks`, `losses`, `optimizers` and `randomness` make scikit-learn's model of fastbp's parts;
`training` and `lbfgs` fit it, `callbacks` calls scikit-learn's callbacks, `hooks` warns of
methods that nothing calls; `pickles` and `conversion` take estimators elsewhere.
"""

from fastbp.sklearn.display import LossCurveDisplay
from fastbp.sklearn.estimators import MLPClassifier, MLPRegressor
from fastbp.sklearn.perceptron import Perceptron

__all__ = ["LossCurveDisplay", "MLPClassifier", "MLPRegressor", "Perceptron"]
