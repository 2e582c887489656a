"""What is in a file, for `show` and `export`; no code of the user's is needed, none is executed."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from fastbp.mlp import load
from fastbp.saving import container, stand_ins


class Contents(NamedTuple):
    """What is in a file.

    Attributes
    ----------
    kind : {"net", "estimator", "onnx", "arrays"}
    n_bytes : int
    holds : MLP or estimator, or None
        The net or the estimator, with `StandIn` or None where it had code in Python.
    recipe : dict of str
        That of a net or an estimator; the metadata of other arrays.
    arrays : dict of str to (str, tuple of int)
        Dtypes and shapes by name; not for models of ONNX.
    """

    kind: str
    n_bytes: int
    holds: Any
    recipe: dict[str, Any]
    arrays: container.Described


def read(path: str) -> Contents:
    """What is in a file, checked as `fastbp.load` and its kin do it.

    Parameters
    ----------
    path : str

    Raises
    ------
    ValueError
        For a damaged file, and for one of another kind.
    OSError
    ImportError
        Where the library for this kind is missing, with the name of the extra.
    """
    head = container.head(path)
    n_bytes = os.stat(path).st_size
    if head[8:9] == b"{":
        if container.is_foreign(head):
            metadata, arrays = container.foreign(path)
            return Contents("arrays", n_bytes, None, metadata, arrays)
        found, own = container.read(path, _sealed)
        return found if found.holds else found._replace(holds=load(path, **own))
    if path.endswith(".onnx") or head[:1] == b"\x08":  # as models begin: with their version
        from fastbp.files.onnx.exchange import from_onnx

        return Contents("onnx", n_bytes, from_onnx(path), {}, {})
    raise ValueError(
        f"{path} is damaged, or none of what is read here: files that save has written, others in "
        "the safetensors format, and models of ONNX"
    )


def _sealed(content: bytes) -> tuple[Contents, dict[str, Any]]:
    """What is in a file of fastbp's; of a net what `load` needs beside it."""
    arrays, recipe = container.unpacked(content)
    if "estimator" not in recipe:
        return Contents("net", len(content), None, recipe, arrays), stand_ins.of_net(recipe)
    try:
        from fastbp.sklearn.stand_ins import estimator_in
    except ImportError as error:
        raise ImportError(
            "the file of an estimator needs scikit-learn: pip install scikit-learn"
        ) from error
    return Contents("estimator", len(content), estimator_in(content, recipe), recipe, arrays), {}
