"""What ends training on many machines when one of them fails."""

from __future__ import annotations


class WorkerError(RuntimeError):
    """A rank or a worker failed, and training ended everywhere.

    Parameters
    ----------
    message : str
        What was raised where.
    workers : tuple of int or of str
        Ranks, as int, or addresses of workers, as str.

    Attributes
    ----------
    workers : tuple of int or of str
        Those that failed.

    Examples
    --------
    >>> from fastbp.distributed import WorkerError
    >>> error = WorkerError("rank 3 of 4: ValueError: X must be finite", (3,))
    >>> error.workers, str(error)
    ((3,), 'rank 3 of 4: ValueError: X must be finite')
    """

    def __init__(self, message: str, workers: tuple[int | str, ...]) -> None:
        super().__init__(message, workers)
        self.workers = workers

    def __str__(self) -> str:
        return str(self.args[0])
