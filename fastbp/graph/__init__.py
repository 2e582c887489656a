"""Computational graphs: expressions with exact derivatives by forward and backward mode.

===================================  ============================================================
variable, variables, vector          named inputs; a Vector is a sequence of expressions
``+ - * / **``, unary ``-``          operators, between expressions and numbers
exp log tanh sigmoid sqrt sin cos    functions of one expression, or of each item of a vector
abs relu
max sum dot                          functions of several expressions, or of vectors
Expression                           the result of all these: value, gradient, jvp, tables, drawings
Table                                the value and the derivatives of each step
GraphError                           names the node that has no finite value or derivative
===================================  ============================================================

An expression of ``y_pred`` and ``y`` serves as ``MLP(loss=...)``, an expression of one variable as
``MLP(activation=...)``; both are compiled into the net, unless `y_pred` is a vector. `abs`, `max`
and `sum` hide Python's own functions when they are imported by name; ``from fastbp import graph``
avoids that.
"""

from fastbp.graph.evaluation import GraphError
from fastbp.graph.expression import Expression
from fastbp.graph.functions import (
    Vector,
    abs,
    cos,
    dot,
    exp,
    log,
    max,
    relu,
    sigmoid,
    sin,
    sqrt,
    sum,
    tanh,
    variable,
    variables,
    vector,
)
from fastbp.graph.table import Row, Table

__all__ = [
    "Expression",
    "GraphError",
    "Row",
    "Table",
    "Vector",
    "abs",
    "cos",
    "dot",
    "exp",
    "log",
    "max",
    "relu",
    "sigmoid",
    "sin",
    "sqrt",
    "sum",
    "tanh",
    "variable",
    "variables",
    "vector",
]
