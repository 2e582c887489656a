"""Formats of files: `idx`, arrays of MNIST; and the exchange with other programs, one a module."""

from fastbp.files.python import to_python as to_python
from fastbp.files.torch import from_torch as from_torch
from fastbp.files.torch import to_torch as to_torch
