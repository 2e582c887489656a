"""Checks at the boundary: every option and array is checked here once, before a kernel runs.

===========  ======================================================
options      numbers, names, flags, sizes
arrays       inputs, targets, labels, initial and sample weights
suggestions  what to write instead of what is not accepted
words        the tables of these suggestions
===========  ======================================================
"""

from fastbp.checks.arrays import (
    classes,
    finite,
    labels,
    matrix,
    numbers,
    raise_not_finite,
    refuse_masked,
    same_rows,
    sample_weights,
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
    threads,
)
from fastbp.checks.sparse import Sparse, SparseRows, is_sparse, refuse_sparse, sparse_rows
from fastbp.checks.suggestions import (
    described,
    explained,
    explained_class,
    instead,
    name_of,
    refuse_to_set,
)

__all__ = [
    "Sparse",
    "SparseRows",
    "at_least_zero",
    "choice",
    "classes",
    "count",
    "described",
    "explained",
    "explained_class",
    "finite",
    "flag",
    "float_dtype",
    "fraction",
    "generator",
    "instead",
    "is_sparse",
    "labels",
    "layer_indices",
    "layer_sizes",
    "matrix",
    "name_of",
    "number",
    "numbers",
    "positive",
    "raise_not_finite",
    "refuse_masked",
    "refuse_sparse",
    "refuse_to_set",
    "same_rows",
    "sample_weights",
    "shape",
    "sparse_rows",
    "targets",
    "threads",
    "unit_interval",
    "weights",
    "where",
]
