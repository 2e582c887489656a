"""Classes as columns."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import LabelBinarizer

from fastbp.sklearn.targets import SeveralOutputs, binarizer_for, columns_of


def test_several_outputs() -> None:
    y = np.array([["a", "x"], ["b", "y"], ["c", "x"], ["a", "z"]])
    binarizer = binarizer_for(np.array([[3, 7], [5, 9], [4, 7]]))
    assert isinstance(binarizer, SeveralOutputs)
    assert isinstance(binarizer_for([1, 2, 3]), LabelBinarizer)
    assert isinstance(binarizer_for([[0, 1], [1, 0]]), LabelBinarizer)
    several = SeveralOutputs().fit(y)
    assert several.sizes == (3, 3)
    columns = several.transform(y)
    assert columns.dtype == bool
    assert columns.astype(int).tolist() == [
        [1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0], [0, 0, 1, 1, 0, 0], [1, 0, 0, 0, 0, 1],
    ]  # fmt: skip
    assert np.array_equal(several.inverse_transform(columns.astype(float)), y)
    first, second = several.probabilities(np.log([[1.0, 2.0, 1.0, 3.0, 3.0, 4.0]]))
    np.testing.assert_allclose(first, [[0.25, 0.5, 0.25]])
    np.testing.assert_allclose(second, [[0.3, 0.3, 0.4]])
    with pytest.raises(ValueError, match="unknown categories"):
        several.transform(np.array([["d", "x"]]))


@pytest.mark.parametrize(
    "y",
    [[3, 1, 2, 1], [5, 2, 5], [4, 4], [True, False], ["b", "a", "c"], ["no", "yes", "no"],
     [1.0, 2.0, 3.0], np.array(["x", "y", "z"], object), [[0, 1], [1, 1]], np.array([3, 9], "u1"),
     np.array(["no", "yes"], "U21")],
    ids=str,
)  # fmt: skip
def test_columns_are_those_of_a_label_binarizer(y) -> None:
    y = np.asarray(y)
    ours, theirs = binarizer_for(y), LabelBinarizer().fit(y)
    assert {k: repr(v) for k, v in vars(ours).items()} == {
        k: repr(v) for k, v in vars(theirs).items()
    }
    columns = columns_of(ours, y)
    assert columns.dtype == bool
    assert np.array_equal(columns, theirs.transform(y).astype(bool))
    assert np.array_equal(columns_of(ours, y[:1]), theirs.transform(y[:1]).astype(bool))
