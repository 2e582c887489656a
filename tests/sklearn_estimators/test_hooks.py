"""What subclasses of scikit-learn's networks override: called, or warned of."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.neural_network as theirs

import fastbp.sklearn as ours
from fastbp.sklearn import conversion, hooks

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = np.random.default_rng(0).normal(size=(60, 5))
Y = X[:, 0] * X[:, 1]
OPTIONS = {"hidden_layer_sizes": (7, 6), "max_iter": 3, "random_state": 0}


def constants(self, fan_in, fan_out, dtype):
    return np.full((fan_in, fan_out), 0.1, dtype), np.full(fan_out, 0.01 * fan_in, dtype)


def drawn(self, fan_in, fan_out, dtype):
    weights = self._random_state.normal(size=(fan_in, fan_out)) / 9
    return weights.astype(dtype), np.zeros(fan_out, dtype)


def scaled(self, fan_in, fan_out, dtype):
    weights, biases = super(type(self), self)._init_coef(fan_in, fan_out, dtype)
    return weights * 2, biases


@pytest.mark.parametrize("options", [{}, {"activation": "logistic", "solver": "lbfgs"}])
@pytest.mark.parametrize("hook", [constants, drawn, scaled])
def test_initial_parameters_of_a_subclass(hook, options) -> None:
    fitted = []
    for module in (ours, theirs):
        kind = type("Mine", (module.MLPRegressor,), {"_init_coef": hook})
        fitted.append(kind(**OPTIONS | options).fit(X, Y))
    np.testing.assert_allclose(fitted[0].coefs_[0], fitted[1].coefs_[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(fitted[0].predict(X), fitted[1].predict(X), rtol=1e-6, atol=1e-9)
    plain = ours.MLPRegressor(**OPTIONS | options).fit(X, Y)
    assert np.abs(plain.predict(X) - fitted[0].predict(X)).max() > 1e-3
    assert not {"_random_state", "_unit_to_draw"} & vars(fitted[0]).keys()


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (lambda a, b: np.ones((a, b)), TypeError, "_init_coef must return weights"),
        (lambda a, b: (np.ones((b, a)), np.ones(b)), ValueError, "weights of layer 0 from _init_c"),
        (lambda a, b: (np.ones((a, b)), np.ones(a)), ValueError, "biases of layer 0 from _init_c"),
        (lambda a, b: (np.full((a, b), np.nan), np.ones(b)), ValueError, "holds nan at row 0"),
    ],
)
def test_bad_initial_parameters_change_nothing(made, error, message) -> None:
    kind = type("Mine", (ours.MLPRegressor,), {"_init_coef": lambda self, a, b, dtype: made(a, b)})
    net = kind(**OPTIONS)
    with pytest.raises(error, match=message):
        net.fit(X, Y)
    assert vars(net).keys() == net.get_params().keys()


@pytest.mark.parametrize("weight_init", ["glorot", "he_normal", "orthogonal", "zeros", "auto"])
def test_initial_weights_by_name(weight_init) -> None:
    options = OPTIONS | {"learning_rate_init": 1e-300, "max_iter": 1, "weight_init": weight_init}
    net = ours.MLPRegressor(**options).fit(X, Y)
    assert all(np.abs(biases).max() < 1e-200 for biases in net.intercepts_)
    assert (np.abs(net.coefs_[1]).max() > 0.1) == (weight_init != "zeros")
    assert np.array_equal(net.coefs_[1], ours.MLPRegressor(**options).fit(X, Y).coefs_[1])
    if weight_init == "orthogonal":
        np.testing.assert_allclose(net.coefs_[1].T @ net.coefs_[1], np.eye(6), atol=1e-12)
    if weight_init == "auto":
        he = ours.MLPRegressor(**options | {"weight_init": "he"}).fit(X, Y)
        assert np.array_equal(he.coefs_[0], net.coefs_[0]), "of relu"


def test_initial_weights_as_arrays_and_by_functions() -> None:
    arrays = [np.full((5, 7), 0.5), np.full((7, 6), 0.25), np.full((6, 1), 2.0)]
    options = OPTIONS | {"learning_rate_init": 1e-300, "max_iter": 1}
    net = ours.MLPRegressor(**options, weight_init=arrays).fit(X, Y)
    assert all(np.array_equal(w, given) for w, given in zip(net.coefs_, arrays, strict=True))
    made = ours.MLPRegressor(**options, weight_init=lambda rng, shape: rng.normal(size=shape))
    assert 0.5 < made.fit(X, Y).coefs_[0].std() < 2.0
    with pytest.raises(ValueError, match=r"weight_init\[2\] must have shape \(6, 1\)"):
        ours.MLPRegressor(**OPTIONS, weight_init=[*arrays[:2], arrays[0]]).fit(X, Y)
    with pytest.raises(ValueError, match="'weight_init' parameter .* 'glorot'"):
        ours.MLPRegressor(**OPTIONS, weight_init="glorrot").fit(X, Y)
    kind = type("Mine", (ours.MLPRegressor,), {"_init_coef": constants})
    with pytest.raises(ValueError, match="weight_init and _init_coef of Mine both give"):
        kind(weight_init="he").fit(X, Y)


def test_private_methods_that_are_never_called_are_warned_of() -> None:
    names = hooks.private_methods(theirs.MLPClassifier)
    assert {"_backprop", "_fit_stochastic", "_predict", "_init_coef"} <= names
    assert set(hooks.INSTEAD) | hooks.CALLED <= names
    for kind in (ours.MLPClassifier, ours.MLPRegressor):
        for name in names - hooks.CALLED:
            with pytest.warns(UserWarning, match=f"fastbp does not call {name} of Mine") as caught:
                type("Mine", (kind,), {name: lambda self: None})
            assert caught[0].filename == __file__
            assert (name in hooks.INSTEAD) == (" Instead: for " in str(caught[0].message))
        for name in hooks.CALLED:
            type("Mine", (kind,), {name: getattr(kind, name), "_my_own": 3})
    with pytest.warns(UserWarning, match=r"call _backprop, _predict of Two, as .*; for _predict, "):

        class Two(ours.MLPRegressor):
            def _predict(self, X):
                return X

            def _backprop(self):
                return None

    for name in ("_fit_binary", "_fit"):
        with pytest.warns(UserWarning, match=f"fastbp does not call {name} of Mine"):
            type("Mine", (ours.Perceptron,), {name: None})


def test_every_private_method_of_a_name_like_theirs_is_called_or_warned_of() -> None:
    """A method of fastbp's that has a name of scikit-learn's must mean the same."""
    for kind, known in (
        (ours.MLPClassifier, {*hooks.CALLED, "_forward_pass_fast"}),
        (ours.MLPRegressor, {*hooks.CALLED, "_forward_pass_fast"}),
    ):
        own = {n for base in kind.__mro__ if "fastbp" in base.__module__ for n in vars(base)}
        assert own & hooks.private_methods(conversion.their_net(kind)) == known
    own = set(vars(ours.Perceptron))
    assert not own & hooks.private_methods(sklearn.linear_model.Perceptron)


def test_methods_that_are_called_get_scikit_learns_arguments() -> None:
    seen = []

    class Mine(ours.MLPClassifier):
        def _fit(self, X, y, sample_weight=None, incremental=False):
            seen.append(incremental)
            return super()._fit(X, y, sample_weight=sample_weight, incremental=incremental)

        def _validate_input(self, X, y, incremental, reset):
            seen.append(reset)
            return super()._validate_input(X, y, incremental, reset)

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        net = Mine(**OPTIONS).set_params(tol=1e9, n_iter_no_change=1)
        net.fit(X, Y > 0).partial_fit(X, Y > 0)
    assert seen == [False, True, True, False]


def test_the_outputs_by_their_private_name() -> None:
    pair = [module.MLPRegressor(**OPTIONS).fit(X, Y) for module in (ours, theirs)]
    for check in (True, False):
        got, expected = (e._forward_pass_fast(X, check_input=check) for e in pair)
        np.testing.assert_allclose(got, expected, rtol=1e-9)
        assert got.shape == (60, 1)


RATES = {
    "sgd": {"solver": "sgd"},
    "no momentum": {"solver": "sgd", "momentum": 0.0},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "adam": {},
}


@pytest.mark.parametrize("way", RATES)
@pytest.mark.parametrize("name", ["learning_rate", "learning_rate_init"])
def test_the_learning_rate_between_two_calls(name, way) -> None:
    """As in scikit-learn, where adam and invscaling go by learning_rate_init alone."""
    pair = [module.MLPRegressor(**OPTIONS | RATES[way]) for module in (ours, theirs)]
    for rate in (0.02, 0.02, 0.0003):
        for net in pair:
            net.partial_fit(X, Y)
        found, expected = (net._optimizer.learning_rate for net in pair)
        assert found == pytest.approx(expected, rel=1e-12)
        setattr(pair[1]._optimizer, name, rate)
        if (way, name) == ("adam", "learning_rate"):
            with pytest.warns(UserWarning, match="set _optimizer.learning_rate_init"):
                pair[0]._optimizer.learning_rate = rate
        else:
            setattr(pair[0]._optimizer, name, rate)
    for net in pair:
        net.partial_fit(X, Y)
    np.testing.assert_allclose(pair[0].coefs_[0], pair[1].coefs_[0], rtol=1e-9, atol=1e-12)
    assert pair[0]._optimizer.learning_rate_init == pair[1]._optimizer.learning_rate_init


def test_the_learning_rate_of_an_optimizer_of_the_core() -> None:
    net = ours.MLPRegressor(**OPTIONS, optimizer="lion").partial_fit(X, Y)
    before = net.coefs_[0].copy()
    net._optimizer.learning_rate = 0.25
    net.set_params(batch_size=60).partial_fit(X, Y)
    moved = np.abs(net.coefs_[0] - before)
    assert net._optimizer.learning_rate == 0.25
    np.testing.assert_allclose(moved[moved > 0], 0.25, rtol=1e-9)
    with pytest.raises(ValueError, match="learning_rate must be"):
        net._optimizer.learning_rate = -1.0
    with pytest.raises(ValueError, match="learning_rate must be a finite number of at least 0"):
        ours.MLPRegressor(solver="sgd").partial_fit(X, Y)._optimizer.learning_rate = -1.0
