"""Look into a net and its training.

==========  ======================================================================
diagnose    what is wrong with a net, each fault with what was measured and what to do
symptoms    the rules by which `diagnose` finds a fault
findings    what `diagnose` returns
explain     every quantity of one backpropagation step on one sample
quantities  how `explain` computes them
tables      the quantities as text
markup      the quantities as HTML and LaTeX
range_test  the learning-rate range test, on a copy of the net
==========  ======================================================================

The functions are called as ``fastbp.diagnose``, ``fastbp.explain`` and
``fastbp.find_learning_rate``.
"""
