"""``python -m fastbp demo | info | warmup``: a file for each command."""

DTYPES = ("float32", "float64")
UNCOMPILED = "NUMBA_DISABLE_JIT is set, so nothing is compiled"
