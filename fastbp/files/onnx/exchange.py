"""ONNX: `to_onnx` and `from_onnx`, for nets that are a chain of layers."""

from __future__ import annotations

import os
from typing import Any

import numpy.typing as npt

from fastbp import __version__, checks, whole_files
from fastbp.files.chain import LossArgument, chain_of, net_of
from fastbp.files.onnx.contents import read
from fastbp.files.onnx.library import library
from fastbp.files.onnx.reading import Reader
from fastbp.files.onnx.writing import model_of
from fastbp.mlp import MLP
from fastbp.model.optimizers import Optimizer

OLDEST_OPSET = 13
"""The first in which Softmax takes one axis; ONNX Runtime has it since version 1.6."""


def to_onnx(
    net: Any,
    path: str | os.PathLike[str],
    *,
    input_scaler: Any = None,
    output_scaler: Any = None,
    class_labels: Any = None,
    dtype: npt.DTypeLike | None = None,
    opset: int = OLDEST_OPSET,
) -> None:
    """Write a net as a model of ONNX, with standard operators.

    The input is called "input", (batch, n_in) of the net's dtype, and the output "output",
    (batch, n_out): what `net.predict` returns. With class labels there are two outputs instead:
    "label", (batch,) of int64 or strings, and "probabilities" behind softmax or sigmoid, else
    "scores". One sigmoid output becomes the probabilities of both classes, (batch, 2), as in
    scikit-learn.

    Parameters
    ----------
    net : MLP, or a fitted MLPClassifier or MLPRegressor of fastbp.sklearn or scikit-learn
        A classifier brings its labels along. A pipeline is converted by skl2onnx, see
        `fastbp.sklearn.register_onnx`.
    path : str or path
        The file, which is replaced as a whole.
    input_scaler, output_scaler : (mean, scale), or a scaler of scikit-learn, optional
        What the inputs were scaled by in front of the net, and the targets. The model then takes
        and returns what has not been scaled.
    class_labels : sequence of int or of str, optional
        One for each output, or two where there is one output.
    dtype : {"float32", "float64"}, optional
        Of input, output and weights; the net's own by default.
    opset : int, default=13
        Version of the operators, 13 or later.

    Raises
    ------
    ImportError
        Without the onnx library: ``pip install onnx``.
    ValueError, TypeError
        For another net, activations that are functions in Python, and what does not fit the net.
    OSError
        When the file cannot be written. An old one is then as it was.

    Notes
    -----
    With ONNX Runtime the outputs are those of `net.predict`, to 1e-6 of the largest in float32 and
    1e-12 in float64. There, activations for which ONNX Runtime has no operator in float64 are
    written as formulas of exp, log and tanh. Small values of single activations are only as exact
    as the runtime's operator: its Sigmoid in float32 is right to 1e-7, however small it is.
    Graphs (`fastbp.graph`) are computed in float64 in any case, as fastbp does; where they have no
    value, such as log(-1), fastbp raises an error and ONNX goes on with NaN.

    Examples
    --------
    >>> from fastbp import MLP
    >>> from fastbp.files import from_onnx, to_onnx
    >>> net = MLP((4, 8, 3), loss="cross_entropy", seed=0)
    >>> to_onnx(net, "net.onnx", class_labels=["setosa", "versicolor", "virginica"])
    >>> import onnxruntime
    >>> session = onnxruntime.InferenceSession("net.onnx")
    >>> label, probabilities = session.run(None, {"input": net.weights[0].T})
    >>> probabilities.shape
    (8, 3)
    >>> from_onnx("net.onnx").layer_sizes
    (4, 8, 3)
    """
    chain = chain_of(
        net,
        input_scaler=input_scaler,
        output_scaler=output_scaler,
        class_labels=class_labels,
        dtype=dtype,
    )
    latest = library().defs.onnx_opset_version()
    opset = checks.count("opset", opset, OLDEST_OPSET, latest)
    content = model_of(chain, opset, __version__).SerializeToString()
    whole_files.write(path, lambda file: file.write(content))


def from_onnx(
    path: str | os.PathLike[str],
    *,
    loss: LossArgument = None,
    optimizer: str | Optimizer = "adam",
    dtype: npt.DTypeLike | None = None,
) -> MLP:
    """Read a net from a model of ONNX, to predict with or to train further.

    The model must be a chain of Gemm, or MatMul and Add, with constant weights and activations
    between them, as PyTorch, Keras (tf2onnx), skl2onnx and `to_onnx` write them. Activations are
    recognised by their values, however they are spelled; others that are made of the operations
    of `fastbp.graph`, such as HardSwish or Clip, become graphs. Scaling of inputs and outputs and
    between layers is folded into the weights; where a mean is many times its scale, that costs
    digits, which dtype="float64" keeps. Casts between floats, Dropout, and what flattens
    an input are passed over: a net takes a flat row. Labels are left out.

    Parameters
    ----------
    path : str or path
        It may come from a stranger: nothing in it is executed, no other file is opened.
    loss : str, Loss or callable, optional
        By default the one that goes with the outputs: "cross_entropy" after softmax,
        "binary_cross_entropy" after sigmoid, "poisson" after exp, else "squared_error".
    optimizer : str or Optimizer, default="adam"
        What the net is trained with further.
    dtype : {"float32", "float64"}, optional
        By default float64 where a layer has weights in float64, else float32, also for float16.

    Returns
    -------
    MLP

    Raises
    ------
    ImportError
        Without the onnx library: ``pip install onnx``.
    ValueError
        For a model that is no such chain, by the name of the node, and for a damaged file.
    TypeError
        For a loss, an optimiser or a dtype that is not one.

    Examples
    --------
    >>> from fastbp import MLP
    >>> from fastbp.files import from_onnx, to_onnx
    >>> to_onnx(MLP((4, 8, 3), activation="tanh", seed=0), "net.onnx")
    >>> net = from_onnx("net.onnx", optimizer="sgd")
    >>> net.layer_sizes, net.activations
    ((4, 8, 3), ('tanh', 'identity'))
    """
    library()
    try:
        layers = Reader(read(path)).layers()
    except RecursionError:
        reason: object = "it is nested too deeply"
    except MemoryError:
        reason = "it asks for more memory than there is"
    except (ValueError, TypeError, OverflowError) as error:
        reason = error
    else:
        return net_of(layers, loss=loss, optimizer=optimizer, dtype=dtype)
    raise ValueError(f"{os.fspath(path)} is not read: {reason!s:.1000}")
