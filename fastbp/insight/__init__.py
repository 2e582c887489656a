"""Look into a net and its training.

==========  ======================================================================
diagnose    what is wrong with a net: measured, named, with a line of advice each
symptoms    the faults that it looks for
findings    what it returns
explain     every quantity of one backpropagation step for one sample
quantities  those quantities; tables and markup show them
range_test  the learning rate, from a short run on a copy of the net
==========  ======================================================================

The functions are reached as ``fastbp.diagnose``, ``fastbp.explain`` and ``fastbp.lr_find``.
"""
