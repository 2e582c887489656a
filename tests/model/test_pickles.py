"""Pickles of nets: the same net comes back, and nothing else."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import os
import pickle
import pickletools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from helpers import SOAK

from fastbp import MLP, SGD, Adam, CosineDecay, Perceptron
from fastbp.kernels.optimizers import N_SCALARS, UPDATES
from fastbp.model import pickles
from fastbp.model.losses import LOSSES
from fastbp.model.net import Spec, State
from fastbp.model.optimizers import OPTIMIZERS, Group
from fastbp.model.regularization import Regularization
from fastbp.older import PickleError

pytestmark = pytest.mark.promise("versions")
EDITS = 2000 if SOAK else 100

rng = np.random.default_rng(0)
X = rng.normal(size=(8, 3))
Y = rng.normal(size=(8, 2))


def net(**options: Any) -> MLP:
    return MLP((3, 4, 2), seed=0, **options)


def twin(one: Any) -> Any:
    return pickle.loads(pickle.dumps(one))


def edited(one: MLP, **changes: Any) -> Any:
    """Unpickle a net whose pickle has other parts; those of spec and state by their names."""
    parts = one.__getstate__()
    for name, value in changes.items():
        for part in (parts["spec"], parts["state"], parts):
            if name in part or part is parts:
                part[name] = value
                break
    new = MLP.__new__(MLP)
    new.__setstate__(parts)
    return new


class Noted(MLP):
    """A net of the user's, with a note."""

    note = ""


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": Adam(CosineDecay(0.1, 100)), "dropout": 0.5, "l2": 0.1},
        {"optimizer": SGD(momentum=0.9, groups=[Group([0], learning_rate=0.1)]), "bias": False},
        {"loss": "cross_entropy", "dtype": "float64", "activation": "gelu"},
        {"output_activation": "step", "weight_init": "zeros"},
    ],
)
def test_the_same_net_comes_back_and_goes_on_alike(options) -> None:
    one = net(**options)
    one.__class__ = Noted  # a net refuses attributes without effect, a subclass of it does not
    trains = options.get("output_activation") != "step"
    targets = np.arange(8) % 2 if options.get("loss") == "cross_entropy" else Y
    one.freeze(layers=[0], biases=False)
    if trains:
        one.fit(X, targets, epochs=3)
    one.note = "kept"
    other = twin(one)
    assert repr(other) == repr(one) and other.note == "kept"
    assert other.history == one.history and other.weight_init == one.weight_init
    assert set(vars(other)) == set(vars(one))
    assert other.predict(X).tobytes() == one.predict(X).tobytes()
    if trains:
        one.fit(X, targets, epochs=3)
        other.fit(X, targets, epochs=3)
    for a, b in zip(one.state, other.state, strict=True):
        assert a.tobytes() == b.tobytes()


def test_no_table_is_pickled() -> None:
    one = net()
    one.step(X, Y)
    arrays = {name for name, value in one.__getstate__().items() if isinstance(value, np.ndarray)}
    assert arrays == set()
    content = pickle.dumps(one)
    text = [arg for _, arg, _ in pickletools.genops(content) if isinstance(arg, str)]
    assert {"layer_table", "settings", "_views", "_spaces"}.isdisjoint(text)


def test_a_shallow_copy_shares_its_parameters() -> None:
    one = net()
    other = copy.copy(one)
    assert other.params is one.params and other.weights[0].base is not None
    other.params[:] = 0
    assert not one.params.any()


def test_a_pickle_without_a_number_is_refused() -> None:
    one = net()
    before = vars(one).copy()  # what a pickle held before
    new = MLP.__new__(MLP)
    with pytest.raises(
        PickleError, match=r"pickle of an MLP has no format number.*net.params\[:\]"
    ):
        new.__setstate__(before)
    assert vars(new) == {}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another format": ({"format": pickles.FORMAT + 1}, r"format \d+, so another version"),
    "larger layers": (
        {"layer_sizes": (3, 400, 2)},
        r"params .* shape \(2402,\).*got shape \(26,\)",
    ),
    "smaller layers": ({"layer_sizes": (3, 2, 2)}, r"params .* shape \(14,\).*got shape \(26,\)"),
    "one more layer": ({"layer_sizes": (3, 4, 4, 2)}, "2 activations for layers"),
    "no whole sizes": ({"layer_sizes": (3, 4.5, 2)}, "whole number"),
    "no sizes": ({"layer_sizes": None}, "layer_sizes must be a sequence"),
    "huge sizes": ({"layer_sizes": (2**31, 2**31, 2)}, "can be addressed"),
    "no such unit": ({"activations": ("relu", "rule")}, "must be one of"),
    "softmax inside": ({"activations": ("softmax", "identity")}, "must be one of"),
    "no loss": ({"loss": "squared_error"}, "loss of a saved net must be a Loss"),
    "no limits": ({"regularization": None}, "must be a Regularization"),
    "no biases": ({"bias": False}, r"params .* shape \(20,\)"),
    "another dtype": ({"dtype": np.dtype("float64")}, "dtype float64; got .* float32"),
    "no dtype": ({"dtype": "int8"}, "dtype must be"),
    "no parameters": ({"params": None}, "params of a saved net must be an array"),
    "two axes": ({"params": np.zeros((26, 1), "f4")}, r"got shape \(26, 1\)"),
    "few slots": ({"slots": np.zeros(26, "f4")}, r"slots .* shape \(52,\)"),
    "another optimizer": ({"optimizer": SGD()}, r"slots .* shape \(26,\)"),
    "no optimizer": ({"optimizer": "adam"}, "must be an Optimizer"),
    "few scalars": ({"scalars": np.zeros(N_SCALARS - 1)}, "scalars of a saved net"),
    "no stream": ({"random": np.zeros(0, np.uint64)}, "random of a saved net"),
    "few frozen": ({"frozen": np.zeros(3, np.bool_)}, "frozen of a saved net"),
    "codes, not flags": ({"frozen": np.zeros(26, np.uint8)}, "dtype bool"),
    "half an update": ({"scalars": np.full(N_SCALARS, 0.5)}, "0 updates or more; got 0.5"),
    "no update": ({"scalars": np.full(N_SCALARS, np.nan)}, "0 updates or more; got nan"),
    "updates before 0": ({"scalars": np.full(N_SCALARS, -1.0)}, "0 updates or more; got -1"),
    "no parts": ({"spec": {}}, "must have the parts"),
    "no arrays": ({"state": {}}, "must have the arrays"),
}


@pytest.mark.parametrize("case", WRONG)
def test_parts_that_do_not_fit_each_other_are_refused(case, tally: Counter[str]) -> None:
    changes, message = WRONG[case]
    with pytest.raises(PickleError, match=message):
        edited(net(optimizer="adam"), **changes)
    tally["edits"] += 1


def test_tables_are_made_again_whatever_the_pickle_says() -> None:
    one = net()
    others = one.__getstate__()["others"]
    table = one.layer_table.copy()
    other = edited(one, others={**others, "layer_table": table * 1000, "settings": table[:0]})
    assert np.array_equal(other.layer_table, table)
    assert np.array_equal(other.settings, one.settings)


def test_edited_sizes_are_refused_or_compute_as_a_new_net(tally: Counter[str]) -> None:
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)
    draw = np.random.default_rng(seed)
    one = net()
    refused = 0
    for _ in range(EDITS):
        sizes = tuple(int(size) for size in draw.integers(1, 6, size=3))
        wide = 2 * sum((a + 1) * b for a, b in zip(sizes, sizes[1:], strict=False))
        slots = np.zeros(int(draw.choice([wide, one.state.slots.size])), np.float32)
        try:
            other = edited(one, layer_sizes=sizes, slots=slots)
        except PickleError:
            refused += 1
        else:
            assert other.params.size == sum(w.size for w in (*other.weights, *other.biases))
            assert other.predict(np.zeros((2, sizes[0]))).shape == (2, sizes[2])
            assert np.isfinite(other.step(np.ones((2, sizes[0])), np.ones((2, sizes[2]))))
        tally["edits"] += 1
    assert 0 < refused <= EDITS


def test_a_perceptron_is_checked_as_its_net_is() -> None:
    unit = Perceptron(3, seed=0)
    assert twin(unit).predict(X).tobytes() == unit.predict(X).tobytes()
    unit._net.__dict__["spec"] = unit._net.spec._replace(layer_sizes=(300, 1))
    with pytest.raises(PickleError, match=r"params .* shape \(301,\)"):
        twin(unit)


# The fields whose meaning a format number stands for, by their hash.
FIELDS = [
    Spec._fields,
    State._fields,
    N_SCALARS,
    UPDATES,
    [(name, kind.code, kind.n_slots, [f.name for f in dataclasses.fields(kind)])
     for name, kind in OPTIMIZERS.items()],
    [(name, [f.name for f in dataclasses.fields(kind)]) for name, kind in LOSSES.items()],
    [f.name for f in dataclasses.fields(Regularization)],
    [f.name for f in dataclasses.fields(Group)],
]  # fmt: skip
KNOWN = {1: "82b2d0e78c00494a"}


def test_another_meaning_has_another_format_number() -> None:
    found = hashlib.blake2b(repr(FIELDS).encode(), digest_size=8).hexdigest()
    assert found == KNOWN[pickles.FORMAT], (
        "what a pickle holds has changed: raise pickles.FORMAT by 1 and add its hash here"
    )
