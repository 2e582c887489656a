"""Arrays in MNIST's format: each type, compressed or not, and files that are broken."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pytest
from helpers import SOAK

from fastbp.files import idx

pytestmark = pytest.mark.promise("loading")
FLIPS = 100_000 if SOAK else 400


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
        (lambda data: data + b"\0", "must hold 40 bytes.*got more"),
        (lambda data: gzip.compress(data + b"\0"), "must hold 40 bytes.*got more"),
        (lambda data: gzip.compress(data[:-1]), "must hold 40 bytes.*got 39"),
        (lambda data: b"\0\0\x08\x03" + b"\xff" * 12 + data, r"must hold 7922816.*; got 56"),
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


def test_every_damaged_gzip_file_is_a_value_error(tmp_path, tally) -> None:
    array = np.random.default_rng(0).integers(0, 256, size=(4, 9, 9))
    sound = gzip.compress(content(array, 0x08))
    path = tmp_path / "array.idx.gz"
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)
    path.write_bytes(sound)
    refused = 0
    with open(path, "r+b", buffering=0) as file:  # a byte at a time: new files take milliseconds
        for bit in np.random.default_rng(seed).integers(8 * len(sound), size=FLIPS).tolist():
            byte = bit // 8
            file.seek(byte)
            file.write(bytes([sound[byte] ^ 1 << bit % 8]))
            try:
                got = idx.read(path)
            except ValueError:
                refused += 1
            else:  # a flip in the time or the system of the gzip header
                assert np.array_equal(got, array)
            file.seek(byte)
            file.write(sound[byte : byte + 1])
            tally["damaged files"] += 1
    assert refused > 0.9 * FLIPS


@pytest.mark.parametrize("start", [b"", b"\0\0\x08\x01\0\0\x04\0"])
def test_a_gzip_bomb_is_not_decompressed(start, tmp_path, monkeypatch) -> None:
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb") as file:
        file.write(start + bytes(20_000_000))
    seen = []
    inner = gzip.GzipFile.read

    def read(self, size=-1):
        piece = inner(self, size)
        seen.append(len(piece))
        return piece

    monkeypatch.setattr(gzip.GzipFile, "read", read)
    with pytest.raises(ValueError, match="got more" if start else "got more|must begin with"):
        idx.read(path)
    assert sum(seen) < 2000


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
