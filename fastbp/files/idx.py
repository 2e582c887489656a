"""Arrays in IDX files, the format of MNIST and its relatives: `read`, and `mnist` for a pair.

MNIST itself is not part of fastbp.
"""

from __future__ import annotations

import gzip
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The third byte of a file, and the type of the values, which stand high byte first."""


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
        When the file is not in this format, or incomplete.
    FileNotFoundError
        When there is no such file.

    Notes
    -----
    Two bytes 0, the type, the number of axes, the length of each axis in four bytes, the values:
    LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998.
    """
    content = Path(path).read_bytes()
    try:
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is not a whole gzip file: {error}") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        raise ValueError(
            f"{path} is not an IDX file: it must begin with two bytes 0 and a type, one of "
            f"{sorted(TYPES)}; got {list(content[:3])}"
        )
    dtype = np.dtype(TYPES[content[2]])
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{path} must begin with {start} bytes; got {len(content)}. Is it whole?")
    shape = tuple(int(x) for x in np.frombuffer(content[4:start], ">u4"))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise ValueError(
            f"{path} must hold {expected} bytes for an array of shape {shape}; got {len(content)}. "
            "Is it whole?"
        )
    values = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return values.astype(dtype.newbyteorder("="))


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
