"""The handle of a net: a row of int64 with all that compiled code of users needs to find.

First come the cells below, then `N_SPACE_CELLS` cells for each workspace. A workspace is two pairs
of tables (`fastbp.kernels.table.Table`): for prediction and for derivatives, for one row and for
many. Who calls claims one by its CLAIMED, and puts it back. So threads need not know of each other.
"""

EMBEDDED, ENTRY = 0, 1
"""Addresses of `embed.kernels.embedded` and `kernels.entry.train_and_predict`, for the dtype."""
N_IN, N_OUT, N_PARAMS, CAPACITY, N_SPACES = range(2, 7)
"""Sizes of the net; rows that a workspace takes in one pass; how many workspaces there are."""
PARAMS = 7
"""Address of the parameters."""
SPACES = 16
"""The first of the workspaces' cells."""

CLAIMED = 0
"""1 while a thread works with the workspace; all by itself in a line of the cache."""
ONE, MANY, LEARN_ONE, LEARN_MANY = range(1, 5)
"""Addresses of the tables."""
N_SPACE_CELLS = 8
