"""The handle of a net: a row of int64 with all that compiled code of users needs to find.

First come the cells below, then `N_SPACE_CELLS` cells for each workspace. A workspace is three
pairs of tables (`fastbp.kernels.table.Table`), each for one row and for many. Who calls claims one
by its CLAIMED, and puts it back. So threads need not know of each other.
"""

EMBEDDED, ENTRY = 0, 1
"""Addresses of `embed.kernels.embedded` and `kernels.entry.train_and_predict`, for the dtype."""
N_IN, N_OUT, N_PARAMS, CAPACITY, N_SPACES = range(2, 7)
"""Sizes of the net; rows that a workspace takes in one pass; how many workspaces there are."""
PARAMS = 7
"""Address of the parameters."""
STEP_ONE, STEP_MANY, APPLY = range(8, 11)
"""Addresses of the tables of updates, for one row, for many, and by a gradient. There is one of
each: whoever updates the parameters has them for himself anyway."""
KIND = 11
"""What `embedding.number_of` makes of the net's kind."""
SPACES = 16
"""The first of the workspaces' cells."""

CLAIMED = 0
"""1 while a thread works with the workspace."""
PREDICT_ONE, PREDICT_MANY, LOSS_ONE, LOSS_MANY, VJP_ONE, VJP_MANY = range(1, 7)
"""Addresses of the tables. Those of losses may have the net inputs of the last layer as outputs."""
N_SPACE_CELLS = 8
"""One line of the cache: threads that claim workspaces do not take lines from each other."""
