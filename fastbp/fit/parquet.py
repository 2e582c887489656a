"""`Parquet`: the rows of Parquet files, read a row group at a time by pyarrow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit import data
from fastbp.fit.blocks import Blocks, checked
from fastbp.fit.data import Examples
from fastbp.fit.limits import Limits
from fastbp.fit.sources import reading
from fastbp.model.net import Net

Names = str | Sequence[str]

NUMBERS = ("int", "uint", "float", "halffloat", "double", "bool")
"""Names of Arrow's types that are numbers, without their bits."""


class Group(NamedTuple):
    """A row group: its file, its number in it, and the number of its first row among all rows."""

    file: int
    number: int
    first: int


class Parquet(Blocks):
    """Rows of Parquet files, which may exceed memory: ``net.fit(Parquet(path, y="price"))``.

    Row groups are read one after the other, in pieces, while the net is trained on those before,
    and put together to windows of 64 MiB of inputs. With `shuffle` the row groups come in a new
    random order in each epoch, and the rows of a window in a random order of their own; so the
    smaller the row groups, the better the rows are mixed: a few MB are good. Without `shuffle` the
    bits are those of the same rows in memory.

    Parameters
    ----------
    path : str, path or list of these
        A file, a folder, whose files ``*.parquet`` are taken in the order of their names, or files.
    y : str or list of str
        The columns of the targets.
    X : str or list of str, optional
        The columns of the inputs, in their order; by default all others. A column of lists of a
        fixed size is one input for each item.
    sample_weight : str, optional
        The column of the weights of the rows, which are scaled to a mean of 1 over all rows.

    Attributes
    ----------
    rows, n_in : int
    count : int
        How many row groups there are.

    Raises
    ------
    ValueError, TypeError
        For names that are no columns, columns that hold no numbers, files with other columns than
        the first, and no rows.
    ImportError
        Without pyarrow: ``pip install pyarrow``.

    Examples
    --------
    >>> import os, tempfile
    >>> import pandas as pd
    >>> from fastbp import MLP, Parquet
    >>> table = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1, 0, 1], "price": [1.0, 2.0, 3.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "rows.parquet")
    ...     table.to_parquet(path)
    ...     rows = Parquet(path, y="price")
    ...     history = MLP((2, 4, 1), seed=0).fit(rows, epochs=2)
    >>> rows
    Parquet of 3 rows in 1 row group, X: a, b; y: price
    >>> len(history)
    2
    """

    @checks.explained
    def __init__(
        self,
        path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        y: Names,
        X: Names | None = None,
        sample_weight: str | None = None,
    ) -> None:
        library = _library()
        self.paths = _files(path)
        self._metadata = [library.read_metadata(file) for file in self.paths]
        schemas = [metadata.schema.to_arrow_schema() for metadata in self._metadata]
        self.y = _names("y", y)
        weights = [] if sample_weight is None else [sample_weight]
        others = {*self.y, *weights}
        if X is None:
            self.X = [name for name in schemas[0].names if name not in others]
        else:
            self.X = _names("X", X)
        self.sample_weight = sample_weight
        used = [*self.y, *weights, *self.X]
        found_in = [_sizes(schema, self.paths[i], used) for i, schema in enumerate(schemas)]
        self._sizes = found_in[0]
        for file, found in zip(self.paths, found_in, strict=True):
            if found != self._sizes:
                raise ValueError(
                    f"all files must have columns of the same sizes; {str(self.paths[0])!r} has "
                    f"{self._sizes}, and {str(file)!r} has {found}"
                )
        self.n_in = sum(self._sizes[name] for name in self.X)
        self._groups = []
        self.rows = 0
        for index, metadata in enumerate(self._metadata):
            for number in range(metadata.num_row_groups):
                count = metadata.row_group(number).num_rows
                if count:
                    self._groups.append(Group(index, number, self.rows))
                self.rows += count
        self.count = len(self._groups)
        if not self.rows:
            raise ValueError(f"there are no rows in {', '.join(map(str, self.paths))}")

    def __repr__(self) -> str:
        groups = "1 row group" if self.count == 1 else f"{self.count:,} row groups"
        weights = f"; sample_weight: {self.sample_weight}" if self.sample_weight else ""
        return (
            f"Parquet of {self.rows:,} rows in {groups}, X: {_short(self.X)}; y: {_short(self.y)}"
            f"{weights}"
        )

    def __len__(self) -> int:
        return self.rows

    def weight_factor(self, net: Net, limits: Limits) -> float:
        """See `Blocks`: goes through the columns of the weights and targets once, where needed."""
        if self.sample_weight is None and not net.missing_targets:
            return 1.0
        names = [*self.y] * net.missing_targets
        if self.sample_weight is not None:
            names.append(self.sample_weight)
        rows = max(1, limits.part_bytes // (8 * len(names)))
        sums = []
        for group in self._groups:
            for _, columns in self._pieces(group, rows, names):
                count = len(columns[names[0]])
                weights = np.ones((count, 1))
                if self.sample_weight is not None:
                    weights = _matrix(columns, [self.sample_weight], np.dtype(np.float64))
                if net.missing_targets:
                    y = _matrix(columns, self.y, np.dtype(np.float64))
                    weights = data.weights_beside(np.isnan(y), weights)
                sums.append(data.row_weights(weights).sum())
        if not np.isfinite(sums).all():
            return 1.0  # the piece with the bad one is refused when it is read
        return self.rows / data.total_weight(np.array(sums))

    def read(self, number: int, rows: int, net: Net) -> Iterator[Examples]:
        """See `Blocks`."""
        group = self._groups[number]
        names = [*self.X, *self.y]
        if self.sample_weight is not None:
            names.append(self.sample_weight)
        where = f"row group {group.number} of {str(self.paths[group.file])!r}"
        for start, columns in self._pieces(group, rows, names):
            X = _matrix(columns, self.X, net.dtype)
            y = columns[self.y[0]]
            if len(self.y) > 1:
                y = _matrix(columns, self.y, np.result_type(*(columns[name] for name in self.y)))
            weights = None if self.sample_weight is None else columns[self.sample_weight]
            yield checked(Examples(X, y, weights), net, where, group.first, start)

    def _pieces(
        self, group: Group, rows: int, names: list[str]
    ) -> Iterator[tuple[int, dict[str, npt.NDArray[Any]]]]:
        """Columns as arrays, (rows,) or (rows, items), and the number of their first row."""
        library = _library()
        metadata = self._metadata[group.file]
        start = 0
        with reading(), library.ParquetFile(self.paths[group.file], metadata=metadata) as file:
            batches = file.iter_batches(rows, [group.number], names)
            for batch in batches:
                columns = {name: _array(name, batch.column(name)) for name in names}
                yield start, columns
                start += batch.num_rows


def _array(name: str, column: Any) -> npt.NDArray[Any]:
    """A column of Arrow's as an array; what is null is NaN."""
    size = getattr(column.type, "list_size", None)
    if size is None:
        return _numbers(column)
    if column.null_count:
        raise ValueError(f"the column {name!r} holds null instead of a list. Fill it in first")
    return _numbers(column.flatten()).reshape(len(column), size)


def _numbers(column: Any) -> npt.NDArray[Any]:
    """Numbers of Arrow's, where they stand if they can stay there.

    Arrow's own `to_numpy` imports pandas when it is first called, which takes a second.
    """
    if column.null_count or str(column.type) == "bool":  # bits
        return np.asarray(column.to_numpy(zero_copy_only=False))
    dtype = np.dtype(column.type.to_pandas_dtype())
    first = column.offset * dtype.itemsize
    return np.frombuffer(column.buffers()[1], dtype, len(column), first)


def _matrix(
    columns: dict[str, npt.NDArray[Any]], names: list[str], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Columns beside each other, row by row."""
    arrays = [columns[name] for name in names]
    if len(arrays) == 1:
        return np.ascontiguousarray(arrays[0].reshape(len(arrays[0]), -1), dtype)
    width = sum(1 if a.ndim == 1 else a.shape[1] for a in arrays)
    matrix = np.empty((len(arrays[0]), width), dtype)
    first = 0
    for array in arrays:
        items = array.reshape(len(array), -1)
        matrix[:, first : first + items.shape[1]] = items
        first += items.shape[1]
    return matrix


def _sizes(schema: Any, path: Path, names: list[str]) -> dict[str, int]:
    """How many numbers a row has in each column."""
    sizes = {}
    for name in names:
        if name not in schema.names:
            raise ValueError(
                f"there is no column {name!r} in {str(path)!r}; there are "
                f"{_short(schema.names)}{checks.instead('column', name, tuple(schema.names))}"
            )
        kind = schema.field(name).type
        size = getattr(kind, "list_size", 1)
        value = str(getattr(kind, "value_type", kind))
        if value.rstrip("0123456789") not in NUMBERS:
            raise TypeError(
                f"the column {name!r} must hold numbers or lists of a fixed size of them; got "
                f"{kind} in {str(path)!r}. Leave it out: name the others in X"
            )
        if hasattr(kind, "value_type") and not hasattr(kind, "list_size"):
            raise TypeError(
                f"the lists of the column {name!r} must have a fixed size; got {kind} in "
                f"{str(path)!r}"
            )
        sizes[name] = size
    return sizes


def _names(what: str, given: Any) -> list[str]:
    names = [given] if isinstance(given, str) else given
    listed = isinstance(names, list | tuple) and len(names) > 0
    if not listed or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{what} must be the name of a column or a list of names; got {given!r}")
    return list(names)


def _files(path: Any) -> list[Path]:
    given = [path] if isinstance(path, str | os.PathLike) else list(path)
    files = []
    for one in map(Path, given):
        if one.is_dir():
            found = sorted(one.glob("*.parquet"))
            if not found:
                raise FileNotFoundError(f"there is no file *.parquet in the folder {str(one)!r}")
            files += found
        else:
            files.append(one)
    if not files:
        raise ValueError("path must name a file at least; got an empty list")
    return files


def _short(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:6])}, ... ({len(names)})"


def _library() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow: pip install pyarrow") from error
    return parquet
