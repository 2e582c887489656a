"""`decision_boundary`: the line stands where the net says 1/2, regions have its classes."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.contour import QuadContourSet
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from fastbp import MLP
from fastbp.plot import decision_boundary
from fastbp.sklearn import MLPClassifier

RNG = np.random.default_rng(1)
X = RNG.uniform(-1, 1, size=(40, 2))
Y = (X[:, 0] > 0.25).astype(int)


def upright(**options):
    """A net whose output is 1/2 at x = 0.25: one hidden unit that has its 0 there."""
    net = MLP((2, 1, 1), activation="tanh", **options)
    net.weights[0][...], net.biases[0][...] = [[4.0], [0.0]], -1.0
    net.weights[1][...] = 3.0
    return net


def points(ax):
    return [c for c in ax.collections if isinstance(c, PathCollection)]


def border(ax):
    """Vertices of the contour that is the boundary."""
    sets = [c for c in ax.collections if isinstance(c, QuadContourSet) and not c.filled]
    return np.concatenate([path.vertices for one in sets for path in one.get_paths()])


@pytest.mark.parametrize(
    ("loss", "y"), [("binary_cross_entropy", Y), ("hinge", 2 * Y - 1), ("squared_error", 2 * Y - 1)]
)
def test_one_output(loss: str, y: np.ndarray) -> None:
    ax = decision_boundary(upright(loss=loss), X, y, hidden=True)
    line = border(ax)
    assert np.allclose(line[:, 0], 0.25, atol=2e-3)
    assert np.ptp(line[:, 1]) > 1.8
    for collection, name in zip(points(ax), np.unique(y), strict=True):
        assert np.array_equal(collection.get_offsets(), X[y == name])
        assert collection.get_label() == str(name)
    (unit,) = ax.lines  # of the one hidden unit
    assert unit.get_xdata().tolist() == [0.25, 0.25]
    assert np.allclose(sorted(unit.get_ydata()), ax.get_ylim())
    assert ax.get_xlabel() == "X[:, 0]" and ax.get_ylabel() == "X[:, 1]"
    assert ax.get_title() == "Decision boundary"


def test_several_outputs_have_a_colour_each() -> None:
    net = MLP((2, 3), loss="cross_entropy", weight_init="zeros")
    net.weights[0][...] = [[4.0, 0.0, -4.0], [0.0, 0.0, 0.0]]
    net.biases[0][...] = [-2.0, 0.0, -2.0]  # class 2 left of -1/2, class 0 right of 1/2
    y = np.select([X[:, 0] > 0.5, X[:, 0] > -0.5], [0, 1], 2)
    ax = decision_boundary(net, X, y, resolution=101)
    image = ax.images[0].get_array()
    left, right, *_ = ax.images[0].get_extent()
    at = np.linspace(left, right, 101)
    found = [at[(image[50] == image[50, column]).all(axis=1)] for column in (0, 50, 100)]
    assert found[0].max() < -0.5 < found[1].min() < found[1].max() < 0.5 < found[2].min()
    for collection, name in zip(points(ax), (0, 1, 2), strict=True):
        place = int(np.abs(at - X[y == name][0, 0]).argmin())
        assert np.allclose(collection.get_facecolor()[0][:3], image[50, place][:3])
    one_hot = decision_boundary(net, X, np.eye(3)[y], resolution=101)
    assert np.array_equal(one_hot.images[0].get_array(), image)


def test_estimators_by_their_classes() -> None:
    names = np.array(["left", "right"])[Y]
    model = LogisticRegression(C=1e4).fit(X, names)
    line = border(decision_boundary(model, X, names))
    shares = model.predict_proba(line)
    assert np.allclose(shares, 0.5, atol=0.02)
    many, y = make_blobs(60, centers=3, random_state=0)
    classes = np.array(["a", "b", "c"])[y]
    ours = MLPClassifier((4,), solver="lbfgs", max_iter=5000, random_state=0).fit(many, classes)
    ax = decision_boundary(ours, many, classes, resolution=30)
    left, right, low, high = ax.images[0].get_extent()
    grid = np.stack(np.meshgrid(np.linspace(left, right, 30), np.linspace(low, high, 30)), -1)
    asked = ours.predict(grid.reshape(-1, 2)).reshape(30, 30)
    image = ax.images[0].get_array()
    for collection, name in zip(points(ax), "abc", strict=True):
        color = collection.get_facecolor()[0][:3]
        assert np.array_equal(np.isclose(image[..., :3], color).all(axis=-1), asked == name)


def test_what_cannot_be_drawn() -> None:
    net = upright(loss="binary_cross_entropy")
    with pytest.raises(ValueError, match=r"X must have shape \(rows, 2\), two inputs"):
        decision_boundary(net, np.ones((3, 3)), [0, 1, 0])
    with pytest.raises(ValueError, match="a class for each of the 40 rows"):
        decision_boundary(net, X, Y[:3])
    with pytest.raises(ValueError, match="at most 20 of them; got 40"):
        decision_boundary(net, X, X[:, 0])
    with pytest.raises(TypeError, match="hidden=True needs an MLP"):
        decision_boundary(LogisticRegression().fit(X, Y), X, Y, hidden=True)
    with pytest.raises(ValueError, match="more classes need one output each"):
        decision_boundary(net, X, np.arange(40) % 3)


def test_lines_of_hidden_units_end_at_the_frame() -> None:
    net = MLP((2, 4, 1), loss="binary_cross_entropy", seed=0)
    net.weights[0][...] = [[1.0, 0.0, 2.0, 1.0], [-2.0, 3.0, 1.0, 1.0]]
    net.biases[0][...] = [0.25, -1.5, 0.5, 9.0]  # the last misses the frame
    ax = decision_boundary(net, X, Y, hidden=True, resolution=10)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert len(ax.lines) == 3
    for unit, line in enumerate(ax.lines):
        ends = line.get_xydata()
        assert np.allclose(ends @ net.weights[0][:, unit] + net.biases[0][unit], 0, atol=1e-6)
        at_edge = np.isclose(ends[:, 0, None], [left, right]).any(axis=1)
        assert (at_edge | np.isclose(ends[:, 1, None], [low, high]).any(axis=1)).all()
        assert np.abs(ends[0] - ends[1]).max() > 0.5
