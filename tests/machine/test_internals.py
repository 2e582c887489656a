"""How it is seen that Numba has other internals, and a whole net without ours."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import needs_compiler

import fastbp
from fastbp.machine.internals import has, require

ROOT = Path(fastbp.__file__).parents[1]


def wrapping(function):
    @functools.wraps(function)
    def wrapped(*args):
        return function(*args)

    return wrapped


class Base:
    in_class = 1

    def __init__(self) -> None:
        self.written = 2


class Library(Base):
    @wrapping
    def method(self):
        return self.read


@pytest.mark.parametrize("name", ["in_class", "written", "method", "read"])
def test_names_that_are_there(name: str) -> None:
    assert has(Library, name)


def test_names_that_are_missing() -> None:
    assert not has(Library, "moved")
    require(Library, "in_class written read method")
    with pytest.raises(AttributeError, match=r"Library has no moved, gone$"):
        require(Library, "in_class moved written gone")


TRAIN = """
import json, sys, warnings
import numba.core.untyped_passes, numba.core.caching
del numba.core.untyped_passes.RewriteDynamicRaises, numba.core.caching._Cache
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    sys.path.append(sys.argv[1])
    from test_internals import train
    losses, params = train()
print(json.dumps([losses, params, [str(warning.message) for warning in caught]]))
"""


def train() -> tuple[list[float], str]:
    """Losses and the bits of the parameters of a small net."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 5)).astype(np.float32)
    y = rng.integers(3, size=64)
    net = fastbp.MLP((5, 7, 3), activation="tanh", loss="cross_entropy", dropout=0.1, seed=0)
    history = net.fit(X, y, epochs=3, batch_size=16)
    return history.loss, net.params.tobytes().hex()


@pytest.mark.slow
@needs_compiler
def test_a_net_learns_the_same_without_the_internals() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(Path(__file__).parent)],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "FASTBP_OBJECTS": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    losses, params, caught = json.loads(done.stdout)
    assert (losses, params) == train()
    (warning,) = caught
    assert "inner functions are compiled more than once" in warning
    assert "nothing is cached" in warning
