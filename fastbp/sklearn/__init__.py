"""scikit-learn's neural networks on fastbp: the same interface and model, and more.

================  =========================================================================
MLPClassifier     a drop-in for `sklearn.neural_network.MLPClassifier`
MLPRegressor      a drop-in for `sklearn.neural_network.MLPRegressor`
Perceptron        a drop-in for `sklearn.linear_model.Perceptron`
LossCurveDisplay  draws the curves of a fitted one, with matplotlib
================  =========================================================================

Needs scikit-learn: ``pip install 'fastbp[sklearn]'``.
"""

from fastbp.sklearn.display import LossCurveDisplay
from fastbp.sklearn.estimators import MLPClassifier, MLPRegressor
from fastbp.sklearn.perceptron import Perceptron

__all__ = ["LossCurveDisplay", "MLPClassifier", "MLPRegressor", "Perceptron"]
