"""What ends training on many machines when one of them fails."""

from __future__ import annotations


class WorkerError(RuntimeError):
    """A rank or a worker failed, and training ended everywhere.

    Parameters
    ----------
    message : str
    workers : tuple
        Ranks, as int, or addresses of workers, as str.

    Attributes
    ----------
    workers : tuple
    """

    def __init__(self, message: str, workers: tuple[int | str, ...]) -> None:
        super().__init__(message, workers)
        self.workers = workers

    def __str__(self) -> str:
        return str(self.args[0])
