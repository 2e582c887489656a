"""Checks at the boundary: every option and array is checked here once, before a kernel runs.

=======  =======================================================
options  numbers, names, flags, sizes: the arguments of `MLP`
arrays   X, y, labels and weights: the arguments of `fit`
=======  =======================================================
"""

from fastbp.checks.arrays import (
    classes,
    finite,
    flat,
    labels,
    matrix,
    raise_not_finite,
    same_rows,
    shape,
    targets,
    unit_interval,
    where,
)
from fastbp.checks.options import (
    at_least_zero,
    choice,
    count,
    flag,
    float_dtype,
    generator,
    layer_indices,
    layer_sizes,
    number,
    positive,
    rate,
)

__all__ = [
    "at_least_zero",
    "choice",
    "classes",
    "count",
    "finite",
    "flag",
    "flat",
    "float_dtype",
    "generator",
    "labels",
    "layer_indices",
    "layer_sizes",
    "matrix",
    "number",
    "positive",
    "raise_not_finite",
    "rate",
    "same_rows",
    "shape",
    "targets",
    "unit_interval",
    "where",
]
