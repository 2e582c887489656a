"""Checks at the boundary: every option and array is checked here once, before a kernel runs.

=======  ======================================================
options  numbers, names, flags, sizes
arrays   inputs, targets, labels, initial and sample weights
=======  ======================================================
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
    weights,
    where,
)
from fastbp.checks.options import (
    at_least_zero,
    choice,
    count,
    flag,
    float_dtype,
    fraction,
    generator,
    layer_indices,
    layer_sizes,
    number,
    positive,
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
    "fraction",
    "generator",
    "labels",
    "layer_indices",
    "layer_sizes",
    "matrix",
    "number",
    "positive",
    "raise_not_finite",
    "same_rows",
    "shape",
    "targets",
    "unit_interval",
    "weights",
    "where",
]
