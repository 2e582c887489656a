"""`to_python`: a net as a file of Python that needs NumPy alone."""

from __future__ import annotations

import base64
import inspect
import os
import textwrap
from collections import Counter
from collections.abc import Iterable
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import whole_files
from fastbp.files import in_numpy
from fastbp.files.chain import Chain, chain_of
from fastbp.graph.in_nets import GraphActivation
from fastbp.graph.text import INFIX, Formula, atom, formula
from fastbp.saving.recipe import nodes_of

MOST_DIGITS = 20_000
"""Most weights that are written out: 45 ms of an import. Python takes 0.5 s to read 200,000, in a
text twice as long as base64, and nobody else reads so many."""
WIDTH = 88
"""Longest line, that of ruff and black by default."""
LONGEST_FORMULA = 28
"""Longest part of a graph in a line, in characters, so that two fit; a longer one is a step."""


NUMPYS_OWN = {"identity": "", "tanh": "np.tanh"}
"""What calls an activation that needs no function in the file."""
MANY = {"sum": "add", "max": "np.maximum"}
"""Operations with any number of arguments, as those of two."""

PREDICT = '''
def predict(X: npt.ArrayLike) -> Array:
    """Outputs.

    Parameters
    ----------
    X : array-like, shape (rows, {n_in})
        Finite numbers.

    Returns
    -------
    array of {output}, shape (rows, {n_out})
    """
    x: Array = np.asarray(X)
    if x.ndim != 2 or x.shape[1] != {n_in}:
        raise ValueError(f"X must have shape (rows, {n_in}); got shape {{x.shape}}")
    with np.errstate(all="ignore"):  # what overflows is infinite, as in fastbp
{lines}    return y
'''
CLASSIFY = '''
def classify(X: npt.ArrayLike) -> Array:
    """Labels of the classes, one for each row; X as in `predict`."""
    y = predict(X)
    labels: Array = LABELS[{chosen}]
    return labels
'''
DECODED = '''
def decoded(text: str, *shape: int) -> Array:
    """Numbers in base64: little-endian {dtype}, row by row."""
    return np.frombuffer(base64.b64decode(text), "<f{size}").astype(DTYPE).reshape(shape)
'''
PROGRAM = '''
def main() -> None:
    """Print {printed} for lines of numbers on the standard input."""
    try:
        rows = np.loadtxt(sys.stdin, delimiter=",", ndmin=2)
        {action}
    except ValueError as error:
        sys.exit(f"{{error}}\\nWanted: lines of {n_in} comma-separated numbers, no header")


if __name__ == "__main__":
    main()
'''


def to_python(
    net: Any,
    path: str | os.PathLike[str],
    *,
    input_scaler: Any = None,
    output_scaler: Any = None,
    class_labels: Any = None,
    dtype: npt.DTypeLike | None = None,
) -> None:
    """Write a net as a file of Python that needs NumPy alone.

    The file has ``predict(X)``, whose outputs are those of ``net.predict`` but for rounding, and,
    where classes have labels, ``classify(X)``. Only what this net computes is in it, as plain
    functions of a line or two. It is also a program: ``python net.py < rows.csv`` prints the
    outputs, or the labels, of rows of comma-separated numbers.

    Parameters
    ----------
    net : MLP, or a fitted MLPClassifier or MLPRegressor of fastbp.sklearn or scikit-learn
        Activations may be names or graphs (`fastbp.graph`). A classifier brings its labels along.
    path : str or path
        Ending in .py by custom. A file that is there is replaced as a whole.
    input_scaler, output_scaler : (mean, scale), or a scaler of scikit-learn, optional
        What the inputs were scaled by in front of the net, and the targets. ``predict`` then takes
        inputs as they were before, or returns outputs in the units of the targets, in float64.
    class_labels : sequence of int or of str, optional
        One for each output, or two where there is one output.
    dtype : {"float32", "float64"}, optional
        In which the file computes; the net's own by default.

    Raises
    ------
    ValueError, TypeError
        For another net, functions in Python as activations, and what does not fit the net. Nothing
        is written.
    OSError
        Whatever the system says; the old file is as it was.

    Notes
    -----
    Weights are written as the shortest decimal numbers that are read back to the bit, those of a
    net with more than 20,000 as base64. ``predict`` refuses the inputs that ``net.predict``
    refuses. Where a graph has no finite value, `fastbp` raises a GraphError and the file returns
    NaN or infinity. The same net gives the same text, byte by byte.

    Examples
    --------
    >>> from fastbp import MLP
    >>> from fastbp.files import to_python
    >>> net = MLP((4, 8, 3), activation="tanh", loss="cross_entropy", seed=0)
    >>> net.biases[-1][0] = 9  # as if it had been trained to say setosa
    >>> to_python(net, "iris.py", class_labels=["setosa", "versicolor", "virginica"])
    >>> from iris import classify
    >>> classify([[5.1, 3.5, 1.4, 0.2]])
    array(['setosa'], dtype='<U10')
    """
    chain = chain_of(
        net,
        input_scaler=input_scaler,
        output_scaler=output_scaler,
        class_labels=class_labels,
        dtype=dtype,
    )
    content = text_of(chain).encode()
    whole_files.write(path, lambda file: file.write(content))


def text_of(chain: Chain) -> str:
    """The text of the file.

    Parameters
    ----------
    chain : Chain
    """
    coded = sum(layer.weight.size for layer in chain.layers) > MOST_DIGITS
    names, functions = _functions(chain)
    parts = [_beginning(chain, coded), _predict(chain, names)]
    single = chain.dtype == np.float32 and chain.output_scaling is None
    printed = "outputs"
    action = f'np.savetxt(sys.stdout, predict(rows), "%.{9 if single else 17}g", delimiter=",")'
    if chain.labels is not None:
        several = chain.n_out > 1
        chosen = "y.argmax(axis=1)" if several else f"(y[:, 0] > {chain.threshold}).astype(int)"
        parts.append(CLASSIFY.format(chosen=chosen))
        printed = "labels"
        action = 'print(*classify(rows), sep="\\n")'
    parts += functions
    if coded:
        size = chain.dtype.itemsize
        parts.append(DECODED.format(dtype=chain.dtype.name, size=size))
    parts.append(_numbers(chain, coded))
    parts.append(PROGRAM.format(n_in=chain.n_in, printed=printed, action=action))
    return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"


def _beginning(chain: Chain, coded: bool) -> str:
    """The docstring of the file, and its imports."""
    units = [layer.activation for layer in chain.layers]
    kinds = [unit if isinstance(unit, str) else "units of a graph" for unit in units]
    sizes = [layer.weight.shape[1] for layer in chain.layers]
    parts = [f"{chain.n_in} inputs", *(f"{n} {kind}" for n, kind in zip(sizes, kinds, strict=True))]
    labels = ", classify(X) the labels of their classes" if chain.labels is not None else ""
    text = (
        f"predict(X) returns the outputs for rows of inputs{labels}. As a program it prints them "
        f"for lines of {chain.n_in} comma-separated numbers: python FILE < rows.csv"
    )
    imports = "import base64\nimport sys" if coded else "import sys"
    return (
        f'"""A neural net in NumPy alone.\n\n{_wrapped(", ".join(parts))}.\n\n{_wrapped(text)}\n\n'
        'Written by fastbp.files.to_python.\n"""\n\n'
        f"from __future__ import annotations\n\n{imports}\n"
        "from typing import Any\n\nimport numpy as np\nimport numpy.typing as npt\n\n"
        f"Array = npt.NDArray[Any]\nDTYPE = np.{chain.dtype.name}"
    )


def _predict(chain: Chain, names: list[str]) -> str:
    """The function `predict`: a line a layer."""
    lines = []
    output = chain.dtype.name
    if chain.input_scaling is not None:
        lines.append("x = (x - INPUT_MEAN) / INPUT_SCALE")
    lines.append("x = x.astype(DTYPE)")
    lines.append("if not np.isfinite(x).all():")
    lines.append(f'    raise ValueError("X must hold finite numbers within {output}")')
    for i, (layer, name) in enumerate(zip(chain.layers, names, strict=True)):
        z = f"x @ W{i}" if layer.bias is None else f"x @ W{i} + B{i}"
        lines.append(f"x = {name}({z})" if name else f"x = {z}")
    if chain.output_scaling is not None:
        lines.append("x = x * OUTPUT_SCALE + OUTPUT_MEAN")
        output = "float64"
    lines[-1] = f"y: Array ={lines[-1].removeprefix('x =')}"
    body = "".join(f"        {line}\n" for line in lines)
    return PREDICT.format(n_in=chain.n_in, n_out=chain.n_out, output=output, lines=body)


def _numbers(chain: Chain, coded: bool) -> str:
    """The weights, biases, scalings and labels, and what gelu is computed by."""
    parts = []
    for i, layer in enumerate(chain.layers):
        if coded:
            data = np.ascontiguousarray(layer.weight, layer.weight.dtype.newbyteorder("<"))
            text = base64.b64encode(data.tobytes()).decode()
            lines = "\n".join(text[at : at + WIDTH] for at in range(0, len(text), WIDTH))
            rows, columns = layer.weight.shape
            parts.append(f'W{i} = decoded(\n    """\n{lines}\n""",\n    {rows},\n    {columns},\n)')
        else:
            parts.append(_literal(f"W{i}", layer.weight, "DTYPE"))
        if layer.bias is not None:
            parts.append(_literal(f"B{i}", layer.bias, "DTYPE"))
    if any(layer.activation == "gelu" for layer in chain.layers):
        parts.append(_literal("NORMAL_TAIL", np.array(in_numpy.NORMAL_TAIL), "np.float64"))
    scalings = {"INPUT": chain.input_scaling, "OUTPUT": chain.output_scaling}
    for name, scaling in scalings.items():
        if scaling is not None:
            parts.append(_literal(f"{name}_MEAN", scaling.mean, "np.float64"))
            parts.append(_literal(f"{name}_SCALE", scaling.scale, "np.float64"))
    if chain.labels is not None:
        labels = [f"    {label!r}," for label in chain.labels]  # a space may stand in a label
        if isinstance(chain.labels[0], int):
            labels = [_wrapped(", ".join(map(repr, chain.labels)), 4)]
        parts.append("\n".join(["LABELS = np.array([", *labels, "])"]))
    return "# fmt: off\n" + "\n".join(parts) + "\n# fmt: on"


def _literal(name: str, array: npt.NDArray[Any], dtype: str) -> str:
    """An array as a list of numbers, row by row, or of a single row."""
    if array.ndim == 1:
        numbers = ", ".join(_digits(array))
        line = f"{name} = np.array([{numbers}], {dtype})"
        return line if len(line) <= WIDTH else line.replace(numbers, f"\n{_wrapped(numbers, 4)}\n")
    rows = [_wrapped(f"[{', '.join(_digits(row))}],", 4) for row in array]
    return f"{name} = np.array([\n" + "\n".join(rows) + f"\n], {dtype})"


def _digits(array: npt.NDArray[Any]) -> list[str]:
    """The shortest decimal numbers that are read back to the bit.

    Python reads float64: near the middle between two neighbours in float32 it takes more digits.
    """
    texts = [str(value) for value in array]
    read = np.array([float(text) for text in texts]).astype(array.dtype)
    same = read == array
    return [
        text if fits else repr(float(value))
        for text, fits, value in zip(texts, same, array, strict=True)
    ]


def _wrapped(text: str, indent: int = 0) -> str:
    """Lines of at most WIDTH characters."""
    blank = " " * indent
    return textwrap.fill(
        text, WIDTH, initial_indent=blank, subsequent_indent=blank,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _functions(chain: Chain) -> tuple[list[str], list[str]]:
    """What computes the activation of each layer, "" for identity; and the text of the functions.

    It is the text of `in_numpy`, so that a file holds what linters and tests have seen.
    """
    names = []
    wanted = set()
    graphs: dict[str, tuple[str, str]] = {}  # by their nodes: several layers may share one
    for layer in chain.layers:
        unit = layer.activation
        if isinstance(unit, GraphActivation):
            nodes = nodes_of(unit.expression)
            name = f"activation_{len(graphs)}"
            names.append(graphs.setdefault(repr(nodes), (name, _graph(name, nodes)))[0])
            wanted |= {node[0] for node in nodes} & {"sigmoid"}
        else:
            wanted.add(str(unit))
            names.append(NUMPYS_OWN.get(str(unit), str(unit)))
    if "silu" in wanted:  # which calls it
        wanted.add("sigmoid")
    own = [inspect.getsource(value) for name, value in vars(in_numpy).items() if name in wanted]
    return names, own + [text for _, text in graphs.values()]


def _graph(name: str, nodes: list[list[Any]]) -> str:
    """A graph of one variable as a function.

    A part that is needed twice, or is long, is a step with a name: Python limits how deep
    parentheses may be nested.
    """
    uses = Counter(argument for node in nodes for argument in node[1])
    steps: list[str] = []
    shown: list[Formula] = []

    def kept(part: Formula, always: bool = False) -> Formula:
        if not always and len(part[0]) <= LONGEST_FORMULA:
            return part
        steps.append(f"    v{len(steps) + 1} = {part[0]}\n")
        return atom(f"v{len(steps)}")

    def joined(operation: str, terms: Iterable[Formula]) -> Formula:
        return reduce(lambda left, right: formula(operation, [kept(left), right]), terms)

    for i, (operation, arguments, number, _, _) in enumerate(nodes):
        below = [shown[argument] for argument in arguments]
        if operation == "variable":
            part = atom("x")
        elif operation == "constant":
            part = atom(repr(number))
        elif operation == "dot":
            half = len(below) // 2
            pairs = zip(below[:half], below[half:], strict=True)
            part = joined("add", [kept(formula("multiply", pair)) for pair in pairs])
        elif operation in MANY:
            part = joined(MANY[operation], below)
        elif operation == "relu":
            part = formula("np.maximum", [*below, atom("0.0")])
        elif operation in ("sigmoid", "negate", *INFIX):
            part = formula(operation, below)
        else:
            part = formula(f"np.{operation}", below)
        shared = uses[i] > 1 and operation not in ("variable", "constant")
        shown.append(kept(part, always=shared))
    return (
        f"def {name}(z: Array) -> Array:\n"
        f'    """A graph of fastbp.graph; its arithmetic is in float64."""\n'
        f"    x = z.astype(np.float64)\n{''.join(steps)}"
        f"    y: Array = {shown[-1][0]}\n"
        f"    return y.astype(z.dtype)\n"
    )
