"""What makes fastbp's classes pass for scikit-learn's: types, filters of warnings, links."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import sklearn.linear_model
import sklearn.neural_network
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

from fastbp.fit.warn import warn

NETWORKS = "sklearn.neural_network._multilayer_perceptron"
PLANES = "sklearn.linear_model._stochastic_gradient"
"""The modules that scikit-learn's warnings come from: users filter them by ``module="sklearn"``."""


class Recognised:
    """An estimator that scikit-learn has a page of, under the class's name."""

    _their_package: str
    _doc_link_module = "fastbp"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        """What scikit-learn makes the link of, in notebooks."""
        return {
            "estimator_module": self._their_package,
            "estimator_name": type(self).__name__,
        }


def register(networks: tuple[type, ...], perceptron: type) -> None:
    """Let `isinstance` and `functools.singledispatch` see scikit-learn's classes in fastbp's.

    scikit-learn's are abstract base classes, which keep a list of classes that count as theirs.
    Nothing else of them changes.
    """
    for ours in networks:
        getattr(sklearn.neural_network, ours.__name__).register(ours)
    sklearn.linear_model.Perceptron.register(perceptron)


def one_column(y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Targets without their only column, with scikit-learn's warning."""
    warn(
        "A column-vector y was passed when a 1d array was expected. Please change the shape of y "
        "to (n_samples, ), for example using ravel().",
        DataConversionWarning,
        NETWORKS,
    )
    return y.ravel()


def warn_unless_converged(result: Any, iterations: int, max_iter: int) -> None:
    """Warn, in scikit-learn's words, if L-BFGS-B has stopped before it had converged.

    Parameters
    ----------
    result : scipy.optimize.OptimizeResult
    iterations, max_iter : int
    """
    if result.status == 0:
        return
    lines = [
        f"lbfgs failed to converge after {iterations} iteration(s) (status={result.status}):",
        f"{result.message}",
        "",
    ]
    if iterations == max_iter:
        lines.append(
            f"Increase the number of iterations to improve the convergence (max_iter={max_iter})."
        )
    lines += [
        "You might also want to scale the data as shown in:",
        "    https://scikit-learn.org/stable/modules/preprocessing.html",
    ]
    warn("\n".join(lines), ConvergenceWarning, NETWORKS)
