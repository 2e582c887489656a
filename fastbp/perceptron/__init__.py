"""Threshold units and the perceptron learning rule (Rosenblatt, 1958).

==========  ==================================================================
perceptron  `Perceptron`, reached as ``fastbp.Perceptron``
kernels     the learning rule, row by row
plane       the loops of ``fastbp.sklearn.Perceptron``: one plane with penalties
==========  ==================================================================
"""

from fastbp.perceptron.perceptron import Perceptron

__all__ = ["Perceptron"]
