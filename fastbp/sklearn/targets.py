"""Encoding of classes as columns of a network's outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import type_of_target, unique_labels

from fastbp.sklearn.probabilities import log_softmax_of_blocks, softmax_of_blocks

SEVERAL = "multiclass-multioutput"


class SeveralOutputs:
    """Encoder for several targets with several classes each: one block of columns per target.

    It has the methods of scikit-learn's `LabelBinarizer`, which does not support such targets.

    Attributes
    ----------
    classes_ : list of array
        The classes of each target.
    y_type_ : str
    """

    y_type_ = SEVERAL

    def fit(self, y: npt.ArrayLike) -> SeveralOutputs:
        """Learn the classes of each column."""
        self.classes_ = [np.unique(column) for column in np.asarray(y).T]
        return self

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of classes of each target."""
        return tuple(len(classes) for classes in self.classes_)

    def transform(self, y: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """One-hot columns for each target; a ValueError for unknown classes."""
        blocks = []
        for i, (column, classes) in enumerate(zip(np.asarray(y).T, self.classes_, strict=True)):
            unknown = np.setdiff1d(column, classes)
            if len(unknown):
                raise ValueError(f"Found unknown categories {unknown} in column {i} of y.")
            blocks.append(column[:, np.newaxis] == classes)
        return np.concatenate(blocks, axis=1)

    def probabilities(self, z: npt.NDArray[np.floating]) -> list[npt.NDArray[np.floating]]:
        """Probabilities of the classes of each target, from net inputs."""
        return softmax_of_blocks(z, self.sizes)

    def log_probabilities(self, z: npt.NDArray[np.floating]) -> list[npt.NDArray[np.floating]]:
        """Logarithms of the probabilities, from net inputs."""
        return log_softmax_of_blocks(z, self.sizes)

    def inverse_transform(self, z: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The most probable classes, (rows, targets)."""
        blocks = np.split(z, np.cumsum(self.sizes)[:-1], axis=1)
        columns = [
            classes.take(block.argmax(axis=1))
            for classes, block in zip(self.classes_, blocks, strict=True)
        ]
        return np.stack(columns, axis=1)


def is_plain(y: Any) -> bool:
    """Whether `y` is a flat array of integers, booleans or text, which can only be labels."""
    return isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "biuU"


def classes_of(y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The different labels, text only as long as needed: `unique_labels`, faster where plain."""
    if not is_plain(y):
        found: npt.NDArray[Any] = unique_labels(y)
        return found
    labels = np.unique(y)
    return np.array(labels.tolist()) if labels.dtype.kind == "U" else labels


def binarizer_for(y: Any) -> LabelBinarizer | SeveralOutputs:
    """The encoder for the classes of a first fit.

    For plain labels the attributes of a `LabelBinarizer` are set directly: its `fit` goes over y
    seven times, which takes half a millisecond, a twentieth of a short fit.
    """
    if is_plain(y) and len(y):
        binarizer = LabelBinarizer()
        binarizer.classes_ = classes_of(y)
        binarizer.sparse_input_ = False
        binarizer.y_type_ = "binary" if len(binarizer.classes_) < 3 else "multiclass"
        return binarizer
    kind = SeveralOutputs if type_of_target(y) == SEVERAL else LabelBinarizer
    return kind().fit(y)


def columns_of(binarizer: LabelBinarizer | SeveralOutputs, y: Any) -> npt.NDArray[np.bool_]:
    """Known classes as columns of booleans, (rows, outputs): `transform`, faster for plain labels.

    Parameters
    ----------
    binarizer : LabelBinarizer or SeveralOutputs
    y : array
        Classes that the binarizer knows.
    """
    classes = binarizer.classes_
    labels = is_plain(y) and isinstance(classes, np.ndarray) and classes.dtype.kind == y.dtype.kind
    if not labels or len(classes) < 2 or binarizer.y_type_ not in ("binary", "multiclass"):
        transformed: npt.NDArray[np.bool_] = binarizer.transform(y).astype(bool)
        return transformed
    codes = np.searchsorted(classes, y)
    if len(classes) == 2:
        second: npt.NDArray[np.bool_] = (codes == 1)[:, np.newaxis]
        return second
    columns = np.zeros((len(y), len(classes)), np.bool_)
    columns[np.arange(len(y)), codes] = True
    return columns


@contextmanager
def naming_missing_targets() -> Iterator[None]:
    """scikit-learn's error for NaN in y, with the option that takes it."""
    try:
        yield
    except ValueError as error:
        if not re.match(r"Input y\w* contains NaN", str(error)):
            raise
        raise ValueError(
            f"{error} Where it stands for a target that is missing, set missing_targets=True."
        ) from None


def with_gaps(y: npt.NDArray[Any], gaps: npt.NDArray[np.bool_] | None) -> npt.NDArray[Any]:
    """Checked targets with NaN for those that are missing; None stands for none."""
    return y if gaps is None else np.where(gaps.reshape(y.shape), np.nan, y)
