"""Networks transform only if they are asked to."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.neural_network
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

import fastbp.sklearn

X, Y = load_iris(return_X_y=True)
METHODS = ("transform", "fit_transform", "set_output", "get_feature_names_out")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
each_kind = pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])


def net_of(name: str, **options):
    kind = getattr(fastbp.sklearn, name)
    return kind(hidden_layer_sizes=(5, 3), max_iter=3, random_state=0, **options)


@each_kind
def test_by_default_they_are_no_transformers(name) -> None:
    net = net_of(name).fit(X, Y)
    theirs = getattr(sklearn.neural_network, name)(max_iter=3).fit(X, Y)
    assert [method for method in METHODS if hasattr(net, method)] == []
    for method in METHODS:
        has = hasattr(make_pipeline(theirs), method)
        assert hasattr(make_pipeline(net), method) == has
    with pytest.raises(AttributeError, match="has no attribute 'transform'") as error:
        net.transform(X)
    assert "as_transformer=True" in str(error.value.__cause__)
    with pytest.raises(TypeError, match="All intermediate steps should be transformers"):
        make_pipeline(net, LogisticRegression()).fit(X, Y)
    with pytest.raises(TypeError, match="should implement"):
        make_column_transformer((net_of(name), [0, 1])).fit(X, Y)
    assert get_tags(net).transformer_tags is None
    assert get_tags(net) == get_tags(theirs)


@each_kind
def test_asked_for(name) -> None:
    net = net_of(name, as_transformer=True)
    assert all(hasattr(net, method) for method in METHODS)
    features = net.fit_transform(X, Y)
    assert features.shape == (150, 3)
    plain = net_of(name).fit(X, Y)
    hidden = X
    for weights, biases in zip(plain.coefs_[:-1], plain.intercepts_[:-1], strict=True):
        hidden = np.maximum(hidden @ weights + biases, 0)
    np.testing.assert_allclose(features, hidden, rtol=1e-9, atol=1e-12)
    names = [f"{name.lower()}{i}" for i in range(3)]
    assert net.get_feature_names_out().tolist() == names
    assert get_tags(net).transformer_tags.preserves_dtype == ["float64", "float32"]
    table = net.set_output(transform="pandas").transform(X)
    assert list(table.columns) == names
    assert list(clone(net).fit_transform(X, Y).columns) == names
    pipeline = make_pipeline(clone(net), LogisticRegression()).fit(X, Y)
    assert list(pipeline[:-1].get_feature_names_out()) == names
    assert pipeline.predict(X).shape == (150,)


@each_kind
def test_it_may_be_asked_for_after_a_fit(name) -> None:
    net = net_of(name).fit(X, Y)
    assert net.set_params(as_transformer=True).transform(X).shape == (150, 3)
    assert not hasattr(net.set_params(as_transformer=False), "transform")
    with pytest.raises(ValueError, match="The 'as_transformer' parameter of .* must be"):
        net.set_params(as_transformer="yes").fit(X, Y)


def test_from_models_of_scikit_learn() -> None:
    theirs = sklearn.neural_network.MLPClassifier((4,), max_iter=2, random_state=0).fit(X, Y)
    ours = fastbp.sklearn.MLPClassifier.from_sklearn(theirs)
    assert not hasattr(ours, "transform")
    ours.as_transformer = True
    hidden = np.maximum(X @ theirs.coefs_[0] + theirs.intercepts_[0], 0)
    np.testing.assert_allclose(ours.transform(X), hidden, rtol=1e-9, atol=1e-12)
