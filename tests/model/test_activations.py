"""Activations in Python: functions of net inputs, their checks, and what is asked of them."""

from __future__ import annotations

import helpers
import numpy as np
import pytest

from fastbp import MLP, Dense, gradcheck
from fastbp.model.activations import Activation, CallableActivation, as_activation

X, Y = np.random.default_rng(2).normal(size=(19, 4)), np.ones((19, 2))


def soft_sign(z):
    return z / (1 + abs(z)), 1 / (1 + abs(z)) ** 2


def tanh(z):
    y = np.tanh(z)
    return y, 1 - y * y


def make(activation, **options):
    return helpers.make((4, 5, 2), activation=activation, **options)


def test_a_function_beside_the_built_in():
    net, twin = make(tanh, dropout=0.3), make("tanh", dropout=0.3)
    for each in (net, twin):
        each.fit(X, Y, epochs=3, batch_size=4)
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-11)
    np.testing.assert_allclose(net.predict(X), twin.predict(X), rtol=1e-11)


def test_gradcheck():
    assert gradcheck(make(soft_sign), X, Y).error < 1e-6
    wrong = make(lambda z: (soft_sign(z)[0], 1.01 * soft_sign(z)[1]))
    assert gradcheck(wrong, X, Y).error > 1e-3


def test_what_it_is_given():
    seen = []
    net = MLP((4, 5, 2), activation=lambda z: seen.append(z) or tanh(z), seed=0)
    net.predict(X)
    net.step(X, Y)
    net.step(X[:1], Y[:1])
    assert [z.shape for z in seen] == [(19, 5), (19, 5), (1, 5)]
    assert all(z.dtype == np.float32 and z.flags.c_contiguous for z in seen)
    np.testing.assert_allclose(seen[0], X.astype("f4") @ make("tanh").weights[0], rtol=1e-4)


def test_as_activation():
    assert as_activation("tanh") == "tanh"
    own = as_activation(tanh)
    assert own == CallableActivation(tanh)
    assert as_activation(own) is own
    with pytest.raises(TypeError, match="abstract"):
        Activation()


BAD = {
    "one": (lambda z: z, TypeError, "got ndarray"),
    "three": (lambda z: (z, z, z), TypeError, "got tuple"),
    "flat": (lambda z: (z.ravel(), z), ValueError, "got shape (95,)"),
    "scalar": (lambda z: (z, 1.0), ValueError, "got shape ()"),
    "complex": (lambda z: (z, 1j * z), TypeError, "got dtype complex128"),
}


@pytest.mark.parametrize(("function", "error", "words"), BAD.values(), ids=BAD)
def test_bad_returns_change_nothing(function, error, words):
    net = make(function)
    before = net.params.copy()
    for call in (lambda: net.predict(X), lambda: net.fit(X, Y), lambda: net.step(X, Y)):
        with pytest.raises(error) as caught:
            call()
        assert "an activation must return (outputs, derivatives), both of shape" in str(
            caught.value
        )
        assert words in str(caught.value)
    assert np.array_equal(net.params, before)


@pytest.mark.parametrize("bad", [None, 3, [3], int])
def test_what_is_no_activation(bad):
    with pytest.raises((TypeError, ValueError), match="activation"):
        make(bad)


def test_softmax_of_one_output_is_refused():
    message = "softmax needs at least 2 outputs.*Take output_activation='sigmoid'"
    for options in ({}, {"loss": "absolute_error"}, {"loss": lambda p, t: (0.0, p)}):
        with pytest.raises(ValueError, match=message):
            MLP((4, 5, 1), output_activation="softmax", **options)
    with pytest.raises(ValueError, match=message):
        MLP([Dense(5, "relu"), Dense(1, "softmax")], n_inputs=4)
    assert MLP((4, 5, 2), output_activation="softmax").activations[-1] == "softmax"
