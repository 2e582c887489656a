"""Full-batch methods: they minimise the loss of all rows, for ``fit(X, y, method=...)``.

===========================================  ==================================================
GradientDescent                              gradient descent with a line search
ConjugateGradient, ScaledConjugateGradient   nonlinear conjugate gradients, and Moller's
Rprop                                        steps by the signs of the gradient
LBFGS                                        SciPy's L-BFGS-B
LevenbergMarquardt                           damped Gauss-Newton steps, for squared_error
===========================================  ==================================================
"""

from fastbp.methods.algorithms import (
    LBFGS,
    METHODS,
    ConjugateGradient,
    GradientDescent,
    Rprop,
    ScaledConjugateGradient,
    as_method,
)
from fastbp.methods.least_squares import LevenbergMarquardt
from fastbp.methods.method import Method

__all__ = [
    "LBFGS",
    "METHODS",
    "ConjugateGradient",
    "GradientDescent",
    "LevenbergMarquardt",
    "Method",
    "Rprop",
    "ScaledConjugateGradient",
    "as_method",
]
