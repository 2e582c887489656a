"""Nets as models of ONNX, and back.

==========  ==============================================================================
exchange    `to_onnx` and `from_onnx`
library     where the onnx library comes from
formulas    activations in the operators of ONNX
writing     a chain of layers as a model
contents    what is in a file: nodes and arrays, with nothing believed
operators   what is read between two layers, as arithmetic and as graphs of fastbp
terms       which activation that is, and what only scales
reading     a model as a chain of layers
==========  ==============================================================================
"""

from fastbp.files.onnx.exchange import from_onnx, to_onnx

__all__ = ["from_onnx", "to_onnx"]
