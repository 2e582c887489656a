"""What Numba is told by its settings, without importing Numba where that is not done yet."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

COMPILING = (
    "BOUNDSCHECK", "CPU_FEATURES", "CPU_NAME", "DEBUGINFO_DEFAULT", "DEBUG_NRT",
    "DISABLE_INTEL_SVML", "ENABLE_AVX", "ENABLE_PROFILING", "LLVM_REFPRUNE_FLAGS",
    "LLVM_REFPRUNE_PASS", "LOOP_VECTORIZE", "OPT", "SLP_VECTORIZE", "USING_SVML",
)  # fmt: skip
"""What Numba reads when it compiles; a version of Numba may lack some."""
_UNSET = ("BOUNDSCHECK", "CPU_FEATURES", "CPU_NAME")  # those of COMPILING that are None by default


def _config() -> Any:
    """Numba's configuration; None where Numba is not imported, or not yet."""
    return getattr(sys.modules.get("numba"), "config", None)


def _text(name: str) -> str:
    return os.environ.get(f"NUMBA_{name}", "")


def compiles() -> bool:
    """Whether functions are compiled: not with ``NUMBA_DISABLE_JIT=1``."""
    config = _config()
    if config is not None:
        return not config.DISABLE_JIT
    return _text("DISABLE_JIT").strip() in ("", "0")


def chosen() -> str:
    """A setting by which the user has chosen how to compile; empty where there is none."""
    config = _config()
    if not compiles():
        return "NUMBA_DISABLE_JIT"
    for name in COMPILING:
        text = str(getattr(config, name, None) or "") if config and name in _UNSET else _text(name)
        if text:
            return f"NUMBA_{name}"
    return ".numba_config.yaml" if Path(".numba_config.yaml").exists() else ""
