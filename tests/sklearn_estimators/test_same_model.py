"""The same seed gives the model of scikit-learn's own estimators: random configurations."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network
from helpers import SOAK, counts
from sklearn.exceptions import ConvergenceWarning

import fastbp.sklearn
from fastbp import DivergenceWarning

pytestmark = pytest.mark.slow

KINDS = ("binary", "multiclass", "multilabel", "one target", "three targets", "poisson")
CONFIGURATIONS = counts(60, 1000, uncompiled=3)
CURVES = ("loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_", "loss_")
EQUAL = ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "_no_improvement_count")


class Configuration:
    """Parameters, data and a way to fit, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.kind = str(rng.choice(KINDS))
        self.solver = str(rng.choice(["adam", "adam", "sgd", "sgd", "lbfgs"]))
        self.single = bool(rng.random() < 0.15) and self.solver != "lbfgs"
        self.rows, columns = int(rng.integers(30, 160)), int(rng.integers(1, 9))
        self.X = rng.normal(size=(self.rows, columns))
        self.y = self.targets(self.X)
        weighted = rng.random() < 0.3
        self.weights = rng.gamma(1.0, size=self.rows) * (rng.random(self.rows) < 0.9)
        self.weights = self.weights if weighted else None
        self.way = str(rng.choice(["fit", "fit", "warm start", "partial_fit"]))
        if self.solver == "lbfgs" and self.way == "partial_fit":
            self.way = "fit"
        self.parameters = self.draw()
        if self.single:
            self.X = self.X.astype(np.float32)

    def targets(self, X: np.ndarray) -> np.ndarray:
        rng = self.rng
        z = X @ rng.normal(size=(X.shape[1], 3)) + 0.3 * rng.normal(size=(len(X), 3))
        if self.kind == "binary":
            return np.where(z[:, 0] > 0, "yes", "no")
        if self.kind == "multiclass":
            return z.argmax(axis=1) * 3
        if self.kind == "multilabel":
            return (z > 0).astype(int)
        if self.kind == "poisson":
            return rng.poisson(np.exp(0.3 * z[:, 0])).astype(float)
        return z[:, 0] if self.kind == "one target" else z

    def draw(self) -> dict[str, Any]:
        rng = self.rng
        found: dict[str, Any] = {
            "solver": self.solver,
            "activation": str(rng.choice(["identity", "logistic", "tanh", "relu", "relu"])),
            "hidden_layer_sizes": tuple(
                int(n) for n in rng.integers(1, 25, size=rng.integers(0, 4))
            ),
            "alpha": float(rng.choice([0.0, 1e-4, 0.01, 1.0])),
            "random_state": int(rng.integers(2**31)),
            "max_iter": 20,
            "shuffle": bool(rng.random() < 0.8),
            "batch_size": "auto" if rng.random() < 0.4 else int(rng.integers(8, self.rows)),
            "learning_rate_init": float(10 ** rng.uniform(-4, -1.7)),
            "tol": float(rng.choice([0.0, 1e-4, 1e-2, 0.1])),
            "n_iter_no_change": [1, 3, 10, np.inf][rng.integers(4)],
        }
        if self.kind == "poisson":
            found["loss"] = "poisson"
        if self.solver == "sgd":
            found |= {
                "learning_rate": str(rng.choice(["constant", "invscaling", "adaptive"])),
                "power_t": float(rng.choice([0.1, 0.5, 1.5])),
                "momentum": float(rng.choice([0.0, 0.5, 0.9, 0.99])),
                "nesterovs_momentum": bool(rng.random() < 0.5),
            }
        if self.solver == "adam":
            found |= {
                "beta_1": float(rng.choice([0.0, 0.5, 0.9])),
                "beta_2": float(rng.choice([0.9, 0.999])),
                "epsilon": float(rng.choice([1e-8, 1e-5, 1e-2])),
            }
        if self.way != "partial_fit" and self.solver != "lbfgs" and rng.random() < 0.3:
            found |= {"early_stopping": True, "validation_fraction": float(rng.uniform(0.1, 0.5))}
        if self.way == "warm start":
            found["warm_start"] = True
        return found

    def new(self, module: Any) -> Any:
        """An estimator of one of the two modules."""
        name = "MLPRegressor" if self.regression else "MLPClassifier"
        return getattr(module, name)(**self.parameters)

    @property
    def regression(self) -> bool:
        return self.kind in ("one target", "three targets", "poisson")

    def calls(self) -> list[Callable[[Any], Any]]:
        """What is done to an estimator, step by step."""
        if self.way == "partial_fit":
            return [partial(self.train_on, part) for part in self.parts()]
        return [self.fit_all] * (2 if self.way == "warm start" else 1)

    def parts(self) -> list[np.ndarray]:
        return np.array_split(np.arange(self.rows), 3) * 3

    def train_on(self, part: np.ndarray, estimator: Any) -> None:
        classes = {} if self.regression else {"classes": np.unique(self.y)}
        weights = None if self.weights is None else self.weights[part]
        estimator.partial_fit(self.X[part], self.y[part], weights, **classes)

    def fit_all(self, estimator: Any) -> None:
        estimator.fit(self.X, self.y, sample_weight=self.weights)

    def fit(self, module: Any, convert: Callable[[Any], Any] | None = None) -> Any:
        """An estimator of one of the two modules, fitted; it may be converted on the way."""
        estimator = self.new(module)
        calls = self.calls()
        middle = len(calls) // 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", DivergenceWarning)
            warnings.filterwarnings("ignore", message="Got `batch_size`")
            if module is sklearn.neural_network or convert is not None:
                warnings.simplefilter("ignore", RuntimeWarning)  # overflow, NaN: it diverges
            for number, call in enumerate(calls):
                if convert is not None and number == middle:
                    estimator = convert(estimator)
                call(estimator)
        return estimator


def to_fastbp(estimator: Any) -> Any:
    """Convert an estimator of scikit-learn."""
    return getattr(fastbp.sklearn, type(estimator).__name__).from_sklearn(estimator)


def to_scikit_learn(estimator: Any) -> Any:
    """Convert an estimator of fastbp."""
    return estimator.to_sklearn()


def distance(ours: Any, theirs: Any) -> float:
    """The largest difference, relative to the largest number."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    assert ours.shape == theirs.shape
    if not theirs.size:
        return 0.0
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-300))


def compare(configuration: Configuration, ours: Any, theirs: Any) -> None:
    tolerance = 1e-3 if configuration.solver == "lbfgs" else 1e-6
    if configuration.single:
        tolerance = 2e-2
    for name in EQUAL:
        if not (configuration.single and name in ("n_iter_", "t_", "_no_improvement_count")):
            assert getattr(ours, name, None) == getattr(theirs, name, None), name
    if configuration.single and ours.n_iter_ != theirs.n_iter_:
        return  # stopped an epoch apart by rounding
    for name in CURVES:
        expected, got = (getattr(e, name, None) for e in (theirs, ours))
        assert (expected is None) == (got is None), name
        if expected is not None:
            if "score" in name and configuration.single:
                assert distance(got, expected) <= 0.2, name
            else:
                assert distance(got, expected) <= tolerance, name
    for got, expected in zip(
        (*ours.coefs_, *ours.intercepts_), (*theirs.coefs_, *theirs.intercepts_), strict=True
    ):
        assert distance(got, expected) <= tolerance
        assert got.dtype == expected.dtype
    X = configuration.X
    if configuration.kind in ("binary", "multiclass", "multilabel"):
        expected = theirs.predict_proba(X)
        assert distance(ours.predict_proba(X), expected) <= tolerance
        far = np.abs(expected - 0.5).min(axis=1) > 10 * tolerance  # from a tie
        if configuration.kind == "multiclass":
            first, second = np.sort(expected, axis=1)[:, -1:-3:-1].T
            far = first - second > 10 * tolerance
        assert np.array_equal(ours.predict(X)[far], theirs.predict(X)[far])
        assert far.any() or tolerance > 1e-6
        assert ours.predict(X).dtype == theirs.predict(X).dtype
    else:
        assert distance(ours.predict(X), theirs.predict(X)) <= tolerance
        assert ours.predict(X).shape == theirs.predict(X).shape


def compare_converted(configuration: Configuration, theirs: Any) -> None:
    """Begin in either library, cross over in the middle of training, end as the other's alone."""
    if configuration.way not in ("partial_fit", "warm start"):
        return
    compare(configuration, configuration.fit(sklearn.neural_network, to_fastbp), theirs)
    compare(configuration, configuration.fit(fastbp.sklearn, to_scikit_learn), theirs)


def same_bug(configuration: Configuration, theirs: Any) -> bool:
    """Early stopping in a warm start: scikit-learn loses the best parameters of the fit before.

    It trains on the arrays in which it keeps them. Where the second fit improves on the first,
    there is no difference.
    """
    early = configuration.parameters.get("early_stopping", False)
    if configuration.way != "warm start" or not early:
        return False
    before, after = np.split(np.array(theirs.validation_scores_), [-theirs.n_iter_])
    return bool(after.max() <= before.max())


@pytest.mark.parametrize("part", range(20 if SOAK else 3))
@pytest.mark.promise("estimators")
def test_random_configurations(part: int, tally) -> None:
    """About one in ten of them cannot be compared: see what is counted as "others"."""
    number = -(-CONFIGURATIONS // (20 if SOAK else 3))
    compared, seed = 0, 1000 * part
    while compared < number:
        seed += 1
        configuration = Configuration(seed)
        try:
            theirs = configuration.fit(sklearn.neural_network)
        except (ValueError, ZeroDivisionError):
            continue  # it diverged, or a batch without weight
        finite = np.isfinite(np.asarray(theirs.loss_)) and all(
            np.isfinite(coef).all() for coef in theirs.coefs_
        )
        try:
            ours = configuration.fit(fastbp.sklearn)
            if not finite or same_bug(configuration, theirs):
                assert all(np.isfinite(coef).all() for coef in ours.coefs_)
                continue
            compare(configuration, ours, theirs)
            compare_converted(configuration, theirs)
        except BaseException as error:
            error.add_note(
                f"seed {seed}: {configuration.kind}, {configuration.way}, weights "
                f"{configuration.weights is not None}, {configuration.parameters}"
            )
            raise
        compared += 1
        tally["configurations"] += 1


# ---------------------------------------------------------------- where it differs on purpose


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_batches_without_weight() -> None:
    """scikit-learn divides by the sum of their weights."""
    X = np.random.default_rng(0).normal(size=(40, 2))
    weights = np.r_[np.ones(20), np.zeros(20)]
    options = {"shuffle": False, "batch_size": 20, "max_iter": 3, "random_state": 0}
    options |= {"solver": "sgd", "momentum": 0.0, "alpha": 1.0}
    with pytest.raises(ZeroDivisionError):
        sklearn.neural_network.MLPRegressor(**options).fit(X, X[:, 0], weights)
    ours = fastbp.sklearn.MLPRegressor(**options).fit(X, X[:, 0], weights)
    same = fastbp.sklearn.MLPRegressor(**options).fit(X[:20], X[:20, 0])
    np.testing.assert_allclose(ours.coefs_[0], same.coefs_[0], rtol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_weights_and_counts_below_zero_are_errors() -> None:
    X = np.ones((4, 1))
    weights = [1.0, -0.5, 1.0, 1.0]
    sklearn.neural_network.MLPRegressor(max_iter=2).fit(X, [1, 2, 3, 4], weights)
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        fastbp.sklearn.MLPRegressor(max_iter=2).fit(X, [1, 2, 3, 4], weights)
    with pytest.raises(ValueError, match="y must be at least 0 for poisson"):
        fastbp.sklearn.MLPRegressor("poisson", max_iter=2).fit(X, [1, 2, 3, -4])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_log_loss_of_nearly_impossible_classes_is_exact() -> None:
    """scikit-learn takes the logarithm of a probability that was rounded, here to 3 digits."""
    X, y = np.ones((2, 1)), np.array([0, 1])
    losses = []
    for module in (fastbp.sklearn, sklearn.neural_network):
        net = module.MLPClassifier((1,), "identity", solver="sgd", max_iter=1, warm_start=True)
        net.set_params(learning_rate_init=1e-300, alpha=0.0).fit(X, y)
        net.coefs_ = [np.array([[1.0]]), np.array([[30.0]])]
        net.intercepts_ = [np.zeros(1), np.zeros(1)]
        losses.append(net.fit(X, y).loss_curve_[-1])
    exact = (30.0 + 2 * np.log1p(np.exp(-30.0))) / 2
    assert losses[0] == pytest.approx(exact, rel=1e-14)
    assert 1e-6 < abs(losses[1] - exact) / exact < 1e-3


INPUTS = np.random.default_rng(0).normal(size=(60, 3))
SIGNS = (INPUTS > 0).astype(int)
TARGETS = {
    "one class": np.zeros(60, int),
    "booleans": SIGNS[:, 0].astype(bool),
    "objects": np.array(["a", "b"], object)[SIGNS[:, 0]],
    "a column": SIGNS[:, :1],
    "floats": SIGNS[:, 0] * 2.0 - 1.0,
    "bytes": SIGNS.sum(axis=1).astype("u1"),
    "a list": SIGNS[:, 0].tolist(),
    "sparse labels": scipy.sparse.csr_matrix(SIGNS),
    "labels that all have": np.ones((60, 2), int),
}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_kinds_of_targets(kind: str) -> None:
    y, fitted = TARGETS[kind], []
    for module in (fastbp.sklearn, sklearn.neural_network):
        fitted.append(module.MLPClassifier((4,), max_iter=5, random_state=0).fit(INPUTS, y))
    ours, theirs = fitted
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-9)
    if kind != "one class":  # scikit-learn has two columns for it
        probabilities = ours.predict_proba(INPUTS), theirs.predict_proba(INPUTS)
        np.testing.assert_allclose(*probabilities, rtol=1e-9)
    got, expected = ours.predict(INPUTS), theirs.predict(INPUTS)
    assert type(got) is type(expected)
    assert got.dtype == expected.dtype
    if scipy.sparse.issparse(got):
        got, expected = got.toarray(), expected.toarray()
    assert np.array_equal(got, expected)
    assert ours.score(INPUTS, y) == theirs.score(INPUTS, y)
    assert np.array_equal(ours.classes_, theirs.classes_)
