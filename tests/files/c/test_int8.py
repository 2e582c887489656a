"""Nets in whole numbers: the C gives exactly what NumPy says, and the error that is stated."""

from __future__ import annotations

import numpy as np
import pytest
from c_code import Library, needs_gcc
from helpers import long_uncompiled

from fastbp import MLP
from fastbp.files import to_c
from fastbp.files.c.int8 import class_of, dequantize, int8_net, quantize
from fastbp.files.c.quantization import IntegerLayer, rescaled
from fastbp.files.chain import chain_of, in_dtype

SEED = 17
FLOAT = np.dtype(np.float32)
SCALERS = {"input_scaler": ([1000.0, 0.0, 5.0], [200.0, 1.0, 1e-2])}
NETS = {
    "relu": (MLP((3, 20, 4), loss="cross_entropy", seed=SEED), {"class_labels": list("abcd")}),
    "tables": (
        MLP((3, 9, 8, 7, 2), activation=["tanh", "identity", "gelu"], seed=SEED),
        {"scratch": "caller", "output_scaler": ([1.0, -1.0], 3.0)},
    ),
    "one": (MLP((3, 6, 1), activation="elu", loss="binary_cross_entropy", seed=SEED), {}),
    "line": (MLP((3, 2), bias=False, dtype="float64", seed=SEED), SCALERS),
    "bent": (MLP((3, 5, 2), output_activation="relu", seed=SEED), {"class_labels": [1, 2]}),
    "high": (MLP((3, 5, 1), loss="squared_error", seed=SEED), {"class_labels": [1, 2]}),
}

RESCALE = """
int rescale(int32_t sum, int32_t multiplier, int shift);
int rescale(int32_t sum, int32_t multiplier, int shift)
{
    return (int)relu_rescaled(sum, multiplier, shift, 5, -128, 127);
}
"""


def rows(name: str) -> np.ndarray:
    x = np.random.default_rng(SEED).normal(size=(400, 3))
    if name == "line":
        x = x * SCALERS["input_scaler"][1] + SCALERS["input_scaler"][0]
    return x.astype(np.float32)


def parts(name: str):
    net, options = NETS[name]
    scalers = {key: value for key, value in options.items() if key != "scratch"}
    return int8_net(in_dtype(chain_of(net, **scalers), FLOAT), rows(name)[:200])


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8")
    written = {}
    for name, (net, options) in NETS.items():
        for biases in net.biases:
            biases[...] = np.random.default_rng(SEED).normal(size=biases.shape)
        written[name] = to_c(
            net, folder, name=name, dtype="int8", calibration=rows(name)[:200], **options
        )
    return Library(folder, list(NETS), RESCALE), written


@needs_gcc
@pytest.mark.parametrize("name", NETS)
def test_the_integers_are_those_of_numpy(compiled, name) -> None:
    library, _ = compiled
    chain, net = parts(name)
    x = np.concatenate([rows(name), 100.0 * rows(name), [[1e30, -1e30, 0.0]]]).astype(np.float32)
    q = quantize(chain, net, x)
    assert (library.rows(f"{name}_quantize", x, np.zeros_like(q)) == q).all()
    q = np.concatenate([q, np.random.default_rng(SEED).integers(-128, 128, (500, 3), np.int8)])
    z = net.net_inputs(q)
    got = library.rows(f"{name}_predict_int8", q, np.zeros_like(z))
    assert (got == z).all()
    assert len(np.unique(z)) > 100
    outputs = dequantize(chain, net, z[: len(x)])
    difference = np.abs(library.predict(name, x, z.shape[1]) - outputs).max()
    assert difference <= 1e-6 * np.abs(outputs).max()


@needs_gcc
def test_halves_and_extremes_are_rounded_as_in_numpy(compiled) -> None:
    library, _ = compiled
    most = 2**31 - 1
    sums = np.array([-most, -1001, -7, -3, -2, -1, 0, 1, 2, 3, 7, 1001, most])
    for multiplier, shift in ((2**30, 31), (2**30, 32), (3, 1), (most, 62), (most, 1), (0, 62)):
        layer = IntegerLayer(
            np.zeros((1, 1), np.int8), np.zeros(1, np.int32), np.array([multiplier], np.int32),
            np.array([shift], np.uint8), 5, None,
        )  # fmt: skip
        want = rescaled(sums[:, None], layer, -128, 127)[:, 0].tolist()
        got = [library.functions.rescale(int(s), multiplier, shift) for s in sums]
        assert got == want


@needs_gcc
def test_nan_becomes_a_number(compiled) -> None:
    library, _ = compiled
    x = np.array([[np.nan, np.inf, -np.inf]], np.float32)
    assert library.rows("relu_quantize", x, np.zeros((1, 3), np.int8)).tolist() == [
        [-128, 127, -128]
    ]


@needs_gcc
@pytest.mark.parametrize("name", ["relu", "one", "bent", "high"])
def test_classes(compiled, name) -> None:
    library, _ = compiled
    chain, net = parts(name)
    x = rows(name)
    want = class_of(chain, dequantize(chain, net, net.net_inputs(quantize(chain, net, x))))
    assert library.classes(name, x) == want.tolist()
    assert len(set(want)) > 1
    assert hasattr(library.functions, f"{name}_class_int8") == (name != "bent")


@needs_gcc
@pytest.mark.parametrize("name", NETS)
def test_the_stated_error_is_that_of_the_c(compiled, name) -> None:
    library, written = compiled
    net, options = NETS[name]
    x = rows(name)[:200]
    means, scales = options.get("input_scaler", (0.0, 1.0))
    want = net.predict((x.astype(np.float64) - means) / scales)
    mean, scale = options.get("output_scaler", (0.0, 1.0))
    want = want.astype(np.float64) * scale + mean
    difference = library.predict(name, x, want.shape[1]) - want
    error = written[name].error
    most = np.abs(want).max()
    assert error.largest == pytest.approx(np.abs(difference).max() / most, rel=1e-3)
    assert error.rms == pytest.approx(np.sqrt(np.square(difference).mean()) / most, rel=1e-3)
    assert error.largest < 0.06
    assert error.rms < 0.02
    assert error.rows == 200
    header = " ".join(written[name].header.read_text().replace(" * ", "").split())
    assert str(error) in header
    if error.agreement is None:
        assert name in ("tables", "line")
    else:
        assert error.agreement > 0.97
        assert f"{error.agreement:.2%} of the classes agree" in header


def test_bytes_are_those_of_the_arrays(tmp_path) -> None:
    net = MLP((3, 20, 10, 4), activation=["relu", "tanh"], seed=SEED)
    written = to_c(net, tmp_path, dtype="int8", calibration=rows("relu"))
    assert written.flash == 3 * 20 + 20 * 10 + 10 * 4 + 9 * (20 + 10 + 4) + 256
    assert written.ram == 20 + 10 + 3 + 2 * 4
    source = written.source.read_text()
    assert "float" not in source[: source.index("net_rounded")].replace("float inputs", "")
    assert "double" not in source


@long_uncompiled
def test_digits_are_within_a_point(tmp_path) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order] / 16, y[order]
    net = MLP((64, 100, 10), loss="cross_entropy", seed=0)
    net.fit(x[:1300], y[:1300], epochs=20)
    written = to_c(net, tmp_path, dtype="int8", calibration=x[:1300])
    assert written.error.agreement > 0.995
    assert written.error.rms < 0.002
    assert written.flash == 6400 + 1000 + 9 * 110
    chain, integers = int8_net(chain_of(net), x[:1300].astype(np.float32))
    held_out = x[1300:].astype(np.float32)
    z = integers.net_inputs(quantize(chain, integers, held_out))
    accuracy = (z.argmax(axis=1) == y[1300:]).mean()
    assert (net.predict(held_out).argmax(axis=1) == y[1300:]).mean() > 0.95
    assert abs(accuracy - (net.predict(held_out).argmax(axis=1) == y[1300:]).mean()) < 0.01
