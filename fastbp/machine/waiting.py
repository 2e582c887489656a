"""What Python finds for compiled code that waits for other threads."""

from __future__ import annotations

import ctypes
import os
from typing import Any


def address_of_yield() -> int:
    """Where the system's function stands that lets another thread run; 0 where there is none.

    It is `sched_yield` of POSIX or `SwitchToThread` of Windows, for `atomics.give_way`.
    """
    system: Any = ctypes
    try:
        if os.name == "nt":
            function = system.WinDLL("kernel32").SwitchToThread
        else:
            function = system.CDLL(None).sched_yield
    except (OSError, AttributeError, TypeError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0
