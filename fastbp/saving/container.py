"""Arrays and a recipe as one sealed file: safetensors with a SHA-256 of all its bytes.

The recipe is JSON in the metadata, under the name of this package. Its "sha256" is the digest of
the whole file with the digest's own characters as zeros.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

FORMAT = 1
"""To be raised with whatever changes the meaning of a file."""
NAME = "fastbp"
"""The key of the metadata."""
MOST_HEADER = 2**20
"""Bytes of a header: reading it takes up to fifty times as much memory."""

Tensors = dict[str, npt.NDArray[Any]]
Described = dict[str, tuple[str, tuple[int, ...]]]
"""Dtypes and shapes of arrays by their names."""
Held = TypeVar("Held")

_ZEROS = "0" * 64
# As it stands in the header: JSON within JSON. A string of the recipe has more backslashes.
_SEAL = re.compile(rb'\\"sha256\\":\\"([0-9a-f]{64})\\"')
_DTYPES = {
    "F16": "float16", "F32": "float32", "F64": "float64", "BOOL": "bool",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
}  # fmt: skip
DTYPES = frozenset(_DTYPES.values())
"""The names of the dtypes that arrays may have."""


def read(path: str | os.PathLike[str], held_in: Callable[[bytes], Held]) -> Held:
    """What a function finds in the content of a file, whoever made it.

    Parameters
    ----------
    path : str or path
    held_in : callable
        Takes the content. Its errors become a ValueError that names the file.

    Raises
    ------
    ValueError
    OSError
        When the file cannot be read.
    ImportError
        Without safetensors.
    """
    with _opened(path) as file:
        try:
            with np.errstate(all="ignore"):  # values are checked
                return held_in(file.read())
        except RecursionError:
            reason: object = "its JSON is nested too deeply"
        except MemoryError:
            reason = "it asks for more memory than there is"
        except (ValueError, TypeError, OverflowError) as error:
            reason = error
    raise ValueError(f"{os.fspath(path)!s} is not loaded: {reason!s:.1000}")


def head(path: str | os.PathLike[str]) -> bytes:
    """The beginning of a file, with the whole header if it is one of fastbp's.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    ValueError
        For what is not an ordinary file.
    OSError
    """
    with _opened(path) as file:
        return file.read(8 + MOST_HEADER)


def is_foreign(head: bytes) -> bool:
    """Whether a file that begins so has nothing of fastbp's, and no trace of it."""
    header = head[8 : 8 + int.from_bytes(head[:8], "little")]
    return _SEAL.search(header) is None and f'"{NAME}"'.encode() not in header


def foreign(path: str | os.PathLike[str]) -> tuple[dict[str, str], Described]:
    """The metadata of a file that is not fastbp's, and its arrays; they are not read.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    ValueError
        When the library finds it damaged.
    ImportError
        Without safetensors.
    """
    library = _library()
    try:
        with library.safe_open(path, framework="np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}
            arrays = {
                name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()
            }
            return file.metadata() or {}, arrays
    except library.SafetensorError as error:
        raise ValueError(f"{os.fspath(path)} is not read: {error}") from error


def packed(tensors: Tensors, recipe: dict[str, Any]) -> bytes:
    """The content of a file.

    Parameters
    ----------
    tensors : dict of str to array
        C-contiguous, of a dtype of DTYPES.
    recipe : dict of str
        What `json` can write. "format" and "sha256" are added.

    Raises
    ------
    ImportError
        Without safetensors.
    ValueError
        When the recipe is too long.
    """
    whole = {"format": FORMAT, "sha256": _ZEROS, **recipe}
    text = json.dumps(whole, separators=(",", ":"), allow_nan=False)
    content = bytearray(_library().numpy.save(tensors, {NAME: text}))
    seals = list(_SEAL.finditer(_header(content)))
    first = 8 + seals[0].start(1)
    content[first : first + 64] = _digest(content, first).encode()
    return bytes(content)


def unpacked(content: bytes) -> tuple[Described, dict[str, Any]]:
    """The dtypes and shapes of the arrays by name, and the recipe; the seal is checked.

    Parameters
    ----------
    content : bytes

    Raises
    ------
    ValueError
        For a file that is damaged, of another format or none of fastbp's.
    """
    header = _header(content)
    seals = list(_SEAL.finditer(header))
    if len(seals) != 1:
        raise ValueError("nothing of fastbp is in it, or it is damaged: it has no SHA-256")
    seal = seals[0]
    if _digest(content, 8 + seal.start(1)) != seal.group(1).decode():
        raise ValueError("it is damaged: its SHA-256 is not the one that was written into it")
    table = parsed(header)
    metadata = table.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(NAME), str):
        raise ValueError(f"its metadata must have the recipe as {NAME!r}")
    recipe = parsed(metadata[NAME].encode())
    if recipe.pop("sha256", None) != seal.group(1).decode():
        raise ValueError("its SHA-256 must stand in the recipe")
    number = recipe.pop("format", None)
    if type(number) is not int or number != FORMAT:
        raise ValueError(
            f"it has the format {number!r}, and this version of fastbp reads {FORMAT}. Load it "
            "with the version that wrote it; the safetensors library reads the arrays in any case"
        )
    return {name: _described(name, entry) for name, entry in table.items()}, recipe


def arrays(content: bytes) -> Tensors:
    """The arrays by name, read-only; checked by the library: offsets, sizes, the file's length.

    Parameters
    ----------
    content : bytes

    Raises
    ------
    ImportError
        Without safetensors.
    ValueError
        When they overlap, leave gaps or are not in the file, and for bools that are not 0 or 1.
    """
    library = _library()
    try:
        found: Tensors = library.numpy.load(content)
    except library.SafetensorError as error:
        raise ValueError(f"its arrays are not where its header says: {error}") from error
    for name, array in found.items():
        if array.dtype == np.bool_ and (array.view(np.uint8) > 1).any():
            raise ValueError(f"{name} must be bytes of 0 and 1; got others")
    return found


def parsed(text: bytes) -> dict[str, Any]:
    """JSON of an object, whose keys differ and whose numbers are numbers.

    Parameters
    ----------
    text : bytes

    Raises
    ------
    ValueError
    """
    found = json.loads(
        text.decode("utf-8"), object_pairs_hook=_with_different_keys, parse_constant=_refuse
    )
    if not isinstance(found, dict):
        raise ValueError(f"an object of JSON must be in it; got {type(found).__name__}")
    return found


def _with_different_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is in it twice")
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")


def _opened(path: str | os.PathLike[str]) -> BinaryIO:
    name = os.fspath(path)  # a number would be an open file
    if not stat.S_ISREG(os.stat(name).st_mode):  # a named pipe would block
        raise ValueError(f"{name!s} is not an ordinary file; only such are read")
    return open(name, "rb")


def _header(content: bytes | bytearray) -> bytes:
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise ValueError(
            f"nothing of fastbp is in it, or it is cut off: it has {len(content)} bytes, and its "
            f"header must have {length}"
        )
    if length > MOST_HEADER:
        raise ValueError(
            f"the header of a file must have at most {MOST_HEADER} bytes; got {length}. A pickle "
            "has no such limit"
        )
    return bytes(content[8 : 8 + length])


def _digest(content: bytes | bytearray, first: int) -> str:
    """SHA-256 with zeros for the 64 characters that begin at `first`."""
    view = memoryview(content)
    digest = hashlib.sha256(view[:first])
    digest.update(_ZEROS.encode())
    digest.update(view[first + 64 :])
    return digest.hexdigest()


def _described(name: str, entry: Any) -> tuple[str, tuple[int, ...]]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name!r} must have dtype, shape and data_offsets; got {entry!r:.200}")
    dtype, shape = entry["dtype"], entry["shape"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(
            f"the dtype of {name!r} must be one of {', '.join(_DTYPES)}; got {dtype!r}"
        )
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"the shape of {name!r} must be a list of whole numbers; got {shape!r}")
    return _DTYPES[dtype], tuple(shape)


def _library() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "saving and loading needs safetensors: pip install safetensors"
        ) from error
    return safetensors
