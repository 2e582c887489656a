"""Derivatives as PyTorch computes them: numbers that reference_values/torch_derivatives.py made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from derivatives.cases import close

from fastbp import MLP

FOUND = json.loads(
    (Path(__file__).parents[1] / "reference_values" / "torch_derivatives.json").read_text("utf-8")
)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", FOUND["cases"], ids=lambda c: f"{c['activation']} {c['loss']}")
def test_all_derivatives(case, dtype) -> None:
    net = MLP((3, 4, 2), activation=case["activation"], loss=case["loss"], dtype=dtype, seed=0)
    net.params[:] = FOUND["params"]
    X, y = np.array(FOUND["X"]), np.array(case["y"])
    close(net.loss_and_grad(X, y)[1], case["grad"], dtype)
    close(net.input_gradient(X, y), case["input_gradient"], dtype)
    close(net.sample_gradients(X, y)[1], case["gradient_of_row_1"], dtype)
    close(net.hessian_product(X, y, FOUND["v"]), case["hessian_product"], dtype)
    dX, grad = net.vjp(X, FOUND["dY"])
    close(dX, case["vjp_inputs"], dtype)
    close(grad, case["vjp_params"], dtype)
