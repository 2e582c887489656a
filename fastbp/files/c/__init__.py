"""Nets in C99: `to_c` of writing.py puts together what the other files write.

=============  ==================================================================
text           names, numbers and templates in C
activations    activations as functions of C
graphs         graphs as functions of C
parts          the parts of the header and of the source, the layers
losses         a loss and its derivative
training       a step of training
floats         nets in float and double
quantization   nets in whole numbers of 8 bits, as NumPy computes them
int8           the same in C
writing        `to_c`: the two files
=============  ==================================================================
"""
