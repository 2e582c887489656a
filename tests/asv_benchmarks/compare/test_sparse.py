"""The rows of sparse data: what is compared, how models are checked, how memory is measured."""

from __future__ import annotations

import numpy as np
import pytest

from compare import sparse
from compare.sparse import LIBRARIES, Problem
from compare.timing import DisagreementError

SMALL = (Problem(120, 40, 5, 6), Problem(120, 40, 5, 0))
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_rows_from_made_up_times(monkeypatch) -> None:
    def rounds_of_calls(actions, *, rounds, seconds):
        for action in actions.values():
            action(2)
        return {"fastbp": [0.02, 0.01], "scikit-learn": [0.05, 0.025]}

    monkeypatch.setattr(sparse, "PROBLEMS", SMALL)
    monkeypatch.setattr(sparse, "rounds_of_calls", rounds_of_calls)
    monkeypatch.setattr(sparse, "memory_row", lambda problem: sparse.Row("m", "1", "2", True))
    rows = sparse.sparse_rows(rounds=1, seconds=0.0)
    assert [row.what.partition(",")[0] for row in rows] == [*sparse.ACTIONS, "m"] * 2
    assert rows[0][1:] == ("2.5x (10 ms)", ">= 1x", True)
    assert rows[0].what == "fit, 120 x 40, 5 entries a row, 6 hidden units"


@pytest.mark.parametrize("problem", SMALL)
def test_another_model_does_not_pass(problem, monkeypatch) -> None:
    X, y = problem.data()
    sparse.check_same_model(problem, X, y)
    make = Problem.make

    def other(self, library):
        return make(self, library).set_params(random_state=LIBRARIES.index(library))

    monkeypatch.setattr(Problem, "make", other)
    with pytest.raises(DisagreementError, match="120 x 40, .* weights are .* apart"):
        sparse.check_same_model(problem, X, y)


def test_memory_of_a_fresh_process(monkeypatch) -> None:
    before = sparse.peak_mib(restart=True)
    block = np.ones(2**24)
    assert 100 < sparse.peak_mib() - before < 200
    assert block[-1] == 1
    found = {"fastbp": 3.0, "scikit-learn": 2.0}
    monkeypatch.setattr(sparse, "PROBLEMS", SMALL)

    def run(command, **options):
        return type("Run", (), {"stdout": f"{found[command[3]]}\n"})

    monkeypatch.setattr(sparse.subprocess, "run", run)
    row = sparse.memory_row(SMALL[1])
    assert row.measured == "1.50 of scikit-learn's (3 : 2 MiB)"
    assert row.met
    assert sparse.growth(SMALL[1], "fastbp") < 50
