"""Computational graphs: expressions with exact derivatives by forward and backward mode.

===================================  ============================================================
variable, variables, vector          named inputs; a Vector is a bundle of expressions
``+ - * / **``, unary ``-``          operators, between expressions and numbers
exp log tanh sigmoid sqrt sin cos    functions of one expression, or of each of a vector
abs relu
max sum dot                          of several expressions, or of vectors
Expression                           what all of these make: value, gradient, jvp, tables, drawings
Table                                each step's value, local and running derivative
GraphError                           a node has no finite value or derivative; it is named
===================================  ============================================================

An expression serves as ``MLP(loss=...)``, of ``y_pred`` and ``y``, and as ``MLP(activation=...)``,
of one variable. `abs`, `max` and `sum` have the names of Python's own: import the module,
``from fastbp import graph``, or these names on purpose.
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
