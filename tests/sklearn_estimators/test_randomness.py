"""Random states as scikit-learn makes them, and their bits from compiled code."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from entry_points import entry_point
from sklearn.utils import check_random_state

from fastbp.machine.simd import next_uint32
from fastbp.sklearn.randomness import bits_of, random_state_of, shuffling_state_of


@entry_point
def draw(address, out):
    for i in range(out.size):
        out[i] = next_uint32(address)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, np.int64(7), True])
def test_a_seed_gives_scikit_learns_random_state(seed) -> None:
    ours, theirs = random_state_of(seed), check_random_state(seed)
    assert np.array_equal(ours.uniform(size=700), theirs.uniform(size=700))
    assert np.array_equal(ours.normal(size=3), theirs.normal(size=3))
    assert np.array_equal(ours.get_state()[1], theirs.get_state()[1])
    assert ours.get_state()[2:] == theirs.get_state()[2:]


def test_other_random_states_are_taken_as_they_are() -> None:
    given = np.random.RandomState(3)
    assert random_state_of(given) is given
    assert random_state_of(None) is check_random_state(None)
    with pytest.raises(ValueError, match="cannot be used to seed"):
        random_state_of("one")


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.PCG64, np.random.Philox])
def test_compiled_code_draws_the_same_bits(kind) -> None:
    ours, theirs = (np.random.RandomState(kind(5)) for _ in range(2))
    got = np.zeros(1500, np.int64)
    draw(bits_of(ours)[0], got)
    expected = theirs.randint(0, 2**32, size=1500, dtype=np.uint32)
    assert np.array_equal(got, expected)
    assert ours.randint(1000) == theirs.randint(1000), "the state has moved on"


def test_nobody_else_draws_while_the_lock_is_held() -> None:
    state, drawn = np.random.RandomState(1), []
    thread = threading.Thread(target=lambda: drawn.append(state.randint(5)))
    with bits_of(state)[1]:
        thread.start()
        thread.join(0.05)
        assert not drawn
    thread.join()
    assert len(drawn) == 1


def test_only_the_global_generator_gives_a_seed_instead_of_its_own_bits() -> None:
    given = np.random.RandomState(3)
    assert shuffling_state_of(given) is given
    shared = check_random_state(None)
    drawn = []
    for seed in (5, 5, 6):
        np.random.seed(seed)  # noqa: NPY002 - what users of it do
        private = shuffling_state_of(shared)
        assert private is not shared
        drawn.append(private.randint(2**31, size=4).tolist())
    assert drawn[0] == drawn[1] != drawn[2]
    assert shuffling_state_of(shared).randint(2**31) != drawn[2][0], "the next fit has another one"
