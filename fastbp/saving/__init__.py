"""Nets in files: what `MLP.save` writes and `fastbp.load` reads."""
