"""Nets in other people's compiled code.

===========  =====================================================================
compiled     `Compiled`, what ``net.compiled()`` returns, and its methods in Python
handle       the row of integers that compiled code finds a net by
kernels      the methods in compiled code, by addresses
methods      the same methods as Numba sees them: what they take, and what not
===========  =====================================================================
"""
