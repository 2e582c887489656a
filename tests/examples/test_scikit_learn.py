"""The same model as scikit-learn's, and what it adds."""

from __future__ import annotations

import numpy as np
import pytest
from example_runs import numbers, run
from helpers import long_uncompiled


@long_uncompiled
def test_scikit_learn(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("03_scikit_learn.py", capsys)
    lines = out.splitlines()
    assert lines[0].startswith("fastbp.sklearn.")
    assert lines[1].startswith("sklearn.neural_network.")
    assert names["ours"].n_iter_ == names["theirs"].n_iter_
    assert names["apart"] < 1e-6
    assert numbers(lines[-3])[-1] > 0.95
    assert lines[-2].endswith("(450, 32)")
    assert numbers(lines[-1])[-1] == numbers(lines[-3])[-1]
    assert names["twin"].coefs_[0].tobytes() == names["model"].coefs_[0].tobytes()
    # The rows that choose the epoch are neither trained on nor scored on.
    sets = [{row.tobytes() for row in np.asarray(names[x])} for x in ("X_train", "X_val", "X_test")]
    assert [len(rows) for rows in sets] == [1010, 337, 450]
    assert not (sets[0] & sets[1] or {(row / 16).tobytes() for row in names["X_test"]} & sets[1])
