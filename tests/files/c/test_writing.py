"""Nets in C, compiled and run: outputs, bits, classes, scaling; text, names, refused input."""

from __future__ import annotations

import ctypes
import os
import subprocess

import numpy as np
import pytest
from c_code import WARNINGS, Library, compiles, needs_cplusplus, needs_gcc, unit
from helpers import DTYPES, counts

from fastbp import MLP, CallableLoss, graph
from fastbp.files import to_c
from fastbp.kernels.activations import ACTIVATIONS

SEED = 17
z = graph.variable("z")
GRAPHS = {
    "logistic": graph.exp(z) / (1 + graph.exp(z)),
    "swish": z * graph.sigmoid(1.702 * z),
    "corners": graph.max(z, 0.1 * z, -0.3 - 0.5 * z) + graph.relu(-z),
    "waves": graph.sin(z) ** 2 + graph.sqrt(graph.abs(z)) - graph.cos(z * 0.5),
    "products": graph.dot([z, 2, z], [z, z, -1.5]) + graph.sum([z, z, 1]),
    "powers": graph.log(1 + graph.exp(-graph.abs(z))) ** 1.5 / 2 ** -graph.tanh(z) - (-z),
}
PROMISED = {"float32": 1e-6, "float64": 1e-12}
REACHED = {"float32": 5e-7, "float64": 2e-15}
LAYERED = {
    "wide": ((64, 100, 10), "relu"),
    "deep": ((17, 9, 23, 6, 4), ["tanh", "gelu", "silu"]),
    "line": ((3, 2), ()),
    "narrow": ((1, 7, 2), "elu"),
}
"""Nets of several layers: sizes and activations."""
EXACT = ("identity", "relu", "leaky_relu", "hard_sigmoid")
"""Activations that are the same to the bit."""


def identity_net(n: int, activation, dtype: str) -> MLP:
    """A net whose inputs are the net inputs of its activation."""
    output = None if activation == "identity" else activation
    net = MLP((n, n), output_activation=output, dtype=dtype, seed=SEED)
    net.weights[0][...] = np.eye(n)
    return net


def layered(name: str, dtype: str, **options) -> MLP:
    sizes, activation = LAYERED[name]
    net = MLP(sizes, activation=activation, dtype=dtype, seed=SEED, **options)
    fill_biases(net)
    return net


def fill_biases(net: MLP) -> None:
    generator = np.random.default_rng(SEED)
    for biases in net.biases:
        biases[...] = generator.normal(size=biases.shape)


def nets() -> dict[str, tuple[MLP, dict]]:
    """All nets of this file with the options of their export."""
    made = {}
    for dtype in DTYPES:
        for activation in ACTIVATIONS:
            made[f"a_{activation}_{dtype}"] = identity_net(8, activation, dtype), {}
        for name, expression in GRAPHS.items():
            made[f"g_{name}_{dtype}"] = identity_net(8, expression, dtype), {}
        for name in LAYERED:
            made[f"l_{name}_{dtype}"] = layered(name, dtype), {}
        for activation in EXACT:
            net = MLP((17, 9, 23, 6), activation=activation, dtype=dtype, seed=SEED)
            fill_biases(net)
            made[f"e_{activation}_{dtype}"] = net, {"fma": True}
        made[f"without_{dtype}"] = layered("wide", dtype, bias=False), {"scratch": "caller"}
    return made


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> tuple[Library, dict[str, MLP]]:
    folder = tmp_path_factory.mktemp("c")
    made = nets()
    for name, (net, options) in made.items():
        to_c(net, folder, name=name, **options)
    scaled_nets(folder)
    return Library(folder, [*made, *SCALED]), {name: net for name, (net, _) in made.items()}


def points(dtype: str) -> np.ndarray:
    """Net inputs from 0 to where everything has long saturated, in rows of 8."""
    extreme = [0, 1e-30, 3, 9.02, 13.2, 20, 80, 87.4, 88, 89, 90, 98, 100, 1e4, 1e30]
    more = counts(400, 20_000)
    parts = [
        [*extreme, *(-x for x in extreme), 0.0, -0.0],
        np.linspace(-12, 12, 8 * more),
        np.linspace(-110, 110, 8 * more),
    ]
    if dtype == "float64":
        parts += [np.linspace(-760, 760, 8 * more), [37.64, 709, 720, 1e300] * 2]
    return np.concatenate(parts).astype(dtype).reshape(-1, 8)


def relative(got: np.ndarray, want: np.ndarray) -> float:
    """The largest difference of an output, as its share; but for what is no normal number."""
    assert np.isfinite(got).all() and np.isfinite(want).all()
    tiny = np.finfo(want.dtype).tiny
    difference = np.abs(got.astype(np.float64) - want)
    return float(np.max((difference - 2.0 * tiny) / np.maximum(np.abs(want), tiny)))


@needs_gcc
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation_everywhere(compiled, activation, dtype) -> None:
    library, made = compiled
    name = f"a_{activation}_{dtype}"
    x = points(dtype)
    want = made[name].predict(x)
    got = library.predict(name, x, 8)
    if activation == "softmax":
        error = np.abs(got - want).max()
    else:
        error = relative(got, want)
    assert error <= REACHED[dtype] < PROMISED[dtype]
    if activation in (*EXACT, "step"):
        assert (got == want).all()


@needs_gcc
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("graph_name", GRAPHS)
def test_each_graph(compiled, graph_name, dtype) -> None:
    library, made = compiled
    name = f"g_{graph_name}_{dtype}"
    x = points("float32").astype(dtype)
    x = x[np.abs(x).max(axis=1) <= 110]
    assert relative(library.predict(name, x, 8), made[name].predict(x)) < PROMISED[dtype] / 10


@needs_gcc
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*(f"l_{name}" for name in LAYERED), "without"])
def test_nets_of_several_layers(compiled, name, dtype) -> None:
    library, made = compiled
    net = made[f"{name}_{dtype}"]
    x = np.random.default_rng(SEED).normal(size=(300, net.layer_sizes[0])).astype(dtype)
    want = net.predict(x)
    got = library.predict(f"{name}_{dtype}", x, want.shape[1])
    assert np.abs(got - want).max() <= PROMISED[dtype] / 2 * np.abs(want).max()


@needs_gcc
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", EXACT)
def test_with_fma_the_sums_are_those_of_batches_to_the_bit(compiled, activation, dtype) -> None:
    library, made = compiled
    x = np.random.default_rng(SEED).normal(size=(512, 17)).astype(dtype)
    name = f"e_{activation}_{dtype}"
    assert (library.predict(name, x, 6) == made[name].predict(x)).all()


# ---- scaling and classes ------------------------------------------------------------------------

SCALED = ("weather", "flowers", "two", "sign", "far")
MEANS = np.array([101_325.4567, 15.0, 1e-3])  # the first loses 4e-3 in float
SCALES = np.array([500.0, 8.0, 2e-4])


def scaled_nets(folder) -> None:
    weather = MLP((3, 8, 2), activation="tanh", seed=SEED)
    scalers = {"input_scaler": (MEANS, SCALES), "output_scaler": ([20.0, -3.0], 5.0)}
    to_c(weather, folder, name="weather", **scalers)
    flowers = MLP((3, 8, 3), loss="cross_entropy", seed=SEED)
    to_c(flowers, folder, name="flowers", class_labels=["iris", 'r"o\\se??/', "REAL NAME_ä"])
    two = MLP((3, 4, 1), loss="binary_cross_entropy", dtype="float64", seed=SEED)
    to_c(two, folder, name="two", dtype="float", class_labels=[-1, 2**40])
    to_c(MLP((3, 1), loss="hinge", seed=SEED), folder, name="sign", class_labels=[-1, 1])
    far = MLP((3, 4, 1), bias=False, seed=SEED)
    to_c(far, folder, name="far", input_scaler=(MEANS, SCALES))


def weather_rows() -> np.ndarray:
    x = MEANS + SCALES * np.random.default_rng(SEED).normal(size=(200, 3))
    return x.astype(np.float32)


@needs_gcc
def test_scaling_is_exact_where_means_are_large(compiled) -> None:
    library, _ = compiled
    x = weather_rows()
    net = MLP((3, 8, 2), activation="tanh", seed=SEED)
    want = net.predict((x.astype(np.float64) - MEANS) / SCALES) * 5.0 + [20.0, -3.0]
    got = library.predict("weather", x, 2)
    assert np.abs(got - want).max() < 5e-7 * np.abs(want).max()
    bare = MLP((3, 4, 1), bias=False, seed=SEED).predict((x.astype(np.float64) - MEANS) / SCALES)
    assert np.abs(library.predict("far", x, 1) - bare).max() < 1e-6 * np.abs(bare).max()


@needs_gcc
def test_classes_and_labels(compiled) -> None:
    library, _ = compiled
    x = np.random.default_rng(SEED).normal(size=(200, 3)).astype(np.float32)
    want = MLP((3, 8, 3), loss="cross_entropy", seed=SEED).predict(x).argmax(axis=1)
    assert library.classes("flowers", x) == want.tolist()
    labels = (ctypes.c_char_p * 3).in_dll(library.functions, "flowers_labels")
    assert [label.decode() for label in labels] == ["iris", 'r"o\\se??/', "REAL NAME_ä"]
    two = MLP((3, 4, 1), loss="binary_cross_entropy", dtype="float64", seed=SEED).predict(x)
    assert library.classes("two", x) == (two[:, 0] > 0.5).astype(int).tolist()
    assert 0 < two.round().mean() < 1
    assert list((ctypes.c_longlong * 2).in_dll(library.functions, "two_labels")) == [-1, 2**40]
    sign = MLP((3, 1), loss="hinge", seed=SEED).predict(x)[:, 0]
    assert library.classes("sign", x) == (sign > 0).astype(int).tolist()
    assert list((ctypes.c_long * 2).in_dll(library.functions, "sign_labels")) == [-1, 1]


@needs_gcc
def test_classifiers_of_sklearn(tmp_path) -> None:
    pytest.importorskip("sklearn")
    from fastbp.sklearn import MLPClassifier

    generator = np.random.default_rng(SEED)
    x = generator.normal(size=(150, 4))
    y = np.array(["low", "high", "mid"])[np.digitize(x[:, 0], [-0.5, 0.5])]
    classifier = MLPClassifier((8,), random_state=0).partial_fit(x, y, classes=np.unique(y))
    to_c(classifier, tmp_path, name="levels", dtype="float64")
    library = Library(tmp_path, ["levels"], optimize="-O0")
    assert library.classes("levels", x) == classifier.predict_proba(x).argmax(axis=1).tolist()
    labels = (ctypes.c_char_p * 3).in_dll(library.functions, "levels_labels")
    assert [label.decode() for label in labels] == classifier.classes_.tolist()


# ---- the text -----------------------------------------------------------------------------------


@needs_gcc
@needs_cplusplus
def test_it_is_c_plus_plus_too(tmp_path) -> None:
    net = MLP((3, 8, 4, 2), activation=["gelu", z * 1.5], loss="cross_entropy", seed=SEED)
    to_c(net, tmp_path, name="first", class_labels=["no", "yes"])
    to_c(net, tmp_path, name="second", dtype="int8", calibration=weather_rows() / MEANS)
    source = unit(tmp_path, ["first", "second"])
    compiles(source, "g++", *WARNINGS, "-x", "c++", "-fsyntax-only")


@needs_gcc
def test_the_example_of_the_header_runs(tmp_path) -> None:
    net = MLP((3, 700, 2), seed=SEED)
    fill_biases(net)
    written = to_c(net, tmp_path, name="big")
    text = written.header.read_text()
    example = [line.removeprefix(" *     ") for line in text.splitlines() if " *     " in line]
    assert "float scratch[BIG_SCRATCH];" in example  # 2800 bytes
    assert (written.flash, written.ram) == (4 * net.params.size, 2800)
    main = "\n".join(
        ['#include "big.h"', "#include <stdio.h>", "int main(void) {", *example,
         r'printf("%.9g %.9g\n", (double)y[0], (double)y[1]);', "return 0; }"]
    )  # fmt: skip
    (tmp_path / "main.c").write_text(main)
    command = ["gcc", "-std=c99", "main.c", "big.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    out = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout
    want = net.predict(np.zeros((1, 3)))[0]
    np.testing.assert_allclose([float(x) for x in out.split()], want, rtol=1e-6)


def test_the_text_is_the_same_each_time_and_says_what_it_is(tmp_path) -> None:
    net = layered("deep", "float32")
    texts = []
    for folder in ("one", "two/three"):
        written = to_c(net, tmp_path / folder, name="net")
        texts.append((written.header.read_bytes(), written.source.read_bytes()))
    assert texts[0] == texts[1]
    header, source = (text.decode() for text in texts[0])
    for expected in ("layer 1: 9 -> 23, gelu", "float x[NET_INPUTS]", "NET_OUTPUTS 4"):
        assert expected in header
    assert f"{4 * net.params.size} bytes" in header
    assert max(len(line) for line in source.splitlines()) <= 110
    assert "double" not in source and "malloc" not in source


def test_math_is_included_where_it_is_needed(tmp_path) -> None:
    plain = to_c(MLP((2, 3, 1), seed=0), tmp_path, name="plain")
    assert "#include <" not in plain.source.read_text() + plain.header.read_text()
    curved = to_c(MLP((2, 3, 1), activation="tanh", seed=0), tmp_path, name="curved")
    assert "#include <math.h>" in curved.source.read_text()


def test_an_older_file_is_replaced_and_others_stay(tmp_path) -> None:
    (tmp_path / "net.c").write_text("old")
    (tmp_path / "main.c").write_text("mine")
    to_c(MLP((2, 1), seed=0), tmp_path)
    assert "net_predict" in (tmp_path / "net.c").read_text()
    assert sorted(os.listdir(tmp_path)) == ["main.c", "net.c", "net.h"]


# ---- refused input ------------------------------------------------------------------------------

REFUSED = {
    "name": [
        ({"name": "my-net"}, "identifier of C"),
        ({"name": "1net"}, "identifier of C"),
        ({"name": "a__b"}, "single underscores"),
        ({"name": "_net"}, "identifier of C"),
        ({"name": "../net"}, "identifier of C"),
        ({"name": "nét"}, "identifier of C"),
        ({"name": "x" * 41}, "at most 40"),
        ({"name": "float"}, "keyword of C or C.*float_net"),
        ({"name": "class"}, "keyword"),
        ({"name": "math"}, "takes for a file of its own"),
        ({"name": "CON"}, "takes for a file of its own"),
        ({"name": None}, "got None"),
    ],
    "others": [
        ({"dtype": "float16"}, "dtype must be"),
        ({"dtype": "int16"}, "dtype must be"),
        ({"dtype": np.int32}, "dtype must be"),
        ({"scratch": "heap"}, "scratch must be"),
        ({"fma": 1}, "fma must be True or False"),
        ({"training": "yes"}, "training must be True or False"),
        ({"calibration": np.ones((3, 2))}, "for dtype='int8' alone"),
        ({"dtype": "int8"}, "needs calibration=X"),
        ({"dtype": "int8", "calibration": np.ones((3, 5))}, "calibration must have shape"),
        ({"dtype": "int8", "calibration": [[1.0, np.nan]]}, "calibration holds nan"),
        ({"dtype": "int8", "calibration": np.ones((3, 2)), "fma": True}, "fma=True is for floats"),
        ({"class_labels": ["a", "b\0"]}, "zero bytes"),
        ({"class_labels": [0, 2**64]}, "64 bits"),
        ({"class_labels": ["a", "ä" * 2048]}, "at most 4095 bytes"),
        ({"input_scaler": (0.0, 1e-50)}, "input_scaler must have means, scales"),
        ({"input_scaler": (1e300, 1e300)}, "input_scaler must have means, scales"),
        ({"output_scaler": (0.0, 1e39)}, "output_scaler must have means, scales"),
    ],
}


@pytest.mark.parametrize(
    ("options", "message"), [case for part in REFUSED.values() for case in part]
)
def test_what_is_refused_writes_nothing(options, message, tmp_path) -> None:
    net = MLP((2, 1), seed=0)
    with pytest.raises((TypeError, ValueError), match=message):
        to_c(net, tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_other_nets_are_refused(tmp_path) -> None:
    own = MLP((2, 3, 1), activation=lambda z: (z, np.ones_like(z)))
    with pytest.raises(ValueError, match="function in Python"):
        to_c(own, tmp_path)
    with pytest.raises(TypeError, match="net must be an MLP"):
        to_c("net.safetensors", tmp_path)
    loss = CallableLoss(lambda p, y: (float(((p - y) ** 2).mean()), 2 * (p - y) / p.size))
    to_c(MLP((2, 1), loss=loss), tmp_path)  # prediction needs no loss
    net = MLP((2, 1), dtype="float64")
    net.weights[0][...] = 1e300
    with pytest.raises(ValueError, match="float32"):
        to_c(net, tmp_path / "new", dtype="float32")
    assert sorted(os.listdir(tmp_path)) == ["net.c", "net.h"]


def test_a_folder_that_is_a_file_and_a_file_that_is_a_folder(tmp_path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError):
        to_c(MLP((2, 1)), tmp_path / "file")
    (tmp_path / "net.c").mkdir()
    with pytest.raises(OSError, match="is a folder"):
        to_c(MLP((2, 1)), tmp_path)
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "net.h").exists()
