"""Training on many machines, by engines that are there already.

====  ===============================================================================
mpi   mpi4py: each rank has a shard of the rows, each update adds up their gradients
dask  Dask: each worker trains on a shard, and after each round parameters are averaged
====  ===============================================================================

Neither module is loaded by this package: write ``from fastbp.distributed import mpi``.
"""

from fastbp.distributed.errors import WorkerError

__all__ = ["WorkerError"]
