"""Pictures of networks and of their training, with matplotlib: ``pip install 'fastbp[plot]'``."""

from fastbp.plot.network import network

__all__ = ["network"]
