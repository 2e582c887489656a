"""scikit-learn's random states: made fast from a seed, and used in compiled code."""

from __future__ import annotations

from contextlib import AbstractContextManager
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISeedSequence
from sklearn.utils import check_random_state


class _NoSeed(ISeedSequence):
    """Zeros for a bit generator that is seeded later: the hash of a seed takes 0.1 ms."""

    def generate_state(self, n_words: int, dtype: npt.DTypeLike = np.uint32) -> npt.NDArray[Any]:
        """`n_words` zeros."""
        return np.zeros(n_words, dtype)


def random_state_of(given: Any) -> np.random.RandomState:
    """The same as scikit-learn's `check_random_state`; for an integer in a quarter of the time."""
    if not isinstance(given, Integral):
        state: np.random.RandomState = check_random_state(given)
        return state
    state = np.random.RandomState(np.random.MT19937(_NoSeed()))  # type: ignore[arg-type]
    state.seed(int(given))
    return state


def bits_of(random_state: np.random.RandomState) -> tuple[int, AbstractContextManager[Any]]:
    """Address and lock of the bit generator of a random state, which has to outlive its use.

    Parameters
    ----------
    random_state : numpy.random.RandomState

    Returns
    -------
    address : int
        Address of NumPy's `bitgen_t`, for compiled code.
    lock : context manager
        Hold it while the generator is used, so that nobody else draws from it.
    """
    generator: Any = random_state._bit_generator  # it has no public name
    return int(generator.ctypes.bit_generator.value), generator.lock
