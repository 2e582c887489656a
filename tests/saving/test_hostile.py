"""Files from strangers: a net or a ValueError, whatever is in them, in little memory."""

from __future__ import annotations

import os
import struct
import sys
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import counts
from sealed import SEAL, header_of, joined, mutated, parts_of, with_header

import fastbp
from fastbp import graph
from fastbp.saving import container, nets

pytest.importorskip("safetensors", reason="nets are saved by it")
pytestmark = pytest.mark.promise("loading")
MUTATIONS = counts(1000, 100_000)
MB = 2**20

rng = np.random.default_rng(0)
X = rng.normal(size=(8, 3))
Y = rng.normal(size=(8, 2))


def net(**options: Any) -> fastbp.MLP:
    made = fastbp.MLP((3, 4, 2), seed=0, **options)
    made.fit(X, Y, epochs=2)
    return made


def content_of(one: fastbp.MLP, folder: Path) -> bytes:
    one.save(folder / "net.safetensors")
    return (folder / "net.safetensors").read_bytes()


def load(content: bytes, folder: Path) -> fastbp.MLP:
    path = folder / "hostile.safetensors"
    path.write_bytes(content)
    return fastbp.load(path)


@pytest.fixture
def sound(tmp_path) -> bytes:
    return content_of(net(), tmp_path)


# ---- damage -------------------------------------------------------------------------------------


def test_every_flipped_bit_is_seen(sound, tmp_path, tally: Counter[str]) -> None:
    path = tmp_path / "flipped.safetensors"
    step = counts(5, 1, 50)
    path.write_bytes(sound)
    with open(path, "r+b", buffering=0) as file:
        for bit in range(0, 8 * len(sound), step):
            byte = bit // 8
            file.seek(byte)
            file.write(bytes([sound[byte] ^ 1 << bit % 8]))
            with pytest.raises(
                ValueError, match="is not loaded: (it is damaged|nothing of|the header)"
            ):
                fastbp.load(path)
            file.seek(byte)
            file.write(sound[byte : byte + 1])
            tally["hostile nets"] += 1
    fastbp.load(path)


def test_every_truncation_is_seen(sound, tmp_path) -> None:
    for length in range(0, len(sound), 7):
        with pytest.raises(ValueError, match="is not loaded"):
            load(sound[:length], tmp_path)
    with pytest.raises(ValueError, match="damaged"):
        load(sound + b"\0", tmp_path)


# ---- lies ---------------------------------------------------------------------------------------

Change = Callable[[dict[str, Any], dict[str, Any]], object]


def bias(table: dict[str, Any]) -> dict[str, Any]:
    return table["layers.0.bias"]


def overlap(table: dict[str, Any], recipe: dict[str, Any]) -> None:
    bias(table)["data_offsets"] = [0, 16]


LIES: dict[str, tuple[Change, str]] = {
    "overlapping offsets": (overlap, "not where its header says"),
    "offsets beyond the file": (
        lambda t, r: bias(t).update(data_offsets=[10**6, 10**6 + 16]), "not where its header says",
    ),
    "offsets of text": (lambda t, r: bias(t).update(data_offsets="ab"), "not where its header"),
    "negative offsets": (lambda t, r: bias(t).update(data_offsets=[-16, 0]), "not where its"),
    "a longer array": (lambda t, r: bias(t).update(shape=[5]), r"\(4,\); got .*\(5,\)"),
    "2^40 rows": (
        lambda t, r: t["layers.0.weight"].update(shape=[2**40, 4]), r"\(3, 4\); got .*10995",
    ),
    "2^40 rows, consistently": (
        lambda t, r: (r.update(layer_sizes=[2**38, 4, 2]), t["layers.0.weight"].update(
            shape=[2**38, 4]), t["frozen"].update(shape=[2**40 + 14]), t["optimizer.slots"].update(
            shape=[2, 2**40 + 14])),
        "at most 1099511627776 can be addressed",
    ),
    "2^38 rows, consistently": (
        lambda t, r: (r.update(layer_sizes=[2**36, 4, 2]), t["layers.0.weight"].update(
            shape=[2**36, 4]), t["frozen"].update(shape=[2**38 + 14]), t["optimizer.slots"].update(
            shape=[2, 2**38 + 14])),
        "not where its header says",
    ),
    "2^60 epochs": (
        lambda t, r: t["history"].update(shape=[3, 2**60]), "not where its header says",
    ),
    "a shape of text": (lambda t, r: bias(t).update(shape=["4"]), "list of whole numbers"),
    "a shape of flags": (lambda t, r: bias(t).update(shape=[True]), "list of whole numbers"),
    "a negative shape": (lambda t, r: bias(t).update(shape=[-4]), "list of whole numbers"),
    "another dtype": (
        lambda t, r: bias(t).update(dtype="BF16"), "dtype of 'layers.0.bias' must be",
    ),
    "another dtype that others have": (
        lambda t, r: bias(t).update(dtype="I32"), "float32 .*; got int32",
    ),
    "a wider dtype": (lambda t, r: bias(t).update(dtype="F64"), "float32 .*; got float64"),
    "no dtype": (lambda t, r: bias(t).pop("dtype"), "must have dtype, shape and data_offsets"),
    "one array less": (lambda t, r: t.pop("random"), "'random' must be .*; got no array"),
    "one array more": (
        lambda t, r: t.update(more={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}),
        "'more' must be no array",
    ),
    "no recipe": (lambda t, r: r.pop("loss"), "the recipe of a net must have the fields"),
    "another format": (lambda t, r: r.update(format=2), "has the format 2, .* reads 1"),
    "a format of text": (lambda t, r: r.update(format="1"), "has the format '1'"),
    "a true format": (lambda t, r: r.update(format=True), "has the format True"),
    "another loss": (lambda t, r: r.update(loss="os.system"), "loss of a saved net must be a Loss"),
    "an activation that is called": (
        lambda t, r: r.update(activations=["os.system", "identity"]), "must be one of",
    ),
    "a schedule for an activation": (
        lambda t, r: r.update(activations=[
            {"kind": "InverseScaling", "initial_rate": 1.0, "power": 1.0}, "identity"]),
        "an activation must be a name or a graph; got InverseScaling",
    ),
    "an optimizer's name": (lambda t, r: r.update(optimizer="adam"), "optimizer must be one of"),
    "a loss for an optimizer": (
        lambda t, r: r.update(optimizer={"kind": "SquaredError"}), "optimizer must be one of",
    ),
    "a rate of text": (lambda t, r: r["optimizer"].update(learning_rate="0.1"), "learning_rate"),
    "a rate of 0": (lambda t, r: r["optimizer"].update(learning_rate=0), "learning_rate must be"),
    "an endless rate": (
        lambda t, r: r["optimizer"].update(learning_rate=10**400), "learning_rate must be",
    ),
    "groups of a layer that is not there": (
        lambda t, r: r["optimizer"].update(groups=[{
            "kind": "Group", "layers": [7], "weights": True, "biases": True,
            "learning_rate": None, "weight_decay": None}]),
        "layers must be 0 to 1; got 7",
    ),
    "another optimizer": (
        lambda t, r: r.update(optimizer={
            "kind": "SGD", "learning_rate": 0.1, "weight_decay": 0.0, "groups": [],
            "momentum": 0.0, "nesterov": False}),
        r"'optimizer.slots' must be .*\(1, 26\); got .*\(2, 26\)",
    ),
    "dropout of other layers": (
        lambda t, r: r["regularization"].update(dropout=[0.1, 0.1]), "dropout must be one rate",
    ),
    "sizes of text": (lambda t, r: r.update(layer_sizes="342"), "layer_sizes must be a sequence"),
    "a dtype that is parsed": (lambda t, r: r.update(dtype="f4,f4"), "dtype must be"),
    "a dtype that is none": (lambda t, r: r.update(dtype=None), "dtype must be a name"),
    "bias of 1": (lambda t, r: r.update(bias=1), "bias of a saved net must be a bool"),
    "a seed below 0": (lambda t, r: r.update(split_seed=-1), "split_seed must be at least 0"),
    "a long seed": (lambda t, r: r.update(split_seed=2**64), "split_seed must be at most"),
    "missing targets of 1": (lambda t, r: r.update(missing_targets=1), "missing_targets must be"),
    "other weights": (lambda t, r: r.update(weight_init="mine"), "weight_init must be one of"),
    "no history": (lambda t, r: r.update(history=None), "history must have columns"),
    "columns of numbers": (
        lambda t, r: r["history"].update(columns=[1, 2, 3]), "must be a list of names",
    ),
    "columns of one name": (
        lambda t, r: r["history"].update(columns=["loss", "seconds", "seconds"]), "must have",
    ),
    "a reason of numbers": (lambda t, r: r["history"].update(stop_reason=3), "must be text"),
    "a column that is not there": (
        lambda t, r: r["history"].update(monitor="val_loss"), "monitor .* must be a column",
    ),
    "a monitor of two": (lambda t, r: r["history"].update(monitor=["loss"]), "must be a column"),
    "the best of 1": (lambda t, r: r["history"].update(highest=1), "highest .* must be True or"),
    "epoch 0": (lambda t, r: r["history"].update(restored_epoch=0), "must be at least 1"),
    "an epoch to come": (lambda t, r: r["history"].update(restored_epoch=3), "must be at most 2"),
    "half an epoch": (lambda t, r: r["history"].update(restored_epoch=1.5), "whole number"),
    "an epoch that is true": (
        lambda t, r: r["history"].update(restored_epoch=True), "whole number",
    ),
    "a history of before": (
        lambda t, r: r["history"].update(stopped=r["history"].pop("stop_reason")), "history",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LIES)
def test_lies_are_refused_by_name(case, sound, tmp_path, tally: Counter[str]) -> None:
    table, recipe, payload = parts_of(sound)
    change, message = LIES[case]
    change(table, recipe)
    with pytest.raises(ValueError, match=f"hostile.safetensors is not loaded: .*{message}"):
        load(joined(table, recipe, payload), tmp_path)
    tally["hostile nets"] += 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("layers.0.weight", np.float32(np.nan), "layers.0.weight must be finite; got nan"),
        ("layers.1.bias", np.float32(-np.inf), "layers.1.bias must be finite; got -inf"),
        ("optimizer.slots", np.float32(np.nan), "slots must be numbers; got nan"),
        ("optimizer.scalars", np.float64(np.nan), "scalars must be finite; got nan"),
        ("frozen", np.uint8(2), "frozen must be bytes of 0 and 1"),
    ],
)
def test_values_that_no_net_has(name, value, message, sound, tmp_path) -> None:
    table, recipe, payload = parts_of(sound)
    first = table[name]["data_offsets"][0]
    changed = payload[:first] + value.tobytes() + payload[first + value.nbytes :]
    with pytest.raises(ValueError, match=message):
        load(joined(table, recipe, changed), tmp_path)


@pytest.mark.parametrize("updates", [-1.0, 0.5, 2.0**60])
def test_updates_that_cannot_be_counted(updates, sound, tmp_path) -> None:
    table, recipe, payload = parts_of(sound)
    first = table["optimizer.scalars"]["data_offsets"][0] + 8
    changed = payload[:first] + struct.pack("<d", updates) + payload[first + 8 :]
    with pytest.raises(ValueError, match="must have made 0 updates or more"):
        load(joined(table, recipe, changed), tmp_path)


def test_a_payload_with_gaps_or_more_is_refused(sound, tmp_path) -> None:
    table, recipe, payload = parts_of(sound)
    for changed in (payload + bytes(8), payload[:-8]):
        with pytest.raises(ValueError, match="not where its header says"):
            load(joined(table, recipe, changed), tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"random":', b'"frozen":', "the key 'frozen' is in it twice"),
        (b'"shape":', b'"dtype":"F32","shape":', "the key 'dtype' is in it twice"),
        (b'\\"bias\\":true', b'\\"bias\\":true,\\"bias\\":false', "the key 'bias' is in it twice"),
        (b'"__metadata__":', b'"metadata":', "its metadata must have the recipe|'metadata' must"),
        (b'\\"l1\\":0.0', b'\\"l1\\":NaN', "NaN is no number of JSON"),
        (b'\\"l1\\":0.0', b'\\"l1\\":1e999', "l1 must be a finite number"),
        (b'\\"l1\\":0.0', b'\\"l1\\":' + b"9" * 5000, "limit"),
        (b'\\"l1\\":0.0', b'\\"l1\\":{', "Expecting"),
        (b"layers.0", b"l\xff\xfers.0", "decode"),
    ],
)
def test_text_that_is_not_as_it_was_written(old, new, message, sound, tmp_path) -> None:
    header, payload = header_of(sound)
    assert old in header
    with pytest.raises(ValueError, match=message):
        load(with_header(header.replace(old, new, 1), payload), tmp_path)


def test_two_seals_are_none(sound, tmp_path) -> None:
    header, payload = header_of(sound)
    seal = SEAL.search(header).group(0)
    with pytest.raises(ValueError, match="it has no SHA-256"):
        load(with_header(header.replace(seal, seal + b"," + seal), payload), tmp_path)
    with pytest.raises(ValueError, match="it has no SHA-256"):
        load(with_header(b"{}", b""), tmp_path)
    with pytest.raises(ValueError, match="its SHA-256 must stand in the recipe"):
        load(with_header(header.replace(seal, rb"\"more\":{" + seal + b"}"), payload), tmp_path)


# ---- memory -------------------------------------------------------------------------------------


def bombs(sound: bytes) -> dict[str, bytes]:
    header, payload = header_of(sound)
    deep = b"[" * 100_000 + b"]" * 100_000
    wide = b"[" + b"[]," * 300_000 + b"0]"
    escaped = b'\\"l1\\":'
    table, recipe, _ = parts_of(sound)
    vector = [["variable", [], 0, ["y_pred", 2**33, 0], None]]
    recipe["loss"] = {"kind": "graph", "nodes": vector}
    return {
        "depth": with_header(header.replace(b'"shape":', b'"more":' + deep + b',"shape":', 1), b""),
        "depth of the recipe": with_header(header.replace(escaped + b"0.0", escaped + deep), b""),
        "width": with_header(header.replace(b'"shape":', b'"more":' + wide + b',"shape":', 1), b""),
        "width of the recipe": with_header(header.replace(escaped + b"0.0", escaped + wide), b""),
        "a long header": with_header(header + b" " * (8 * MB), payload),
        "a vector": joined(table, recipe, payload),
        "a header of 2^63 bytes": (2**63).to_bytes(8, "little") + header + payload,
    }


BOMBS = (
    "depth", "depth of the recipe", "width", "width of the recipe", "a long header", "a vector",
    "a header of 2^63 bytes",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", BOMBS)
def test_bombs_take_no_memory(case, sound, tmp_path) -> None:
    content = bombs(sound)[case]
    path = tmp_path / "bomb.safetensors"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="bomb.safetensors is not loaded: .{10}") as caught:
            fastbp.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(content) + 50 * container.MOST_HEADER
    assert len(str(caught.value)) < 1500


def test_a_large_net_takes_a_few_times_its_file(tmp_path) -> None:
    path = tmp_path / "large.safetensors"
    fastbp.MLP((500, 500, 10), seed=0).save(path)
    fastbp.load(path)
    tracemalloc.start()
    try:
        fastbp.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3.5 * path.stat().st_size


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_what_is_not_a_file_is_not_read(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ValueError, match="is not an ordinary file"):
            fastbp.load(path)


# ---- at random ----------------------------------------------------------------------------------


def variety(folder: Path) -> list[bytes]:
    """Files with every kind of part."""
    z, y_pred, y = graph.variables("z y_pred y")
    rate = fastbp.WarmUp(fastbp.ScaledSchedule(fastbp.CosineDecay(np.float32(0.01), 10), 0.5), 3)
    groups = [fastbp.Group([0], learning_rate=0.1)]
    made = [
        net(),
        net(activation=z * graph.tanh(z), loss=(y_pred - y) ** 2, optimizer=fastbp.NAdam(rate)),
        net(optimizer=fastbp.SGD(0.1, groups=groups), dropout=0.1, bias=False, dtype="float64"),
        net(loss=fastbp.Quantile([0.1, 0.9]), missing_targets=True, clip_norm=1.0),
    ]
    return [content_of(one, folder) for one in made]


def train(one: fastbp.MLP) -> None:
    """Whatever the changes make of it: no crash."""
    n_in, *_, n_out = one.layer_sizes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(ValueError):
            one.fit(np.ones((5, n_in)), np.zeros((5, n_out)), epochs=2)


def test_what_is_changed_at_random_is_a_net_or_refused(tmp_path, tally: Counter[str]) -> None:
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
        else:  # a harmless change: it computes
            loaded += 1
            assert one.predict(np.zeros((2, one.layer_sizes[0]))).shape == (2, one.layer_sizes[-1])
            again = nets.saved_in(nets.content_of(one), nets.Own())
            assert again.spec.layer_sizes == one.layer_sizes
            if loaded % 10 == 0:
                train(one)
        tally["hostile nets"] += 1
    assert 0.02 * MUTATIONS < loaded < 0.7 * MUTATIONS
