"""``python -m fastbp demo | info | warmup | build | show | export``: a file for each command.

`contents` reads the files that `show` and `export` take; `printing` is how they and `info` print.
"""

DTYPES = ("float32", "float64")
UNCOMPILED = "NUMBA_DISABLE_JIT is set, so nothing is compiled"
