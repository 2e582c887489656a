"""A team: the threads that carry out one call together. How they wait, and how they share work.

Words that different threads write stand on lines of the cache of their own. Every member calls the
same entry point (threads.py) with a table of its own; member 0 leads.

Work is cut into items in one order, and each member owns a run of them, the same ones in every
pass: what it writes stays in its cache. A member takes its items by a counter; when they are gone
it takes those of the others, so that no slow core is waited for longer than an item.
"""

from fastbp.machine.jit import kernel
from fastbp.machine.simd import atomic_add, atomic_load, atomic_store, give_way, load, pause

LINE = 16
"""Words from one line to the next: two lines of 64 bytes, which processors fetch together."""
ARRIVED, GENERATION = 0, LINE
"""At the barrier: how many wait, and how often it has opened."""
STOPPED, YIELD = GENERATION + 1, GENERATION + 2
"""Whether the team is to give up; the address of what lets other threads run."""
TOLD = 2 * LINE
"""From here on what the leader tells the others."""
COUNTERS = 3 * LINE
"""From here on one counter a member for each queue."""
N_QUEUES = 3
COLUMN_QUEUE, BLOCK_QUEUE, UPDATE_QUEUE = range(N_QUEUES)

SPINS = 200
"""Turns, of some 3 to 10 us, after which a waiting member lets other threads run. Many more would
waste the turn of a core that another member needs."""


def words(members: int) -> int:
    """Length of the array of a team."""
    return COUNTERS + N_QUEUES * members * LINE


@kernel
def barrier(team, members):
    """Wait until all members are here; False if the team was stopped meanwhile."""
    generation = atomic_load(team, GENERATION)
    if atomic_add(team, ARRIVED, 1) == members - 1:
        atomic_store(team, ARRIVED, 0)
        atomic_store(team, GENERATION, generation + 1)
        return True
    turns = 0
    while atomic_load(team, GENERATION) == generation:
        if atomic_load(team, STOPPED) != 0:
            return False
        turns += 1
        if turns < SPINS:
            pause()
        else:
            give_way(load(team, YIELD))
    return True


@kernel
def counter_of(queue, members, owner):
    """Where the counter of an owner's items stands."""
    return COUNTERS + (queue * members + owner) * LINE


@kernel
def restart(team, queue, members, owner):
    """Offer all items of an owner again; between two barriers where nobody takes any."""
    atomic_store(team, counter_of(queue, members, owner), 0)


@kernel
def next_item(team, queue, members, owner, count, own):
    """Number of the owner's next item, out of `count`; `count` or more when none is left."""
    at = counter_of(queue, members, owner)
    if not own and atomic_load(team, at) >= count:
        return count  # without fetching the line for writing
    return atomic_add(team, at, 1)
