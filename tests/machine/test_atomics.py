"""Atomic operations, in threads that are without the interpreter's lock when compiled."""

from __future__ import annotations

import threading

import numba
import numpy as np
from helpers import COMPILED

from fastbp.machine import waiting
from fastbp.machine.simd import (  # fmt: skip
    atomic_add,
    atomic_load,
    atomic_store,
    give_way,
    load,
    pause,
    pointer,
    store,
)

THREADS = 4
TURNS = 500_000 if COMPILED else 100
ROUNDS = 10  # the system may have all threads run on one core for a while
NEXT, BELL, FIRST = 0, 16, 32


def in_threads(function, *arguments):
    """Call a function in several threads at once; what each call returned."""
    found = [None] * THREADS

    def one(number):
        found[number] = function(*arguments, number)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@numba.njit(nogil=True)
def take(words, taken, turns, give, number):
    """Take numbers from a counter, and count which were taken; the sum of those."""
    p, q = pointer(words, 0), pointer(taken, 0)
    total = 0
    atomic_store(p, FIRST + number, 1)
    for other in range(THREADS):
        while atomic_load(p, FIRST + other) == 0:  # until all are here
            give_way(give)
    for _ in range(turns):
        ticket = atomic_add(p, NEXT, 1)
        store(q, ticket, load(q, ticket) + 1)
        total += ticket
    return total


def test_every_number_is_taken_once():
    taken = np.zeros(THREADS * TURNS, np.int64)
    for number in range(ROUNDS):
        words = np.zeros(FIRST + THREADS, np.int64)
        totals = in_threads(take, words, taken, TURNS, waiting.address_of_yield())
        assert words[NEXT] == THREADS * TURNS
        assert (taken == number + 1).all()
        assert sum(totals) == taken.size * (taken.size - 1) // 2


@numba.njit(nogil=True)
def pass_on(words, give, turns, number):
    """Wait for one's turn, read what the one before has written, write the next."""
    p = pointer(words, 0)
    for turn in range(number, THREADS * turns, THREADS):
        waited = 0
        while atomic_load(p, BELL) != turn:
            waited += 1
            if waited < 100:
                pause()
            else:
                give_way(give)
        for i in range(FIRST, FIRST + 8):
            store(p, i, load(p, i) + turn)
        atomic_store(p, BELL, turn + 1)
    return 0


def test_what_was_written_before_a_store_is_seen_after_its_load():
    turns = max(10, TURNS // 250)
    words = np.zeros(FIRST + 8, np.int64)
    in_threads(pass_on, words, waiting.address_of_yield(), turns)
    count = THREADS * turns
    assert words[BELL] == count
    assert (words[FIRST:] == count * (count - 1) // 2).all()


@numba.njit
def operations(words, address):
    """Each operation once."""
    p = pointer(words, 0)
    before = atomic_add(p, 1, -3)
    atomic_store(p, 0, atomic_load(p, 1) + 10)
    pause()
    give_way(address)
    give_way(0)  # no function: nothing is called
    return before


def test_in_one_thread():
    words = np.array([5, 7, 9], np.int64)
    assert operations(words, waiting.address_of_yield()) == 7
    assert words.tolist() == [14, 4, 9]


def test_the_system_has_a_function_that_yields(monkeypatch):
    assert waiting.address_of_yield() > 0
    monkeypatch.setattr(waiting.ctypes, "CDLL", lambda name: object())
    monkeypatch.setattr(waiting.os, "name", "posix")
    assert waiting.address_of_yield() == 0
