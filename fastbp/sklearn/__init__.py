"""scikit-learn's neural networks on fastbp: the same interface and model, and more.

================  =========================================================================
MLPClassifier     a drop-in for `sklearn.neural_network.MLPClassifier`
MLPRegressor      a drop-in for `sklearn.neural_network.MLPRegressor`
LossCurveDisplay  draws the curves of a fitted one, with matplotlib
================  =========================================================================

Needs scikit-learn: ``pip install 'fastbp[sklearn]'``.
"""

from fastbp.sklearn.display import LossCurveDisplay
from fastbp.sklearn.estimators import MLPClassifier, MLPRegressor

__all__ = ["LossCurveDisplay", "MLPClassifier", "MLPRegressor"]
