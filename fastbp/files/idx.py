"""Arrays in IDX files, the format of MNIST and its relatives: `read`, and `mnist` for a pair.

MNIST itself is not part of fastbp.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The third byte of a file, and the type of the values, which stand high byte first."""
PIECE = 2**20
"""Bytes that are read at a time: a header may announce more than there is memory."""


def read(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """The array in an IDX file.

    Parameters
    ----------
    path : str or path
        Such as "t10k-images-idx3-ubyte.gz"; compressed by gzip or not.

    Returns
    -------
    array
        In the machine's byte order; MNIST's images are uint8, (images, 28, 28).

    Raises
    ------
    ValueError
        When the file is not in this format, incomplete, or longer than it says.
    FileNotFoundError
        When there is no such file.

    Notes
    -----
    Two bytes 0, the type, the number of axes, the length of each axis in four bytes, the values:
    LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998.

    Examples
    --------
    >>> from fastbp.files import idx
    >>> header = bytes([0, 0, 0x08, 2, 0, 0, 0, 2, 0, 0, 0, 3])  # uint8, two axes, 2 and 3 long
    >>> with open("table-idx2-ubyte", "wb") as file:
    ...     n_bytes = file.write(header + bytes([1, 2, 3, 4, 5, 6]))
    >>> idx.read("table-idx2-ubyte").tolist()
    [[1, 2, 3], [4, 5, 6]]
    """
    with open(path, "rb") as file:
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        try:
            return _read(gzip.GzipFile(fileobj=file) if packed else file, path)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path} is not a whole gzip file: {error}") from None


def _read(file: BinaryIO | gzip.GzipFile, path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """The array in an open file, of which no more is read than the header announces."""
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES:
        raise ValueError(
            f"{path} is not an IDX file: it must begin with two bytes 0 and a type, one of "
            f"{sorted(TYPES)}; got {list(head[:3])}"
        )
    dtype = np.dtype(TYPES[head[2]])
    start = 4 + 4 * head[3]
    lengths = file.read(start - 4)
    if len(lengths) < start - 4:
        got = 4 + len(lengths)
        raise ValueError(f"{path} must begin with {start} bytes; got {got}. Is it whole?")
    shape = tuple(int(x) for x in np.frombuffer(lengths, ">u4"))
    size = math.prod(shape) * dtype.itemsize
    content = bytearray()
    while piece := file.read(min(PIECE, size + 1 - len(content))):  # one more tells of a rest
        content += piece
    if len(content) != size:
        found = f"{start + len(content)}" if len(content) < size else "more"
        raise ValueError(
            f"{path} must hold {start + size} bytes for an array of shape {shape}; got {found}. "
            "Is it whole?"
        )
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def mnist(
    folder: str | os.PathLike[str], part: str = "t10k"
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Images and labels of a part of MNIST, or of data published like it.

    Parameters
    ----------
    folder : str or path
        Folder of PART-images-idx3-ubyte and PART-labels-idx1-ubyte, with or without .gz.
    part : str, default="t10k"
        "t10k", the 10,000 test digits, or "train", the 60,000 others.

    Returns
    -------
    X : array of float32, shape (images, pixels)
        Between 0 and 1, row by row.
    y : array of int64, shape (images,)

    Raises
    ------
    FileNotFoundError
        When a file is missing.
    ValueError
        When a file is incomplete, or the two do not belong together.

    Examples
    --------
    >>> from pathlib import Path
    >>> from fastbp.files import idx
    >>> images = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 255, 0, 0, 255])
    >>> labels = bytes([0, 0, 8, 1, 0, 0, 0, 1, 7])
    >>> n_bytes = Path("t10k-images-idx3-ubyte").write_bytes(images)
    >>> n_bytes = Path("t10k-labels-idx1-ubyte").write_bytes(labels)
    >>> X, y = idx.mnist(".")
    >>> X.tolist(), y.tolist()
    ([[1.0, 0.0, 0.0, 1.0]], [7])
    """
    images, labels = (
        read(_file(Path(folder), f"{part}-{kind}-ubyte")) for kind in ("images-idx3", "labels-idx1")
    )
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{folder} must hold images (n, height, width) and n labels; got shapes {images.shape} "
            f"and {labels.shape}"
        )
    X = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    return X, labels.astype(np.int64)


def _file(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.exists():
            return path
    raise FileNotFoundError(
        f"there is no {name}.gz in {folder.resolve()}. MNIST's files are published at "
        "https://storage.googleapis.com/cvdf-datasets/mnist/ and elsewhere: download them to this "
        "folder, or name theirs"
    )
