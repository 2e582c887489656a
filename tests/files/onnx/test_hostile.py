"""Models of ONNX from strangers: a net or a ValueError, whatever is in them, in little memory."""

from __future__ import annotations

import base64
import json
import os
import sys
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from helpers import counts

from fastbp import MLP, graph
from fastbp.files import from_onnx, to_onnx
from fastbp.files.onnx import contents
from fastbp.files.onnx.contents import MOST_NODES

pytestmark = pytest.mark.promise("loading")
onnx = pytest.importorskip("onnx", reason="models are read by the onnx library")

from made_onnx import W, model, node, written  # noqa: E402 (it needs onnx)
from onnx import TensorProto  # noqa: E402

MUTATIONS = counts(300, 100_000)
MB = 2**20


def layer() -> Any:
    return model([node("Gemm", ["x", "W"], ["y"])])


def first(made: Any) -> Any:
    return made.graph.initializer[0]


# ---- lies ---------------------------------------------------------------------------------------


def external(tensor: Any, location: str = "../../etc/passwd") -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location


def dims(*lengths: int) -> Callable[[Any], None]:
    return lambda made: made.graph.initializer[0].CopyFrom(
        TensorProto(name="W", data_type=1, dims=lengths, raw_data=first(made).raw_data)
    )


def of_type(kind: int, field: str, values: list[Any]) -> Callable[[Any], None]:
    def change(made: Any) -> None:
        tensor = TensorProto(name="W", data_type=kind, dims=[3, 2])
        getattr(tensor, field).extend(values)
        first(made).CopyFrom(tensor)

    return change


def raw(content: bytes) -> Callable[[Any], None]:
    return lambda made: first(made).__setattr__("raw_data", content)


def numbers(value: float) -> Callable[[Any], None]:
    return raw(np.full((3, 2), value, np.float32).tobytes())


def constant(made: Any) -> None:
    """The weights in a node, and there in another file."""
    tensor = TensorProto(name="W", data_type=1, dims=[3, 2])
    external(tensor)
    made.graph.ClearField("initializer")
    made.graph.node.insert(0, node("Constant", [], ["W"], value=tensor))


LIES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "another file": (lambda m: external(first(m)), "is kept in another file, which is not opened"),
    "another file, absolutely": (
        lambda m: external(first(m), "/etc/passwd"), "'W' is kept in another file"),
    "another file, unsaid": (
        lambda m: first(m).external_data.add(key="location", value="a"), "kept in another file"),
    "another file in a node": (constant, "is kept in another file"),
    "2^40 rows": (dims(2**40, 2), "must have 2199023255552 numbers, those of its shape; got 6"),
    "2^63 numbers": (dims(2**31, 2**31, 2), "must have 9223372036854775808 numbers"),
    "an overflowing shape": (dims(2**62, 2**62, 2**62), "numbers, those of its shape; got 6"),
    "a negative shape": (dims(-3, -2), "a shape of at most 32 lengths"),
    "a shape of minus one": (dims(-1, 2), "a shape of at most 32 lengths"),
    "many axes": (dims(*[1] * 100), "a shape of at most 32 lengths"),
    "no columns": (dims(3, 0), "must have 0 numbers"),
    "2^40 columns of no rows": (
        lambda m: (dims(0, 2**40)(m), first(m).ClearField("raw_data"), raw(b"")(m)),
        r"weights of the shape \(a, b\), floats; got \(0, 1099511627776\)"),
    "too few bytes": (raw(bytes(23)), "must have 6 numbers, .*; got 5.75"),
    "too many bytes": (raw(bytes(28)), "must have 6 numbers, .*; got 7"),
    "no bytes": (lambda m: first(m).ClearField("raw_data"), "must have 6 numbers, .*; got 0"),
    "a type that is none": (lambda m: first(m).__setattr__("data_type", 99), "types .*; got 99"),
    "text": (lambda m: first(m).__setattr__("data_type", 8), "one of the types .*; got 8"),
    "integers": (
        lambda m: (first(m).__setattr__("data_type", 6)), r"floats; got \(3, 2\) of int32"),
    "numbers of another type": (of_type(1, "double_data", [1.0] * 6), "must have 6 numbers"),
    "float16 that is none": (of_type(10, "int32_data", [2**16] * 6), "do not fit its type"),
    "negative float16": (of_type(10, "int32_data", [-1] * 6), "do not fit its type"),
    "a segment": (lambda m: first(m).segment.__setattr__("end", 3), "a segment of it"),
    "NaN in a bias": (lambda m: (
        m.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0.0, np.nan]), "B")),
        m.graph.node[0].input.append("B")), "must have finite weights and a finite bias"),
    "NaN": (numbers(np.nan), "must have finite weights and a finite"),
    "infinity": (numbers(-np.inf), "must have finite weights and a"),
    "a name of bytes": (
        lambda m: m.graph.node[0].__setattr__("name", "n" * 10**6), "^.{,1500}$"),
    "a batch of text": (
        lambda m: m.graph.input[0].type.sequence_type.SetInParent(), "the input must be float32"),
    "columns that are not there": (
        lambda m: m.graph.input[0].type.tensor_type.shape.dim[1].__setattr__("dim_value", 2**40),
        "as its weights have rows, 3; got 1099511627776"),
    "negative columns": (
        lambda m: m.graph.input[0].type.tensor_type.shape.dim[1].__setattr__("dim_value", -3),
        "the input must have a column or more"),
    "a referenced attribute": (
        lambda m: m.graph.node[0].attribute.add(name="alpha", ref_attr_name="b"), "of its own"),
    "an attribute twice": (
        lambda m: [m.graph.node[0].attribute.add(name="alpha", f=1.0, type=1) for _ in "ab"],
        "the name 'alpha' must belong to one attribute"),
    "no graph": (lambda m: m.ClearField("graph"), "must have one input; got 0"),
    "no nodes": (lambda m: m.graph.ClearField("node"), "must be computed from the input"),
    "too many nodes": (
        lambda m: [m.graph.node.add() for _ in range(MOST_NODES)], "at most 10000 nodes"),
    "too many arrays": (
        lambda m: [m.graph.initializer.add() for _ in range(MOST_NODES)], "as many arrays"),
}  # fmt: skip


@pytest.mark.parametrize("case", LIES)
def test_lies_are_refused(case, tmp_path, tally: Counter[str]) -> None:
    made = layer()
    change, message = LIES[case]
    change(made)
    if case == "a name of bytes":
        made.graph.node[0].op_type = "o" * 10**6
    with pytest.raises(ValueError, match=message):
        from_onnx(written(made, tmp_path))
    tally["hostile models"] += 1


def test_no_other_file_is_opened(tmp_path, monkeypatch) -> None:
    made = layer()
    external(first(made), "secret")
    path = written(made, tmp_path)
    (tmp_path / "secret").write_bytes(W.tobytes())
    opened = []
    sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
    with pytest.raises(ValueError, match="another file"):
        from_onnx(path)
    assert str(tmp_path / "secret") not in map(str, opened)
    assert str(path) in map(str, opened)


@pytest.mark.parametrize("content", [b"", b"\0", b"PK\x03\x04", b"{}", b"a net", b"\xff" * 1000])
def test_what_is_no_model_is_refused(content, tmp_path) -> None:
    path = tmp_path / "hostile.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="hostile.onnx is not read: "):
        from_onnx(path)


@pytest.mark.parametrize("old", [b"Gemm", b"made", b"W"])
def test_text_that_is_not_utf_8(old, tmp_path) -> None:
    path = tmp_path / "hostile.onnx"
    path.write_bytes(layer().SerializeToString().replace(old, b"\xff" * len(old)))
    if old == b"Gemm":
        with pytest.raises(ValueError, match="its operator must be text in UTF-8"):
            from_onnx(path)
    else:  # a name is a name, wherever it is the same
        assert from_onnx(path).layer_sizes == (3, 2)


def test_every_truncation_is_refused_or_harmless(tmp_path) -> None:
    content = model(
        [node("Gemm", ["x", "W", "B"], ["z"]), node("Gelu", ["z"], ["y"])], opset=20
    ).SerializeToString()
    path = tmp_path / "hostile.onnx"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="hostile.onnx is not read: "):
            from_onnx(path)


# ---- memory and time ----------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    """A sequence of sequences of ... as the type of the input; by hand, for the library refuses."""
    content = b""
    for _ in range(depth):
        content = field(4, field(1, content))  # TypeProto.sequence_type, its elem_type
    made = layer()
    made.graph.ClearField("input")
    of_input = field(11, field(1, b"x") + field(2, content))
    return made.SerializeToString() + field(7, of_input)


def field(number: int, content: bytes) -> bytes:
    """A field of protobuf that holds a message or bytes."""
    length, varint = len(content), bytearray()
    while length > 127:
        varint.append(length & 127 | 128)
        length >>= 7
    varint.append(length)
    return bytes([number << 3 | 2]) + bytes(varint) + content


def shared() -> Any:
    """A product with the same weights a thousand times."""
    square = np.eye(300, dtype=np.float32)
    nodes = [node("MatMul", [f"t{i}", "S"], [f"t{i + 1}"]) for i in range(999)]
    nodes[0].input[0], nodes[-1].output[0] = "x", "y"
    return model(nodes, arrays={"S": square}, shape=("batch", 300))


def wide() -> Any:
    """Constants that would make (2^20, 2^20) of two rows of numbers."""
    long = np.ones((1, 2**20), np.float32)
    nodes = [node("Transpose", ["L"], ["M"]), node("Add", ["L", "M"], ["N"]),
             node("MatMul", ["x", "N"], ["y"])]  # fmt: skip
    return model(nodes, arrays={"L": long}, shape=("batch", 2**20))


def long(operator: str, *others: str) -> Any:
    """Thousands of operators between two layers."""
    nodes = [node("MatMul", ["x", "W"], ["t0"])]
    nodes += [node(operator, [f"t{i}", *others], [f"t{i + 1}"]) for i in range(3000)]
    nodes += [node("Mul", [nodes[-1].output[0], nodes[-1].output[0]], ["y"])]
    return model(nodes)


def doubled() -> Any:
    """A sum whose terms double at each step, as paths; as nodes there are few."""
    nodes = [node("MatMul", ["x", "W"], ["t0"])]
    nodes += [node("Mul", [f"t{i}", f"t{i}"], [f"t{i + 1}"]) for i in range(200)]
    return model([*nodes, node("Erf", ["t200"], ["y"])])


BOMBS: dict[str, tuple[Callable[[], Any], str]] = {
    "depth": (lambda: nested(5000), "no model of ONNX, or damaged"),
    "shared weights": (shared, "shares its weights with other layers"),
    "wide constants": (wide, "computes with constants alone"),
    "a long chain": (lambda: long("Tanh"), ""),
    "a long chain of numbers": (lambda: long("Add", "half"), ""),
    "a long chain of rows": (lambda: long("Add", "row"), ""),
    "a long chain of Erf": (lambda: long("Erf"), r"\(Erf\) is part of no activation"),
    "doubled paths": (doubled, r"\(Erf\) is part of no activation"),
    "empty nodes": (
        lambda: layer().SerializeToString() + field(7, field(1, b"") * 20_000), "10000 nodes"),
    "empty arrays": (
        lambda: layer().SerializeToString() + field(7, field(5, b"") * 20_000), "10000 nodes"),
    "empty attributes": (
        lambda: layer().SerializeToString() + field(7, field(1, field(5, b"") * 20_000)),
        "must belong to one attribute"),
    "millions of nodes": (
        lambda: layer().SerializeToString() + field(7, field(1, b"") * 2_000_000), "200000 parts"),
    "millions of attributes": (
        lambda: layer().SerializeToString() + field(7, field(1, field(5, b"") * 2_000_000)),
        "200000 parts"),
    "millions of nodes in a subgraph": (
        lambda: field(7, field(1, field(5, field(6, field(1, b"") * 2_000_000)))), "200000 parts"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", BOMBS)
def test_bombs_take_no_memory(case, tmp_path, tally: Counter[str]) -> None:
    make, message = BOMBS[case]
    made = make()
    content = made if isinstance(made, bytes) else made.SerializeToString()
    path = tmp_path / "bomb.onnx"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        if message:
            with pytest.raises(ValueError, match=f"bomb.onnx is not read: .*{message}") as caught:
                from_onnx(path)
            assert len(str(caught.value)) < 1500
        else:
            from_onnx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(content) + 200 * MB
    tally["hostile models"] += 1


def parts_in(message: Any) -> int:
    """The fields of a message and of those below it, as far as they are written with a length."""
    count = 0
    for descriptor, value in message.ListFields():
        repeated = hasattr(value, "__len__") and not isinstance(value, str | bytes)
        if descriptor.type == descriptor.TYPE_MESSAGE:
            for item in value if repeated else [value]:
                count += 1 + parts_in(item)
        elif descriptor.type in (descriptor.TYPE_STRING, descriptor.TYPE_BYTES):
            count += len(value) if repeated else 1
        elif repeated and descriptor.has_options and descriptor.GetOptions().packed:
            count += 1
    return count


def test_what_is_scanned_is_what_the_library_reads(tmp_path) -> None:
    content = variety(tmp_path)[0]
    made = onnx.ModelProto.FromString(content)
    count = parts_in(made)
    with mock.patch.object(contents, "MOST_PARTS", count):
        contents._check_parts(content, onnx.ModelProto.DESCRIPTOR)
    with (
        mock.patch.object(contents, "MOST_PARTS", count - 1),
        pytest.raises(ValueError, match=f"at most {count - 1} parts"),
    ):
        contents._check_parts(content, onnx.ModelProto.DESCRIPTOR)


def test_a_large_net_takes_a_few_times_its_file(tmp_path) -> None:
    path = tmp_path / "large.onnx"
    to_onnx(MLP((500, 500, 10), seed=0), path)
    from_onnx(path)
    tracemalloc.start()
    try:
        from_onnx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * path.stat().st_size


# ---- at random ----------------------------------------------------------------------------------

NUMBERS = [0, 1, -1, 2, 3, 7, 2**31 - 1, -(2**31), 2**40, 2**63 - 1, -(2**63)]
TEXTS = ["", "x", "y", "W", "z", "Gemm", "Relu", "Softmax", "Concat", "Transpose", "Clip", "Where",
         "Dropout", "Loop", "If", "Constant", "../../etc/passwd", "\u0000", "a" * 9999]  # fmt: skip
FLOATS = [0.0, 1.0, -1.0, 0.01, 1e30, 1e-45, float("inf"), float("nan")]


def messages(message: Any) -> list[Any]:
    """A message and all below it."""
    found = [message]
    for descriptor, value in message.ListFields():
        if descriptor.type == descriptor.TYPE_MESSAGE:
            for item in value if hasattr(value, "add") else [value]:
                found.extend(messages(item))
    return found


def value_for(descriptor: Any, draw: np.random.Generator) -> Any:
    kinds = type(descriptor)
    if descriptor.type in (kinds.TYPE_STRING,):
        return TEXTS[draw.integers(len(TEXTS))]
    if descriptor.type == kinds.TYPE_BYTES:
        return draw.bytes(int(draw.integers(40)))
    if descriptor.type in (kinds.TYPE_FLOAT, kinds.TYPE_DOUBLE):
        return FLOATS[draw.integers(len(FLOATS))]
    if descriptor.type == kinds.TYPE_ENUM:
        return int(draw.choice([value.number for value in descriptor.enum_type.values]))
    return NUMBERS[draw.integers(len(NUMBERS))]


def mutate(made: Any, draw: np.random.Generator) -> None:
    """Change one field of one message: set, clear, double, remove or move."""
    all_of_them = messages(made)
    message = all_of_them[draw.integers(len(all_of_them))]
    fields = list(message.DESCRIPTOR.fields)
    present = [descriptor for descriptor, _ in message.ListFields()]
    if present and draw.random() < 0.7:
        fields = present
    if not fields:
        return
    descriptor = fields[draw.integers(len(fields))]
    value = getattr(message, descriptor.name)
    with suppress(ValueError, TypeError):  # a value out of the field's range, text with zeros
        if hasattr(value, "add"):  # messages
            match int(draw.integers(4)):
                case 0 if len(value):
                    del value[int(draw.integers(len(value)))]
                case 1 if len(value):
                    value.add().CopyFrom(value[int(draw.integers(len(value)))])
                case 2 if len(value) > 1:
                    i, j = draw.integers(len(value), size=2)
                    kept = type(value[0])()
                    kept.CopyFrom(value[i])
                    value[i].CopyFrom(value[j])
                    value[j].CopyFrom(kept)
                case _:
                    value.add()
        elif hasattr(value, "append"):  # numbers and names
            if len(value) and draw.random() < 0.7:
                value[int(draw.integers(len(value)))] = value_for(descriptor, draw)
            else:
                value.append(value_for(descriptor, draw))
        elif descriptor.type == descriptor.TYPE_MESSAGE:
            message.ClearField(descriptor.name)
        elif draw.random() < 0.2:
            message.ClearField(descriptor.name)
        else:
            setattr(message, descriptor.name, value_for(descriptor, draw))


def mutated(content: bytes, draw: np.random.Generator) -> bytes:
    """The file with one to three changes of its fields, or of its bytes."""
    if draw.random() < 0.25:
        edited = bytearray(content)
        for at in draw.integers(len(edited), size=int(draw.integers(1, 4))):
            edited[at] = int(draw.integers(256))
        end = int(draw.integers(len(edited) + 1)) if draw.random() < 0.2 else len(edited)
        return bytes(edited[:end])
    made = onnx.ModelProto.FromString(content)
    for _ in range(int(draw.integers(1, 4))):
        mutate(made, draw)
    return made.SerializeToString()


def variety(folder: Path) -> list[bytes]:
    """Files with every kind of part: fastbp's own, and others'."""
    z = graph.variable("z")
    scales = {"input_scaler": (np.array([1.0, 2.0, 3.0]), 2.0)}
    files = []
    for net, options in (
        (MLP((3, 4, 2), activation="gelu", loss="cross_entropy", seed=0), {"class_labels": [3, 4]}),
        (MLP((3, 4, 1), activation="elu", loss="binary_cross_entropy", dtype="float64", seed=0),
         {"class_labels": ["no", "yes"], **scales}),
        (MLP((3, 2, 2), activation=z * graph.tanh(z) + 0.5, bias=False, seed=0),
         {"output_scaler": (1.0, [2.0, 3.0]), **scales}),
    ):  # fmt: skip
        to_onnx(net, folder / "net.onnx", **options)
        files.append((folder / "net.onnx").read_bytes())
    models = Path(__file__).parents[2] / "reference_values" / "onnx_models.json"
    for library in json.loads(models.read_text(encoding="utf-8")).values():
        files += [zlib.decompress(base64.b64decode(one["model"])) for one in library[::3]]
    made = model([
        node("Cast", ["x"], ["a"], to=1), node("Flatten", ["a"], ["b"]),
        node("Dropout", ["b", "half", "flag"], ["c"]), node("Transpose", ["c"], ["d"]),
        node("Gemm", ["d", "WT", "B"], ["e"], alpha=0.5, beta=2.0, transA=1, transB=1),
        node("Reshape", ["e", "rows"], ["f"]), node("Clip", ["f", "zero", "six"], ["g"]),
        node("Gemm", ["g", "V"], ["h"]), node("Greater", ["h", "zero"], ["i"]),
        node("Constant", [], ["k"], value_float=2.0), node("Where", ["i", "h", "k"], ["j"]),
        node("MatMul", ["j", "V"], ["y"]),
    ])  # fmt: skip
    return [*files, made.SerializeToString()]


def test_what_is_changed_at_random_is_a_net_or_refused(tmp_path, tally: Counter[str]) -> None:
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)
    files = variety(tmp_path)
    path = tmp_path / "hostile.onnx"
    read = 0
    for number in range(MUTATIONS):
        draw = np.random.default_rng([seed, number])
        path.write_bytes(mutated(files[number % len(files)], draw))
        try:
            net = from_onnx(path)
        except ValueError as error:
            assert len(str(error)) < 1500, number
        else:  # a harmless change: it computes
            read += 1
            n_in, *_, n_out = net.layer_sizes
            with suppress(graph.GraphError):
                assert net.predict(np.zeros((2, n_in))).shape == (2, n_out)
        tally["hostile models"] += 1
    assert 0.02 * MUTATIONS < read < 0.9 * MUTATIONS


def test_what_is_read_is_what_the_runtime_computes(tmp_path, tally: Counter[str]) -> None:
    """A change may make another model; it must not be taken for what it is not."""
    runtime = pytest.importorskip("onnxruntime", reason="models are computed by ONNX Runtime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)
    files = [content for content in variety(tmp_path) if b"ZipMap" not in content]
    path = tmp_path / "hostile.onnx"
    compared = 0
    for number in range(counts(200, 5000)):
        draw = np.random.default_rng([seed, number])
        made = onnx.ModelProto.FromString(files[number % len(files)])
        for _ in range(int(draw.integers(1, 3))):
            mutate(made, draw)
        path.write_bytes(made.SerializeToString())
        try:
            net = from_onnx(path)
            session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            given = session.get_inputs()[0]
            X = draw.normal(size=(3, net.layer_sizes[0]))
            X = X.astype("float64" if "double" in given.type else "float32")
            shape = [n if isinstance(n, int) else -1 for n in given.shape[1:]]
            outputs = session.run(None, {given.name: X.reshape(3, *shape) if shape else X})
            y = net.predict(X)
        except Exception as error:  # ONNX Runtime has classes of its own
            assert isinstance(error, ValueError) or "onnxruntime" in type(error).__module__
            continue
        wanted = next(output for output in outputs if output.dtype.kind == "f")
        if wanted.shape[1] == 2 and y.shape[1] == 1:  # both probabilities
            wanted = wanted[:, 1:]
        seen = np.isfinite(wanted) & np.isfinite(y)
        error = np.abs(y - wanted)[seen].max(initial=0.0)
        assert error <= 1e-4 * max(1.0, np.abs(y[seen]).max(initial=0.0)), number
        compared += 1
    assert compared > counts(15, 500)
