"""Formats of files: `idx`, arrays of MNIST; and the exchange with other programs, one a module.

====  ===========================================================================
to_c  a net in C99 for microcontrollers: float, double, int8, and steps of training
====  ===========================================================================
"""

# The redundant `as` says, to type checkers too, that a name is imported for others to use.
from fastbp.files.c import to_c as to_c
