"""`loss_surface`: losses on the plane, the path on it, and the directions of Li et al."""

from __future__ import annotations

import numpy as np
import pytest

from fastbp import MLP, SGD
from fastbp.plot import Recorder, loss_surface
from fastbp.plot.surface import plane_losses, random_direction

RNG = np.random.default_rng(4)
X = RNG.normal(size=(30, 2))
Y = X @ [2.0, -1.0]


def linear():
    """A net of two weights, whose loss is a quadratic function that is known."""
    net = MLP((2, 1), bias=False, dtype="float64", optimizer=SGD(0.1), seed=0)
    return net


def quadratic(weights):
    return 0.5 * np.mean((X @ weights - Y) ** 2)


def test_losses_on_the_plane() -> None:
    net = linear()
    before = net.params.copy()
    first, second = np.linspace(-1, 1, 5), np.linspace(0, 2, 4)
    plane = np.array([[1.0, 2.0], [0.0, -1.0]])
    found = plane_losses(net, X, Y, plane, first, second)
    expected = [[quadratic(before + a * plane[0] + b * plane[1]) for a in first] for b in second]
    assert np.allclose(found, expected, rtol=1e-12)
    assert np.array_equal(net.params, before)


def test_path_on_given_directions() -> None:
    net, recorder = linear(), Recorder()
    net.fit(X, Y, epochs=6, callbacks=recorder)
    before = net.params.tobytes(), net.state.random.tobytes(), net.state.slots.tobytes()
    ax = loss_surface(net, X, Y, path=recorder, directions=np.eye(2), resolution=9)
    assert (net.params.tobytes(), net.state.random.tobytes(), net.state.slots.tobytes()) == before
    line = next(line for line in ax.lines if line.get_label() == "path")
    assert np.allclose(line.get_xydata(), recorder.params - net.params)
    start = next(line for line in ax.lines if line.get_label() == "start")
    assert np.allclose(start.get_xydata(), recorder.params[:1] - net.params)
    star = next(line for line in ax.lines if line.get_label() == "net")
    assert star.get_xydata().tolist() == [[0, 0]]
    lowest = next(line for line in ax.lines if line.get_label() == "lowest loss drawn")
    grid = [np.linspace(*limits, 9) for limits in (ax.get_xlim(), ax.get_ylim())]
    losses = {(a, b): quadratic(net.params + [a, b]) for a in grid[0] for b in grid[1]}
    assert np.allclose(lowest.get_xydata(), [min(losses, key=losses.__getitem__)])
    ticks = [text.get_text() for text in ax.figure.axes[1].get_yticklabels()]
    assert 3 <= len(ticks) <= 8 and all(len(tick.strip("0.")) <= 2 for tick in ticks), ticks
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("directions[0]", "directions[1]")
    assert ax.get_title() == "Loss surface"
    assert ax.figure.axes[1].get_ylabel() == "Loss"
    filled = ax.collections[0]
    corners = [[a, b] for a in ax.get_xlim() for b in ax.get_ylim()]
    assert filled.get_clim()[1] == pytest.approx(max(quadratic(net.params + c) for c in corners))


def test_principal_components_of_a_path() -> None:
    net = MLP((2, 3, 1), seed=0)
    across, up = np.linalg.qr(RNG.normal(size=(net.params.size, 2)))[0].T
    steps = np.array([[10.0, 0.0], [6.0, 1.0], [2.0, -1.0], [0.0, 0.0]])
    ax = loss_surface(net, X, Y, path=net.params + steps @ [across, up], resolution=5)
    found = next(line for line in ax.lines if line.get_label() == "path").get_xydata()
    distances = np.linalg.norm(found[:, None] - found, axis=-1)
    assert np.allclose(distances, np.linalg.norm(steps[:, None] - steps, axis=-1), atol=1e-4)
    _, sizes, _ = np.linalg.svd(steps)
    share = sizes[0] ** 2 / (sizes**2).sum()
    assert ax.get_xlabel() == f"First principal component ({share:.0%})"


def test_random_directions_have_the_norms_of_the_units() -> None:
    net = MLP((2, 5, 3), seed=0)
    net.biases[0][...] = 7.0
    direction = random_direction(net, np.random.default_rng(0))
    twin = MLP((2, 5, 3), dtype="float64")
    twin.params[:] = direction
    for layer in (0, 1):
        norms = np.linalg.norm(net.weights[layer], axis=0)
        assert np.allclose(np.linalg.norm(twin.weights[layer], axis=0), norms)
        assert not twin.biases[layer].any()
    ax = loss_surface(net, X, np.tile(Y[:, None], 3), span=0.5, resolution=3)
    assert ax.get_xlabel() == "First random direction"
    assert np.allclose(ax.get_xlim(), (-0.5, 0.5))


def test_what_spans_no_plane() -> None:
    net = linear()
    with pytest.raises(ValueError, match="needs a path of at least three points"):
        loss_surface(net, X, Y, directions="pca")
    with pytest.raises(ValueError, match="its points lie on a line"):
        loss_surface(net, X, Y, path=net.params + np.arange(4.0)[:, None])
    with pytest.raises(ValueError, match="two vectors that are not parallel"):
        loss_surface(net, X, Y, directions=[[1.0, 1.0], [2.0, 2.0]])
    with pytest.raises(ValueError, match=r"path must have shape \(rows, 2\)"):
        loss_surface(net, X, Y, path=np.ones((3, 5)))
    with pytest.raises(ValueError, match="directions must be one of 'random', 'pca'"):
        loss_surface(net, X, Y, directions="filter")
    with pytest.raises(TypeError, match="net must be an MLP"):
        loss_surface(None, X, Y)
