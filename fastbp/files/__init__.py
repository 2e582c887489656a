"""Formats of files, and the exchange with other programs: one a module.

======================  ============================================================
to_c                    C99 for microcontrollers: float, double, int8, and steps of training
to_python               a file of Python that needs NumPy alone
to_onnx, from_onnx      models of ONNX
to_torch, from_torch    modules and state dicts of PyTorch
to_keras, from_keras    models of Keras 3
======================  ============================================================

`fastbp.files.idx` has arrays in the format of MNIST.
"""

# The redundant `as` says, to type checkers too, that a name is imported for others to use.
from fastbp.files.c.writing import to_c as to_c
from fastbp.files.keras import from_keras as from_keras
from fastbp.files.keras import to_keras as to_keras
from fastbp.files.onnx.exchange import from_onnx as from_onnx
from fastbp.files.onnx.exchange import to_onnx as to_onnx
from fastbp.files.python import to_python as to_python
from fastbp.files.torch import from_torch as from_torch
from fastbp.files.torch import to_torch as to_torch
