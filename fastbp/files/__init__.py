"""Formats of files: `idx`, arrays of MNIST; and the exchange with other programs, one a module."""

from fastbp.files.keras import from_keras as from_keras
from fastbp.files.keras import to_keras as to_keras
from fastbp.files.python import to_python as to_python
from fastbp.files.torch import from_torch as from_torch
from fastbp.files.torch import to_torch as to_torch
