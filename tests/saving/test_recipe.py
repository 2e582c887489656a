"""Plain values for JSON, and back: equal objects, from closed lists."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest

import fastbp
from fastbp import graph
from fastbp.model import schedules
from fastbp.model.losses import LOSSES
from fastbp.model.optimizers import OPTIMIZERS, Group
from fastbp.model.regularization import Regularization
from fastbp.saving.recipe import CLASSES, decoded, encoded, has_own

VALUES = [
    *[kind() for kind in LOSSES.values()],
    *[kind() for kind in OPTIMIZERS.values()],
    fastbp.Quantile([0.1, 0.9]),
    fastbp.SGD(0.1, 0.9, True, weight_decay=0.1, groups=[Group([0, 1], learning_rate=0.5)]),
    fastbp.WarmUp(fastbp.ScaledSchedule(fastbp.OneCycle(1 / 3, 10), 0.1), epochs=2),
    fastbp.StepDecay(np.float64(0.1), np.int32(7)),
    Regularization(dropout=[0.1, 0.2], clip_norm=1),
]


def test_files_keep_the_name_that_a_class_had() -> None:
    data = encoded(fastbp.ScaledSchedule(0.5, 0.1))
    assert data == {"kind": "Scaled", "schedule": 0.5, "factor": 0.1}
    assert decoded(data, "optimizer") == fastbp.ScaledSchedule(0.5, 0.1)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_comes_back_is_equal(value) -> None:
    text = json.dumps(encoded(value))
    assert decoded(json.loads(text), "learning_rate") == value


def test_every_schedule_is_known() -> None:
    concrete = {
        kind
        for _, kind in inspect.getmembers(schedules, inspect.isclass)
        if issubclass(kind, schedules.Schedule) and not inspect.isabstract(kind)
    }
    assert concrete <= set(CLASSES.values())


def test_a_single_precision_rate_stays_one() -> None:
    rate = fastbp.OneCycle(np.float32(0.1), 10)
    twin = decoded(encoded(rate), "learning_rate")
    assert type(twin.max_rate) is np.float32
    assert twin(np.arange(10)).tobytes() == rate(np.arange(10)).tobytes()


def test_a_graph_comes_back_with_its_names_and_shared_nodes() -> None:
    w = graph.vector("y_pred", 2)
    t = graph.vector("y", 2)
    error = (w[0] - t[0]).named("error")
    f = error * error + graph.max(w[1], 0.25, t[1]) + graph.dot(w, t) / 3
    made = decoded(json.loads(json.dumps(encoded(f.as_loss()))), "loss")
    twin = made.expression
    point = {"y_pred": [0.1, 0.7], "y": [0.3, -0.2]}
    assert repr(twin) == repr(f) and len(twin.flat()) == len(f.flat())
    assert twin.value_and_gradient(point)[0] == f.value_and_gradient(point)[0]
    assert "error" in twin.flat().names


def test_what_is_written_in_python_is_named_only() -> None:
    def mine(update: int) -> float:
        return 0.1

    data = encoded(fastbp.Adam(fastbp.WarmUp(mine, 5)))
    assert has_own(data) and not has_own(encoded(fastbp.Adam()))
    with pytest.raises(ValueError, match=r"'mine', which no file.*load\(path, learning_rate="):
        decoded(data, "learning_rate")
    assert decoded(data, "learning_rate", mine).learning_rate.then is mine


def test_classes_of_others_are_refused() -> None:
    class Mine(fastbp.SGD):
        pass

    for value in (Mine(), {1: 2}, np.longdouble(1), np.zeros(3)):
        with pytest.raises(ValueError, match="a file can hold the classes of fastbp"):
            encoded(value)


NODES = [["variable", [], 0, ["z", None, 0], None]]
WRONG = {
    "no kind": ({}, "kind None, which"),
    "a module": ({"kind": "os.system"}, "kind 'os.system', which"),
    "a list": ({"kind": ["SGD"]}, r"kind \['SGD'\], which"),
    "a field more": ({"kind": "SquaredError", "code": 7}, r"must have the fields \[\]"),
    "a field less": ({"kind": "Huber"}, r"must have the fields \['delta'\]"),
    "a bad value": ({"kind": "Huber", "delta": -1}, "delta must be a finite number above 0"),
    "beyond its kind": ({"kind": "float32", "value": 1e39}, "value must be a float32; got 1e"),
    "not a number": ({"kind": "float32", "value": "1"}, "value must be a number"),
    "a graph elsewhere": ({"kind": "graph", "nodes": NODES}, "kind 'graph', which"),
}
WRONG_GRAPHS = {
    "none": (None, "must be a list of nodes"),
    "empty": ([], "must be a list of nodes"),
    "no node": ([3], r"must be \[operation"),
    "ahead": ([*NODES, ["exp", [1], 0, None, None]], "must be at most 0"),
    "behind": ([*NODES, ["exp", [-1], 0, None, None]], "must be at least 0"),
    "itself": ([["exp", [0], 0, None, None]], "must be at most -1"),
    "no arguments": ([*NODES, ["exp", 0, 0, None, None]], "must be a list"),
    "another operation": ([*NODES, ["eval", [0], 0, None, None]], "no 'eval' of 1 arguments"),
    "too few": ([*NODES, ["add", [0], 0, None, None]], "no 'add' of 1 arguments"),
    "no slot": ([["variable", [], 0, None, None]], "no 'variable' of 0 arguments"),
    "a bad slot": ([["variable", [], 0, ["z"], None]], "slot of a variable must be"),
    "a huge vector": ([["variable", [], 0, ["z", 2**40, 0], None]], "must have one variable"),
    "a bad name": ([["variable", [], 0, ["z\n", None, 0], None]], "a name must be printable"),
    "text": ([["constant", [], "1", None, None]], "a constant must be a number"),
}


@pytest.mark.parametrize("case", WRONG)
def test_other_kinds_are_refused(case) -> None:
    data, message = WRONG[case]
    with pytest.raises((TypeError, ValueError), match=message):
        decoded(data, "learning_rate")


@pytest.mark.parametrize("case", WRONG_GRAPHS)
def test_what_is_no_graph_is_refused(case) -> None:
    nodes, message = WRONG_GRAPHS[case]
    with pytest.raises((TypeError, ValueError), match=message):
        decoded({"kind": "graph", "nodes": nodes}, "activation")
