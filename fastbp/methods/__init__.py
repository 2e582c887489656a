"""Methods that minimise the loss of all rows at once, for ``fit(X, y, method=...)``.

===========================================  ==================================================
GradientDescent                              with a line search
ConjugateGradient, ScaledConjugateGradient   nonlinear conjugate gradients, and Moller's
Rprop                                        steps by the signs of the gradient
LBFGS                                        SciPy's
===========================================  ==================================================
"""

from fastbp.methods.algorithms import (
    LBFGS,
    METHODS,
    ConjugateGradient,
    GradientDescent,
    Method,
    Rprop,
    ScaledConjugateGradient,
    as_method,
)

__all__ = [
    "LBFGS",
    "METHODS",
    "ConjugateGradient",
    "GradientDescent",
    "Method",
    "Rprop",
    "ScaledConjugateGradient",
    "as_method",
]
