"""Threshold units and the perceptron learning rule (Rosenblatt, 1958)."""

from fastbp.perceptron.perceptron import Perceptron

__all__ = ["Perceptron"]
