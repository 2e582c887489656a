"""Show your work: every quantity of one backpropagation step for one sample.

===========  ==============================================================
explain      one step of a net, also ``fastbp.explain``
Explanation  what it returns: numbers, text, HTML, LaTeX, a picture
Step         its numbers; LayerStep, Change and Losses are its parts
===========  ==============================================================

The function is reached as ``fastbp.explain``; a module of that name would take its place there.
"""

from fastbp.explanation.explain import Explanation, explain
from fastbp.explanation.quantities import Change, LayerStep, Losses, Step

__all__ = ["Change", "Explanation", "LayerStep", "Losses", "Step", "explain"]
