"""The `onnx` library, or where to get it."""

from __future__ import annotations

from typing import Any


def library() -> Any:
    """The module `onnx`.

    Raises
    ------
    ImportError
        If it is missing: ``pip install onnx``.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "to_onnx and from_onnx need the onnx library: pip install onnx"
        ) from error
    return onnx
