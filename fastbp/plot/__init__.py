"""Pictures of networks and of their training, with matplotlib: ``pip install matplotlib``.

=======================  ==========================================================================
loss_curves              losses of training and validation, of one or several histories
decision_boundary        the regions of the classes of a classifier of two inputs
LearningAnimation        a callback: an animation of the boundary, the hidden units and the loss
loss_surface             the loss on a plane through the parameters, with the path of training
Recorder                 a callback: the parameters after some of the epochs, for that path
activation_histograms    the outputs of each layer
gradient_histograms      the partial derivatives with respect to the weights of each layer
network                  the net as a diagram: units, and lines for the weights
axes                     new axes, or those that are given
=======================  ==========================================================================

Each function draws on the axes that it is given, or makes a figure, and returns the axes. In a
notebook, end the last line of a cell with ``;`` to see the picture without ``<Axes: ...>``.
Without matplotlib a function raises an ImportError that names the command above; for an `ax` that
cannot be drawn on, a TypeError. matplotlib is only imported when something is drawn.
"""

from fastbp.axes import axes
from fastbp.plot.animation import LearningAnimation
from fastbp.plot.boundary import decision_boundary
from fastbp.plot.curves import loss_curves
from fastbp.plot.histograms import activation_histograms, gradient_histograms
from fastbp.plot.network import network
from fastbp.plot.recording import Recorder
from fastbp.plot.surface import loss_surface

__all__ = [
    "LearningAnimation",
    "Recorder",
    "activation_histograms",
    "axes",
    "decision_boundary",
    "gradient_histograms",
    "loss_curves",
    "loss_surface",
    "network",
]
