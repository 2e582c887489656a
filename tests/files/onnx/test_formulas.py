"""Every activation in ONNX Runtime, at ordinary net inputs and at extreme ones."""

from __future__ import annotations

import numpy as np
import pytest

from fastbp.files import to_onnx
from fastbp.files.onnx.formulas import FORMULAS, NORMAL_TAIL
from fastbp.kernels.activations import ACTIVATIONS

onnx = pytest.importorskip("onnx", reason="models are written by the onnx library")
pytest.importorskip("onnxruntime", reason="models are computed by ONNX Runtime")

from onnx_errors import GRAPHS, TOLERANCES, net_of, row_of, run  # noqa: E402 (it needs ONNX Runtime)

OPSETS = (13, 20, onnx.defs.onnx_opset_version())


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("activation", [*ACTIVATIONS, *GRAPHS])
def test_the_outputs_are_those_of_predict(activation, dtype, tmp_path) -> None:
    for opset in OPSETS[: 2 if activation == "gelu" else 1]:
        for size, error in row_of(activation, dtype, tmp_path / "net.onnx", opset).errors.items():
            assert error <= TOLERANCES[dtype], (size, opset)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("activation", [*ACTIVATIONS, *GRAPHS])
def test_the_library_accepts_what_is_written(activation, dtype, tmp_path) -> None:
    path = tmp_path / "net.onnx"
    for opset in OPSETS:
        to_onnx(net_of(activation, dtype), path, opset=opset)
        onnx.checker.check_model(path, full_check=True)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "softmax"])
def test_in_float64_no_digits_are_lost_near_0_or_far_from_it(activation, tmp_path) -> None:
    net = net_of(activation, "float64")
    to_onnx(net, tmp_path / "net.onnx")
    sizes = np.concatenate([np.logspace(-30, 0, 61), np.linspace(1.0, 30.0, 59)])
    X = np.concatenate([-sizes, sizes])[:, None]
    y = net.predict(X)
    assert (np.abs(run(tmp_path / "net.onnx", X)[0] - y) <= 1e-12 * np.abs(y)).all()


def test_gelu_is_an_operator_where_there_is_one(tmp_path) -> None:
    for opset, last in ((19, "Mul"), (20, "Gelu")):
        to_onnx(net_of("gelu", "float32"), tmp_path / "net.onnx", opset=opset)
        assert onnx.load(tmp_path / "net.onnx").graph.node[-1].op_type == last


def test_every_activation_has_a_formula() -> None:
    assert FORMULAS.keys() == ACTIVATIONS.keys()


def test_the_tail_is_that_of_the_normal_distribution() -> None:
    a = np.linspace(0.0, 37.0, 50)
    from scipy.special import erfcx

    expected = 0.5 * erfcx(a / np.sqrt(2.0)) * (a + 5.0) / 2.0
    got = np.polyval(NORMAL_TAIL, (a - 5.0) / (a + 5.0))
    assert np.abs(got / expected - 1.0).max() < 1e-15
