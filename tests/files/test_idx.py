"""Arrays in MNIST's format: each type, compressed or not, and files that are broken."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from fastbp.files import idx


def content(array, code):
    head = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(idx.TYPES[code]).tobytes()


@pytest.mark.parametrize("code", idx.TYPES)
@pytest.mark.parametrize("compressed", [False, True])
def test_read(code, compressed, tmp_path) -> None:
    array = np.arange(24).reshape(2, 3, 4)
    data = content(array, code)
    path = tmp_path / "array.idx"
    path.write_bytes(gzip.compress(data) if compressed else data)
    got = idx.read(path)
    assert got.dtype == np.dtype(idx.TYPES[code]).newbyteorder("=")
    assert got.dtype.isnative
    assert np.array_equal(got, array)
    got[0] = 1  # it is writable


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"PNG" + data[3:], "not an IDX file: it must begin with two bytes 0"),
        (lambda data: b"\0\0\x07" + data[3:], r"a type, one of \[8, 9.*got \[0, 0, 7\]"),
        (lambda data: data[:-1], r"must hold 40 bytes.*\(2, 3, 4\); got 39. Is it whole"),
        (lambda data: data + b"\0", "must hold 40 bytes.*got 41"),
        (lambda data: data[:9], "must begin with 16 bytes; got 9"),
        (lambda data: b"", "not an IDX file"),
        (lambda data: gzip.compress(data)[:-9], "is not a whole gzip file"),
    ],
)
def test_broken_files(change, message, tmp_path) -> None:
    path = tmp_path / "array.idx"
    path.write_bytes(change(content(np.arange(24).reshape(2, 3, 4), 0x08)))
    with pytest.raises(ValueError, match=message):
        idx.read(path)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_mnist(ending, tmp_path) -> None:
    images = np.arange(24).reshape(2, 3, 4) * 10
    labels = np.array([7, 2])
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        with pytest.raises(FileNotFoundError, match=f"no t10k-{name}-ubyte.gz in .*published at"):
            idx.mnist(tmp_path)
        data = content(array, 0x08)
        path = tmp_path / f"t10k-{name}-ubyte{ending}"
        path.write_bytes(gzip.compress(data) if ending else data)
    X, y = idx.mnist(tmp_path)
    assert (X.dtype, y.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(X, images.reshape(2, 12) / 255, rtol=1e-6)
    assert y.tolist() == [7, 2]
    with pytest.raises(FileNotFoundError, match="no train-images"):
        idx.mnist(tmp_path, "train")
    (tmp_path / f"t10k-labels-idx1-ubyte{ending}").write_bytes(content(np.arange(3), 0x08))
    with pytest.raises(ValueError, match=r"n labels; got shapes \(2, 3, 4\) and \(3,\)"):
        idx.mnist(tmp_path)


def test_no_file(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        idx.read(tmp_path / "none")
