"""Timing: the work is checked first, then timed in interleaved rounds, the best of which counts.

Machines drift, so whatever is compared takes turns within one process, and figures from different
rounds never meet except as the best of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from peers import Peer

#: Updates after which results are compared, at least; always whole epochs.
CHECKED_STEPS = 20
#: How far losses may lie apart, relative to the smallest. Rounding alone makes up to 8e-5.
LOSS_TOLERANCE = 3e-4
#: How far two libraries' parameters may lie apart, relative to how far training has moved them,
#: in every array of weights or biases. Rounding alone makes up to 0.04 in the deepest net.
PARAMETER_TOLERANCE = 0.1


class DisagreementError(Exception):
    """Two libraries did not do the same work, so their times cannot be compared."""


def check_same_work(peers: Mapping[str, Peer]) -> None:
    """Train every peer from the same weights on the same batches and compare what came out.

    Parameters
    ----------
    peers : mapping of str to Peer
        The peers, all with the same workload. They are left trained.

    Raises
    ------
    DisagreementError
        If the losses over the data, or the parameters, differ by more than rounding explains.
    """
    names = list(peers)
    last = names[-1]
    workload = peers[last].workload
    start = {name: peer.parameters() for name, peer in peers.items()}
    for peer in peers.values():
        peer.train(ceil(CHECKED_STEPS / workload.steps), shuffle=False)
    losses = {name: peer.loss() for name, peer in peers.items()}
    moves = {
        name: [end - begin for end, begin in zip(peer.parameters(), start[name], strict=True)]
        for name, peer in peers.items()
    }
    apart = {name: worst_difference(moves[name], moves[last]) for name in names}

    spread = (max(losses.values()) - min(losses.values())) / min(losses.values())
    # Written so that a NaN fails as well.
    if spread <= LOSS_TOLERANCE and all(d <= PARAMETER_TOLERANCE for d in apart.values()):
        return
    lines = [f"  {name}: loss {losses[name]:.7g}, parameters {apart[name]:.2g}" for name in names]
    raise DisagreementError(
        f"{workload.name}: the libraries did not do the same work\n"
        + "\n".join(lines)
        + f"\n(losses may differ by {LOSS_TOLERANCE:g} of the smallest, parameters from {last}'s "
        f"by {PARAMETER_TOLERANCE:g} of the way they have moved)"
    )


def worst_difference(arrays: Sequence[NDArray], expected: Sequence[NDArray]) -> float:
    """Return the largest relative distance between arrays, in the Euclidean norm; NaN wins."""
    distances = [
        np.linalg.norm(array - right) / np.linalg.norm(right)
        for array, right in zip(arrays, expected, strict=True)
    ]
    return float(np.max(distances))


def seconds_per_call(
    actions: Mapping[str, Callable[[int], object]],
    *,
    rounds: int,
    seconds: float,
    before: Callable[[str], object] | None = None,
) -> dict[str, float]:
    """Time actions in turn: a, b, c, a, b, c, ...

    Parameters
    ----------
    actions : mapping of str to callable
        Each is called with a number of repetitions and carries them out.
    rounds : int
        Turns for each action; the best counts.
    seconds : float
        What a turn should last, at least. A repetition that takes longer is done once a turn.
    before : callable, optional
        Called with the name before every turn, outside the timing.

    Returns
    -------
    dict of str to float
        The least seconds per repetition of each action.
    """

    def turn(name: str, repetitions: int) -> float:
        if before is not None:
            before(name)
        begin = perf_counter()
        actions[name](repetitions)
        return perf_counter() - begin

    repetitions = {}
    for name in actions:
        turn(name, 1)  # compiles
        repetitions[name], lasted = 1, turn(name, 1)
        while lasted < seconds / 2:
            longer = ceil(repetitions[name] * min(100.0, seconds / max(lasted, 1e-9)))
            repetitions[name] = max(longer, 2 * repetitions[name])
            lasted = turn(name, repetitions[name])

    best = dict.fromkeys(actions, float("inf"))
    for _ in range(rounds):
        for name in actions:
            best[name] = min(best[name], turn(name, repetitions[name]) / repetitions[name])
    return best


def seconds_per_step(peers: Mapping[str, Peer], *, rounds: int, seconds: float) -> dict[str, float]:
    """Time shuffled epochs of training, every turn from the initial weights.

    Parameters
    ----------
    peers : mapping of str to Peer
        What is timed; the workloads may differ.
    rounds, seconds
        As in `seconds_per_call`.

    Returns
    -------
    dict of str to float
        The least seconds per update of each peer.
    """
    best = seconds_per_call(
        {name: peer.train for name, peer in peers.items()},
        rounds=rounds,
        seconds=seconds,
        before=lambda name: peers[name].reset(),
    )
    return {name: best[name] / peers[name].workload.steps for name in peers}
