"""`compiled_from`: a compiled net by its address."""

from __future__ import annotations

import ctypes
from typing import Any
from weakref import WeakValueDictionary

from fastbp.embed import words

MADE: WeakValueDictionary[int, Any] = WeakValueDictionary()
"""What was made, by address."""


def compiled_from(data: Any, kind: str) -> Any:
    """Find a compiled net by the address that a callback from C gets as its user data.

    Parameters
    ----------
    data : void pointer or int; in Python a ctypes.c_void_p or int
        `Compiled.user_data` or `Compiled.address`.
    kind : str
        `Compiled.kind` of that net: a global of the function, or a variable that it closes over.
        The code is compiled for it, and refuses other nets when it is called.

    Returns
    -------
    Compiled

    Raises
    ------
    ValueError
        When no net stands at the address, or one of another kind. Compiled code checks the kind
        alone.

    Examples
    --------
    >>> import numba
    >>> import numpy as np
    >>> import scipy.integrate
    >>> from fastbp import MLP, compiled_from
    >>> net = MLP((1, 4, 1), dtype="float64", weight_init="zeros")
    >>> net.biases[-1][:] = 2.0
    >>> f = net.compiled()
    >>> kind = f.kind
    >>> @numba.cfunc("float64(intc, CPointer(float64), voidptr)")
    ... def integrand(n, x, data):
    ...     out = np.empty(1)
    ...     compiled_from(data, kind).predict(numba.carray(x, 1), out)
    ...     return out[0]
    >>> callback = scipy.LowLevelCallable(integrand.ctypes, f.user_data)
    >>> scipy.integrate.quad(callback, -1, 2)[0]
    6.0
    """
    address = data.value if isinstance(data, ctypes.c_void_p) else data
    found = MADE.get(address or 0)
    if found is None:
        raise ValueError(
            f"no compiled net stands at address {address!r}; keep net.compiled() alive"
        )
    if found.kind != kind:
        raise ValueError(words.OTHER_KIND)
    return found
