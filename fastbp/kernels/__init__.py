"""Compiled kernels: what a network computes, in reading order.

Explicit loops over flat buffers, which allocate nothing and check nothing. They take outputs
first, then inputs, then sizes; a file imports only from those above it.

==============  ==========================================================================
layout          where the parameters stand: the table of layers
workspace       where a pass stands, and the method that computes a layer's weight gradient
state           Network, Layer, Data, Gradient, OptimizerState: the handles and their accessors
addresses       the handles from one row of integers: what a call works on
table           the row itself, written in Python
finite          NaN and infinity in flat arrays
elementary      exp, log, tanh and the normal tail, of vectors
scalars         the same of single numbers, for functions of users
elementwise     functions of users as loops that are called by address
matmul          the three products of a dense layer, by register tiles
transposes      copies, transposes and packing: how the operands of a product are laid out
activations     y and dy/dz of each activation
losses          each loss and its delta; the average over the rows
sampling        random streams: orders of rows, dropout
dense           a layer: its outputs, and the delta of the layer below
optimizers      the steps of SGD, Adam ... Lion
regularization  penalties, clipping and norms
updates         which optimiser updates which parameters, at which rate
gradient        a layer: dW and db, by four methods, each followed by the update
sparse          the first layer on sparse rows: Z and dW from their entries
batches         rows of the data into the workspace
backprop        FORWARD, DELTA, BACKWARD: one screen
evaluation      loss, gradient and predictions of many rows
training        the epoch loop
in_python       the same in pieces, for losses and activations in Python
derivatives     by parameters and by inputs, of many rows
curvature       the Hessian of the loss times a vector
entry           what Python calls
columns         a pass for some columns of it: the first half of a step of several threads
blocks          the gradient and update of blocks of units: the second half
team            how threads wait for each other and share work
threads         training by several threads; on demand
jacobian        derivatives of the outputs, and J^T J; on demand
==============  ==========================================================================

backprop, dense and updates say what is computed; fastbp/plain.py says the same in a page of
plain loops. The rest says how it is made fast, and matmul most of all. Its ladder, from three
loops to most of the processor's peak:

===============  ===========================================================================
dense_forward    three loops (fastbp/plain.py); each value is loaded for each product
multiply_row     a row of sums: one row of A times a vector of columns, in four sums
multiply_tiles   a tile: rows and vectors of sums in registers, each load serves several
multiply_rows    tiles of the right shapes for a block of rows, and for what is left of it
dense, gradient  groups of columns that stay in the second cache; operands packed in panels
===============  ===========================================================================
"""
