"""Formats of files: `idx`, arrays of MNIST; and the exchange with other programs, one a module."""

from fastbp.files.onnx import from_onnx, to_onnx

__all__ = ["from_onnx", "to_onnx"]
