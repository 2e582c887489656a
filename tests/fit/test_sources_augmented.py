"""`fit(augment=...)`: which batches are changed, by which random numbers, and what is trained."""

from __future__ import annotations

from functools import partial

import limited
import numpy as np
import pytest

from fastbp import MLP, SGD, GaussianNoise
from fastbp.fit.limits import Limits

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(50, 3)).astype("f4"), RNG.normal(size=(50, 2)).astype("f4")


make = partial(MLP, (3, 5, 2), optimizer=SGD(0.05, momentum=0.5), seed=3)


def noise(batch, rng):
    return batch + rng.normal(scale=0.1, size=batch.shape)


class Kept:
    """Notes what it is given and changes nothing."""

    def __init__(self) -> None:
        self.batches = []

    def __call__(self, batch, rng):
        self.batches.append(batch.copy())
        return batch


@pytest.mark.parametrize("part_bytes", [1, 300, 1 << 22])
def test_each_batch_is_given_once_an_epoch(part_bytes) -> None:
    limits = Limits(augmented_bytes=part_bytes)
    kept = Kept()
    limited.fit(make(), X, Y, limits=limits, epochs=3, batch_size=16, augment=kept)
    assert [len(batch) for batch in kept.batches] == [16, 16, 16, 2] * 3
    orders = []
    for epoch in range(3):
        rows = np.concatenate(kept.batches[4 * epoch : 4 * epoch + 4])
        orders.append([int(np.flatnonzero((X == row).all(axis=1))[0]) for row in rows])
        assert sorted(orders[-1]) == list(range(50))
    assert orders[0] != orders[1] != orders[2]
    kept = Kept()
    limited.fit(make(), X, Y, limits=limits, epochs=2, batch_size=16, shuffle=False, augment=kept)
    assert np.array_equal(np.concatenate(kept.batches), np.tile(X, (2, 1)))


@pytest.mark.parametrize("part_bytes", [1, 1 << 22])
@pytest.mark.parametrize("weighted", [False, True])
def test_what_is_trained_is_what_it_returns(weighted, part_bytes) -> None:
    """The same updates as of a loop of one's own over the changed batches."""
    given, weights = [], RNG.uniform(0.5, 2, 50) if weighted else None

    def change(batch, rng):
        changed = noise(batch, rng)
        given.append(changed.astype("f4"))
        return changed

    net, twin = make(l2=0.01), make(l2=0.01)
    scaled = None if weights is None else weights / weights.mean()
    history = limited.fit(net, X, Y, limits=Limits(augmented_bytes=part_bytes), epochs=2,
                          batch_size=20, shuffle=False, augment=change,
                          sample_weight=weights)  # fmt: skip
    losses, shares = [], []
    for batch, first in zip(given, [0, 20, 40] * 2, strict=True):
        some = slice(first, first + 20)
        losses.append(twin.step(batch, Y[some], None if scaled is None else scaled[some]))
        shares.append(len(batch))
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-5, atol=1e-7)
    epochs = np.average(np.reshape(losses, (2, 3)), axis=1, weights=shares[:3])
    np.testing.assert_allclose(history.loss, epochs, rtol=1e-6)


def test_the_seed_decides() -> None:
    def params(seed, epochs):
        net = MLP((3, 5, 2), seed=seed)
        for count in epochs:
            net.fit(X, Y, epochs=count, batch_size=16, augment=noise)
        return net.params

    assert np.array_equal(params(1, [6]), params(1, [6]))
    assert np.array_equal(params(1, [6]), params(1, [2, 1, 3]))
    assert not np.array_equal(params(1, [6]), params(2, [6]))


def test_noise_changes_from_epoch_to_epoch() -> None:
    seen = []

    def note(batch, rng):
        seen.append(rng.random())
        return batch

    make().fit(X, Y, epochs=5, batch_size=50, augment=note)
    assert len(set(seen)) == 5


def test_a_list_is_applied_from_left_to_right() -> None:
    net, twin = make(), make()
    net.fit(X, Y, epochs=3, augment=[lambda x, _: x + 1, lambda x, _: 2 * x], shuffle=False)
    twin.fit(2 * (X + 1), Y, epochs=3, shuffle=False)
    assert np.array_equal(net.params, twin.params)
    net, twin = make(), make()
    net.fit(X, Y, epochs=1, augment=())
    twin.fit(X, Y, epochs=1)
    assert np.array_equal(net.params, twin.params)


def test_in_place_it_never_touches_the_rows() -> None:
    def halve(batch, rng):
        batch *= 0.5
        return batch

    before, (net, twin) = X.copy(), (make(), make())
    net.fit(X, Y, epochs=2, augment=halve, shuffle=False)
    twin.fit(X / 2, Y, epochs=2, shuffle=False)
    assert np.array_equal(X, before)
    assert np.array_equal(net.params, twin.params)


def test_batches_and_arrays_on_disk(tmp_path) -> None:
    whole = [((2 * X[i : i + 10]).astype(int), Y[i : i + 10]) for i in range(0, 50, 10)]
    net, twin = make(), make()
    net.fit(whole, epochs=2, augment=lambda x, _: x + 0.25)
    twin.fit([(x + 0.25, y) for x, y in whole], epochs=2)
    assert np.array_equal(net.params, twin.params)

    limits = Limits(part_bytes=200, block_bytes=100)
    mapped = np.memmap(tmp_path / "X", np.float32, "w+", shape=X.shape)
    mapped[:] = X
    kept = Kept()
    limited.fit(make(), mapped, Y, limits=limits, epochs=1, batch_size=7, augment=kept)
    rows = np.concatenate(kept.batches)
    assert np.array_equal(np.sort(rows, axis=0), np.sort(X, axis=0))
    assert not np.array_equal(rows, X)
    kept = Kept()
    limited.fit(
        make(), mapped, Y, limits=limits, epochs=1, batch_size=7, augment=kept, shuffle=False
    )
    assert np.array_equal(np.concatenate(kept.batches), X)


def test_validation_and_metrics_see_the_rows_as_they_are() -> None:
    net = make()
    history = net.fit(
        X, Y, epochs=2, augment=GaussianNoise(5.0), validation_fraction=0.2, metrics="r2"
    )
    assert history.names[1:4] == ("r2", "val_loss", "val_r2")
    twin = make()
    twin.fit(X, Y, epochs=0, validation_fraction=0.2)  # draws the same rows
    kept = Kept()
    other = make()
    other.fit(X, Y, epochs=1, augment=kept, validation_fraction=0.2)
    trained = np.concatenate(kept.batches)
    held = np.array([not (trained == row).all(axis=1).any() for row in X])
    assert held.sum() == 10
    assert history["val_loss"][-1] == net.loss(X[held], Y[held])


def test_rows_without_weight() -> None:
    weights = np.ones(50)
    weights[10:30] = 0
    net = make()
    net.fit(X, Y, epochs=2, batch_size=10, sample_weight=weights, augment=noise)
    assert np.isfinite(net.params).all()


@pytest.mark.parametrize(
    ("augment", "kind", "message"),
    [
        (3, TypeError, r"augment must be a function \(X, rng\).*ImageShift.*got int 3"),
        (
            GaussianNoise,
            TypeError,
            "augment must be a function.*got the class GaussianNoise. Write Gaus",
        ),
        ([noise, None], TypeError, "augment must be a function.*got NoneType None"),
        (lambda x, _: x[:, :2], ValueError, r"shape \(16, 3\).*got shape \(16, 2\)"),
        (lambda x, _: None, TypeError, r"return numbers of shape \(16, 3\).*got NoneType"),
        (lambda x, _: x.astype(str), TypeError, "got dtype <U"),
        (lambda x, _: x * np.inf, ValueError, "X holds -?inf at row 0"),
    ],
)
def test_what_it_refuses(augment, kind, message) -> None:
    net = make()
    before = net.params.copy(), net.state.random.copy(), net.state.slots.copy()
    with pytest.raises(kind, match=message):
        net.fit(X, Y, batch_size=16, augment=augment)
    after = net.params, net.state.random, net.state.slots
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", [KeyError, ValueError, TypeError, ZeroDivisionError])
def test_an_error_of_an_augmentation_leaves_the_updates_so_far(kind) -> None:
    calls = []

    def breaks(X, _):
        calls.append(len(X))
        if len(calls) > 2 * 4:  # in the third epoch
            raise kind("mine")
        return X

    net, twin = make(), make()
    with pytest.raises(kind) as caught:
        net.fit(X, Y, batch_size=16, augment=breaks, epochs=5)
    assert any("keeps the updates so far" in note for note in caught.value.__notes__)
    twin.fit(X, Y, batch_size=16, augment=lambda X, _: X, epochs=2)
    assert np.array_equal(net.params, twin.params)
    assert len(net.history) == 2
