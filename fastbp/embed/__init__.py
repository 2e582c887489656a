"""Nets in other people's compiled code.

===========  ====================================================================
compiled     `Compiled`, what ``net.compiled()`` returns: its methods in Python
lookup       `compiled_from`: a net by its address, in callbacks from C
handle       the row of integers by which compiled code finds a net
elementwise  activations for code that is written out for a net's sizes
kernels      the methods in compiled code, by addresses
methods      the same methods as Numba sees them: what they take, and what not
types        the Numba type of a net
refusals     what a net cannot do in compiled code
words        what the methods say of their arguments
===========  ====================================================================
"""
