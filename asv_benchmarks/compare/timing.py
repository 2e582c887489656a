"""Timing: the work is checked first, then timed in interleaved rounds, the best of which counts.

Machines drift, so whatever is compared takes turns within one process, and figures from different
rounds never meet except as the best of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compare.peers import Peer

#: Updates after which results are compared, at least; always whole epochs.
CHECKED_STEPS = 20


class Tolerance(NamedTuple):
    """How far a library may lie from fastbp after the same work.

    Attributes
    ----------
    loss : float
        Difference of the losses, relative to fastbp's.
    parameters : float
        Difference of each array of weights or biases, relative to how far training has moved it.
    outputs : float
        Difference of the outputs of the same net, relative to their Euclidean norm.
    """

    loss: float
    parameters: float
    outputs: float


#: Rounding, and where Adam's epsilon stands, make up to 8e-5 and 0.04 in the deepest net.
LOOSE = Tolerance(3e-4, 0.1, 1e-5)
#: In float64, with the same epsilon, up to 1e-15 was seen.
TIGHT = Tolerance(1e-9, 1e-6, 1e-12)


class DisagreementError(Exception):
    """Two libraries did not do the same work, so their times cannot be compared."""


def tolerance_of(peer: Peer) -> Tolerance:
    """Return how far a library may lie from fastbp."""
    return TIGHT if peer.dtype == "float64" and peer.same_epsilon else LOOSE


def check_same_work(peers: Mapping[str, Peer]) -> None:
    """Train every peer from the same weights on the same batches and compare what came out.

    Parameters
    ----------
    peers : mapping of str to Peer
        The peers, all with the same workload and dtype; the others are held against the first.
        They are left trained.

    Raises
    ------
    DisagreementError
        If the losses over the data, or the parameters, differ by more than rounding explains.
    """
    first = next(iter(peers))
    workload = peers[first].workload
    start = {name: peer.parameters() for name, peer in peers.items()}
    for peer in peers.values():
        peer.train(ceil(CHECKED_STEPS / workload.steps), shuffle=False)
    losses = {name: peer.loss() for name, peer in peers.items()}
    moves = {
        name: [end - begin for end, begin in zip(peer.parameters(), start[name], strict=True)]
        for name, peer in peers.items()
    }
    apart = {name: worst_difference(moves[name], moves[first]) for name in peers}
    wrong = []
    for name, peer in peers.items():
        allowed = tolerance_of(peer)
        # Written so that a NaN fails as well.
        same_loss = abs(losses[name] - losses[first]) <= allowed.loss * losses[first]
        if not (same_loss and apart[name] <= allowed.parameters):
            wrong.append(
                f"{name}'s loss may differ by {allowed.loss:g} of {first}'s, its parameters by "
                f"{allowed.parameters:g} of the distance they have moved"
            )
    if wrong:
        lines = [
            f"  {name}: loss {losses[name]:.12g}, parameters {apart[name]:.2g}" for name in peers
        ]
        raise DisagreementError(
            f"{workload.name}, {peers[first].dtype}: the libraries did not do the same work\n"
            + "\n".join([*lines, *wrong])
        )


def check_same_outputs(peers: Mapping[str, Peer], X: NDArray) -> None:
    """Compare what the peers, all with the initial weights, predict for `X`.

    Raises
    ------
    DisagreementError
        If outputs differ from those of the first by more than rounding explains, or in shape.
    """
    first = next(iter(peers))
    outputs = {name: peer.predict(X) for name, peer in peers.items()}
    expected = outputs[first]
    apart = {
        name: worst_difference([y], [expected]) if y.shape == expected.shape else np.inf
        for name, y in outputs.items()
    }
    if all(apart[name] <= tolerance_of(peer).outputs for name, peer in peers.items()):
        return
    lines = [f"  {name}: {outputs[name].shape}, apart {apart[name]:.2g}" for name in peers]
    raise DisagreementError(
        f"{peers[first].workload.name}, {peers[first].dtype}: the libraries predict different "
        f"outputs from the same weights\n" + "\n".join(lines)
    )


def worst_difference(arrays: Sequence[NDArray], expected: Sequence[NDArray]) -> float:
    """Return the largest relative distance between arrays, in the Euclidean norm; NaN wins."""
    distances = [
        np.linalg.norm(array - right) / np.linalg.norm(right)
        for array, right in zip(arrays, expected, strict=True)
    ]
    return float(np.max(distances))


def repeated(function: Callable[[Any], object], argument: Any) -> Callable[[int], None]:
    """Return what calls a function with one argument so many times."""

    def repeat(repetitions: int) -> None:
        for _ in range(repetitions):
            function(argument)

    return repeat


def rounds_of_calls(
    actions: Mapping[str, Callable[[int], object]],
    *,
    rounds: int,
    seconds: float,
    before: Callable[[str], object] | None = None,
) -> dict[str, list[float]]:
    """Time actions in turn: a, b, c, a, b, c, ...

    Parameters
    ----------
    actions : mapping of str to callable
        Each is called with a number of repetitions and carries them out.
    rounds : int
        Turns for each action.
    seconds : float
        What a turn should last, at least. A repetition that takes longer is done once a turn.
    before : callable, optional
        Called with the name before every turn, outside the timing.

    Returns
    -------
    dict of str to list of float
        Seconds per repetition of each action, by round.
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
        repetitions[name] = 1
        lasted = turn(name, 1)
        while lasted < seconds / 2:
            longer = ceil(repetitions[name] * min(100.0, seconds / max(lasted, 1e-9)))
            repetitions[name] = max(longer, 2 * repetitions[name])
            lasted = turn(name, repetitions[name])

    found: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name in actions:
            found[name].append(turn(name, repetitions[name]) / repetitions[name])
    return found


def rounds_of_steps(
    peers: Mapping[str, Peer], *, rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Time shuffled epochs of training, every turn from the initial weights.

    Parameters
    ----------
    peers : mapping of str to Peer
        What is timed; the workloads may differ.
    rounds, seconds
        As in `rounds_of_calls`.

    Returns
    -------
    dict of str to list of float
        Seconds per update of each peer, by round.
    """
    found = rounds_of_calls(
        {name: peer.train for name, peer in peers.items()},
        rounds=rounds,
        seconds=seconds,
        before=lambda name: peers[name].reset(),
    )
    return {
        name: [time / peers[name].workload.steps for time in times] for name, times in found.items()
    }


def median_ratio(found: Mapping[str, Sequence[float]], above: str, below: str) -> float:
    """Return the median over the rounds of one action's time over another's."""
    return float(np.median(np.divide(found[above], found[below])))
