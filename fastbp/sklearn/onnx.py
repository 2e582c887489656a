"""`register_onnx`: skl2onnx's own converters for fastbp's estimators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from fastbp.sklearn.estimators import MLPClassifier, MLPRegressor
from fastbp.sklearn.perceptron import Perceptron

OUTPUT_UNITS = ("identity", "logistic", "tanh", "relu", "softmax")


def register_onnx() -> None:
    """Let skl2onnx convert the estimators of `fastbp.sklearn`, by its converters of scikit-learn's.

    It is called once in a process, before ``skl2onnx.to_onnx``; more calls change nothing. The
    estimators may stand alone, in pipelines and in ensembles, and take the options of
    scikit-learn's: ``zipmap``, ``nocl``, ``output_class_labels``, and ``raw_scores`` of the
    perceptron.

    ``to_onnx`` then raises a ValueError for what scikit-learn's estimators or skl2onnx's converters
    cannot express: activations other than scikit-learn's four, outputs of "poisson" and "gamma",
    regressors with several outputs, two labels, targets of several columns with more than two
    classes, and a perceptron after `sparsify`.

    Raises
    ------
    ImportError
        If skl2onnx is missing: ``pip install skl2onnx``.

    Examples
    --------
    >>> from fastbp.sklearn import MLPRegressor, register_onnx
    >>> register_onnx()  # doctest: +SKIP
    >>> net = MLPRegressor().fit(X, y)  # doctest: +SKIP
    >>> skl2onnx.to_onnx(net, X[:1]).SerializeToString()  # doctest: +SKIP
    """
    try:
        from skl2onnx import update_registered_converter
        from skl2onnx.common._registration import get_converter, get_shape_calculator
    except ImportError as error:
        raise ImportError("register_onnx needs skl2onnx: pip install skl2onnx") from error
    for kind, theirs, prepared in (
        (MLPClassifier, "SklearnMLPClassifier", _net),
        (MLPRegressor, "SklearnMLPRegressor", _net),
        (Perceptron, "SklearnSGDClassifier", _plane),
    ):
        converter = get_converter(theirs)
        update_registered_converter(
            kind,
            f"Fastbp{kind.__name__}",
            _shapes(get_shape_calculator(theirs), prepared),
            _conversion(converter, prepared),
            options=converter.get_allowed_options(),
        )


def _shapes(calculator: Any, prepared: Callable[[Any], Any]) -> Any:
    """The shape calculator, which is the first to see an estimator, with our checks."""

    def calculate(operator: Any) -> None:
        prepared(operator.raw_operator)
        calculator(operator)

    return calculate


def _conversion(converter: Any, prepared: Callable[[Any], Any]) -> Any:
    """A converter of scikit-learn's estimator as one of fastbp's."""

    def convert(scope: Any, operator: Any, container: Any) -> None:
        ours = operator.raw_operator
        operator.raw_operator = prepared(ours)
        try:
            converter(scope, operator, container)
        finally:
            operator.raw_operator = ours

    return convert


def _net(estimator: Any) -> Any:
    """scikit-learn's network with the same parameters; options do not matter to its converter."""
    check_is_fitted(estimator)
    theirs = estimator.to_sklearn(for_prediction=True)
    if theirs.out_activation_ not in OUTPUT_UNITS:
        raise ValueError(
            f"skl2onnx has outputs among {list(OUTPUT_UNITS)}; got {theirs.out_activation_!r}, "
            f"that of loss={estimator.loss!r}."
        )
    columns = theirs.n_outputs_
    several = isinstance(estimator, MLPRegressor) and columns > 1
    if several or (columns == 2 and theirs.out_activation_ == "logistic"):
        raise ValueError(
            f"skl2onnx's converter of scikit-learn's {type(theirs).__name__} mixes up {columns} "
            "columns of targets. Fit a network for each, or one for a single column."
        )
    return theirs


def _plane(estimator: Any) -> Any:
    """The perceptron itself, by which skl2onnx finds its options."""
    if issparse(estimator.coef_):
        raise ValueError("skl2onnx takes no sparse coef_: call densify() first.")
    return estimator
