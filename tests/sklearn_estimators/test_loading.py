"""Files of estimators from strangers: an estimator or a ValueError, whatever is in them."""

from __future__ import annotations

import os
import pickle
import sys
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from helpers import counts
from sealed import joined, mutated, parts_of
from sklearn.datasets import load_iris

import fastbp
import fastbp.sklearn
from fastbp.sklearn import MLPClassifier, MLPRegressor, Perceptron

pytest.importorskip("safetensors", reason="estimators are saved by it")
pytestmark = [
    pytest.mark.promise("loading"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
MUTATIONS = counts(1_000, 40_000)
X, Y = load_iris(return_X_y=True)
X, Y = X[::5], Y[::5]


def content_of(one: Any, folder: Path) -> bytes:
    one.save(folder / "sound.safetensors")
    return (folder / "sound.safetensors").read_bytes()


def load(content: bytes, folder: Path) -> Any:
    path = folder / "hostile.safetensors"
    with open(path, "r+b" if path.exists() else "wb") as file:  # a new file takes milliseconds
        file.write(content)
        file.truncate()
    return fastbp.sklearn.load(path)


def unfitted(**options: Any) -> MLPClassifier:
    return MLPClassifier((5,), random_state=np.random.RandomState(0), max_iter=20, **options)


def net() -> MLPClassifier:
    return unfitted().partial_fit(X, Y, classes=[0, 1, 2])


@pytest.fixture
def sound(tmp_path) -> bytes:
    return content_of(net(), tmp_path)


# ---- damage -------------------------------------------------------------------------------------


def test_flipped_bits_and_truncations_are_seen(sound, tmp_path, tally: Counter[str]) -> None:
    for bit in range(0, 8 * len(sound), counts(197, 7, 997)):
        byte = bit // 8
        changed = sound[:byte] + bytes([sound[byte] ^ 1 << bit % 8]) + sound[byte + 1 :]
        with pytest.raises(ValueError, match="not loaded: (it is damaged|nothing of|the header)"):
            load(changed, tmp_path)
        tally["hostile estimators"] += 1
    for length in range(0, len(sound), 201):
        with pytest.raises(ValueError, match="is not loaded"):
            load(sound[:length], tmp_path)


# ---- lies ---------------------------------------------------------------------------------------

Change = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]
ARRAY = {"kind": "array", "type": "float64", "name": "layers.0.weight"}
HUGE = {"kind": "csr_array", "shape": [3, 2**60], "data": {**ARRAY, "name": "layers.0.bias"}}


def optimizer_of(a: dict[str, Any]) -> dict[str, Any]:
    """The pairs of the optimiser's state, to be changed in place."""
    return {pair[0]: pair for pair in a["_optimizer"]["items"]}


def other_slots(t: dict[str, Any], p: dict[str, Any], a: dict[str, Any]) -> None:
    optimizer_of(a)["slots"][1] = {"kind": "array", "type": "float64", "name": "optimizer.scalars"}


LIES: dict[str, tuple[Change, str]] = {
    "another class": (lambda t, p, a: None, "its estimator must be one of .*got 'os.system'"),
    "a parameter more": (lambda t, p, a: p.update(code=1), "has no parameter 'code'"),
    "a parameter of the user": (
        lambda t, p, a: p.update(scoring={"kind": "your own", "name": "f"}), "scoring=...",
    ),
    "code inside of a parameter": (
        lambda t, p, a: p.update(scoring=[{"kind": "your own", "name": "f"}]),
        "scoring has the kind 'your own'",
    ),
    "parameters that are none": (lambda t, p, a: p.update(kind="dict"), "no parameter 'kind'"),
    "a kind": (lambda t, p, a: p.update(alpha={"kind": "os.system"}), "the kind 'os.system'"),
    "no kind": (lambda t, p, a: p.update(alpha={}), "the kind None"),
    "an attribute of the class": (lambda t, p, a: a.update(predict=3), "would hide what MLPCl"),
    "a private method": (lambda t, p, a: a.update(_fit=3), "'_fit' is no attribute"),
    "the class": (lambda t, p, a: a.update(__class__="Net"), "'__class__' is no attribute"),
    "a network": (lambda t, p, a: a.update(_net=3), "'_net' is no attribute"),
    "a parameter among the attributes": (lambda t, p, a: a.update(alpha=3), "alpha must stand"),
    "an array that is not there": (
        lambda t, p, a: a.update(classes_={**ARRAY, "name": "x"}), "'x' is none",
    ),
    "an array of another type": (
        lambda t, p, a: a.update(classes_={**ARRAY, "type": "int8"}), "must be int8; got float64",
    ),
    "numbers as text": (
        lambda t, p, a: a.update(classes_={**ARRAY, "type": "str"}), "must be uint32; got",
    ),
    "objects of numbers": (
        lambda t, p, a: a.update(classes_={**ARRAY, "type": "object"}), "must be uint32; got",
    ),
    "an array of nobody": (lambda t, p, a: p.pop("random_state"), "'random_state' belongs to"),
    "classes that are none": (lambda t, p, a: a.update(classes_=3), "classes_ must be an array"),
    "weights of the same array": (
        lambda t, p, a: a.update(coefs_=[ARRAY] * 5000), "must be an array of its own",
    ),
    "weights that do not fit": (
        lambda t, p, a: a["coefs_"].reverse(), "coefs_.1. must have a row for each|intercepts_",
    ),
    "weights that are none": (lambda t, p, a: a.update(coefs_=3), "coefs_ and intercepts_ must be"),
    "other units": (lambda t, p, a: a.update(out_activation_="loud"), "out_activation_ must be"),
    "layers that are not there": (lambda t, p, a: a.update(n_layers_=2**40), "n_layers_ - 1"),
    "slots of another size": (other_slots, r"slots .* shape \(86,\).*got shape \(13,\)"),
    "another optimizer": (
        lambda t, p, a: optimizer_of(a)["optimizer"][1]["items"][0].__setitem__(1, "System"),
        "must be one of .*got 'System'",
    ),
    "an optimizer without parts": (
        lambda t, p, a: a["_optimizer"]["items"].pop(), "must have the parts",
    ),
    "another format": (lambda t, p, a: a.update(_format=3), "the format 3, so another version"),
    "a format of the optimizer": (
        lambda t, p, a: optimizer_of(a)["format"].__setitem__(1, 7), "has the format 7",
    ),
    "a position beyond the stream": (
        lambda t, p, a: p["random_state"].update(position=625), "position .* at most 624",
    ),
    "a stream of other words": (
        lambda t, p, a: p["random_state"].update(key=ARRAY), "must have 624 uint32",
    ),
    "a sparse matrix without entries": (
        lambda t, p, a: a.update(more_=HUGE), "more_ must have the fields",
    ),
    "requests": (lambda t, p, a: a.update(_metadata_request={"kind": "dict", "items": [
        ["__class__", {"kind": "dict", "items": []}]]}), "must be asked for by"),
    "numbers beyond their type": (
        lambda t, p, a: a.update(loss_={"kind": "number", "type": "float32", "value": 0.1}),
        "loss_ must be a float32; got 0.1",
    ),
    "numbers that are none": (
        lambda t, p, a: a.update(loss_={"kind": "number", "type": "float32", "value": "1"}),
        "loss_ must be a float32; got '1'",
    ),
    "a list of another's array": (
        lambda t, p, a: a.update(x_={"kind": "list", "type": "float64", "name": "layers.0.bias"},
        y_={"kind": "list", "type": "float64", "name": "layers.0.bias"}), "an array of its own",
    ),
    "a dict of lists": (
        lambda t, p, a: a.update(x_={"kind": "dict", "items": [[[], 1]]}),
        "x_ has a key that no dict takes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LIES)
def test_lies_are_refused_by_name(case, sound, tmp_path, tally: Counter[str]) -> None:
    table, recipe, payload = parts_of(sound)
    change, message = LIES[case]
    change(table, recipe["parameters"], recipe["attributes"])
    if case == "another class":
        recipe["estimator"] = "os.system"
    with pytest.raises(ValueError, match=f"hostile.safetensors is not loaded: .*{message}"):
        load(joined(table, recipe, payload), tmp_path)
    tally["hostile estimators"] += 1


def test_sparse_weights_are_checked(tmp_path) -> None:
    unit = Perceptron(penalty="l1", alpha=0.01).fit(X, Y).sparsify()
    table, recipe, payload = parts_of(content_of(unit, tmp_path))
    for name, entry, value, message in (
        ("indices", 0, 2**30, "column indices must be 0 to 3"),
        ("indices", 0, -1, "column indices must be 0 to 3"),
        ("indptr", 0, 1, "index pointer should start with 0|indptr must rise"),
        ("indptr", 1, 2**31 - 1, "indptr must rise from 0"),
        ("indptr", 3, -(2**31), "indptr must rise from 0"),  # SciPy 1.17 crashes with it
        ("indptr", 3, 1000, "Last value of index pointer|indptr must rise"),
    ):
        first = table[f"coef_.{name}"]["data_offsets"][0] + 4 * entry
        changed = payload[:first] + np.int32(value).tobytes() + payload[first + 4 :]
        with pytest.raises(ValueError, match=f"not loaded: .*{message}"):
            load(joined(table, recipe, changed), tmp_path)


def test_text_is_checked(tmp_path) -> None:
    rows = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    table, recipe, payload = parts_of(content_of(unfitted().fit(rows, Y), tmp_path))
    first, last = table["feature_names_in_"]["data_offsets"]
    changed = payload[:first] + np.uint32(0x110000).tobytes() + payload[first + 4 :]
    with pytest.raises(ValueError, match="feature_names_in_ must be characters; got 1114112"):
        load(joined(table, recipe, changed), tmp_path)
    table["feature_names_in_"]["shape"] = [
        (last - first) // 4,
        1,
    ]  # many objects of Python, few bytes
    with pytest.raises(ValueError, match="at least 16 characters for each text; got 1"):
        load(joined(table, recipe, payload), tmp_path)


def test_a_pickle_is_not_unpickled(tmp_path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "harm"),)

    with pytest.raises(ValueError, match="nothing of fastbp is in it"):
        load(pickle.dumps(Trap()), tmp_path)
    assert not (tmp_path / "harm").exists()


def test_a_large_estimator_takes_a_few_times_its_file(tmp_path) -> None:
    path = tmp_path / "large.safetensors"
    rng = np.random.default_rng(0)
    made = MLPRegressor(hidden_layer_sizes=(500,), max_iter=1, random_state=0).fit(
        rng.normal(size=(5, 500)), Y[:5]
    )
    made.save(path)
    fastbp.sklearn.load(path)
    tracemalloc.start()
    try:
        fastbp.sklearn.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * path.stat().st_size


# ---- at random ----------------------------------------------------------------------------------


def variety(folder: Path) -> list[bytes]:
    """Files with every kind of part."""
    names = np.array(["a", "b", "c"], object)
    rate = fastbp.WarmUp(fastbp.CosineDecay(np.float32(0.01), 10), 3)
    several = np.stack([Y, (Y + 1) % 3], axis=1)
    sparse = Perceptron(penalty="l1", alpha=0.01, class_weight={0: 1.0, 1: 2, 2: 1})
    made = [
        net(),
        unfitted(optimizer=fastbp.AdamW(rate), warm_start=True).fit(X, names[Y]),
        unfitted(alpha=0.01).fit(X, several),
        MLPRegressor(fastbp.Huber(0.5), (4, 3), ["tanh", "gelu"], max_iter=20, solver="sgd",
                     momentum=0.5, random_state=0, as_transformer=True).fit(X, X[:, :2]),
        MLPRegressor(weight_init=[np.ones((4, 100)), np.ones((100, 1))]),
        Perceptron(random_state=np.random.RandomState(1)).fit(X, Y),
        sparse.fit(X, Y).sparsify(),
    ]  # fmt: skip
    return [content_of(one, folder) for one in made]


def use(one: Any, train: bool) -> None:
    """Whatever the attributes are: numbers, or an error of Python. A crash would end the tests."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with suppress(Exception):
            assert len(one.predict(X)) == len(X)
            if train:
                one.set_params(max_iter=1)
                one.partial_fit(X, one.predict(X))
                one.partial_fit(X, one.predict(X))
                one.set_params(warm_start=True).fit(X, one.predict(X))


def test_what_is_changed_at_random_is_an_estimator_or_refused(
    tmp_path, tally: Counter[str]
) -> None:
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)
    files = variety(tmp_path)
    loaded = 0
    for number in range(MUTATIONS):
        draw = np.random.default_rng([seed, number])
        content = mutated(files[number % len(files)], draw)
        imported = set(sys.modules)
        try:
            one = load(content, tmp_path)
        except ValueError as error:
            assert "is not loaded: " in str(error), number
            assert not {m for m in set(sys.modules) - imported if not m.startswith("encodings")}
        else:
            loaded += 1
            use(one, loaded % 5 == 0)
        tally["hostile estimators"] += 1
    assert 0.02 * MUTATIONS < loaded < 0.7 * MUTATIONS
