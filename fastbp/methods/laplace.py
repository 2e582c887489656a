"""How sure a net is: the Laplace approximation around its parameters."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp.fit import data as dataset
from fastbp.fit import evaluation
from fastbp.kernels.layout import parameter_name
from fastbp.methods.jacobian import Jacobian, rows_of
from fastbp.methods.least_squares import check_squares, penalty_diagonal
from fastbp.model.net import FloatArray, Net

Matrix = npt.NDArray[np.float64]

MOST_PARAMS = 10_000
"""Their covariance has 800 MB, and as many again while it is computed."""


class Posterior(NamedTuple):
    """What is known of the parameters after training.

    Attributes
    ----------
    root : array of float64, shape (n_free, n_free)
        R^T R is the covariance of the parameters that are not frozen.
    free : array of bool, shape (n_params,)
        Which these are.
    noise : float
        The variance of a target around its mean.
    params : array, shape (n_params,)
        The parameters around which that holds.
    """

    root: Matrix
    free: npt.NDArray[np.bool_]
    noise: float
    params: FloatArray

    def covariance(self) -> Matrix:
        """The covariance of all parameters, 0 for those that are frozen."""
        n = self.free.size
        found = np.zeros((n, n))
        found[np.ix_(self.free, self.free)] = self.root.T @ self.root
        return found


def posterior(net: Net, X: Any, y: Any, sample_weight: Any) -> Posterior:
    """The Laplace approximation of `MLP.covariance`, computed in float64."""
    check_squares(net, "the covariance takes", "Draw rows at random and train several nets instead")
    dataset.check_trainable(net.activations)
    if net.regularization.l1 > 0:
        raise ValueError(
            f"the covariance takes a smooth loss; got l1={net.regularization.l1:g}. Train with l2"
        )
    n_free = int(np.count_nonzero(~net.frozen))
    if not 0 < n_free <= MOST_PARAMS:
        raise ValueError(
            f"the covariance takes from 1 to {MOST_PARAMS:,} parameters that are not frozen; got "
            f"{n_free:,}" + (". Freeze layers" if n_free else ". Unfreeze some")
        )
    twin = _in_float64(net)
    data, rows = dataset.rows_and_targets(X, y, sample_weight, twin)
    n_out = net.layer_sizes[-1]
    weights = dataset.weights_of(data)
    shares = np.ones((rows, n_out)) if weights is None else weights.reshape(rows, -1)
    shares = np.broadcast_to(shares, (rows, n_out))
    known = int(np.count_nonzero(shares))
    l2 = net.regularization.l2
    if l2 == 0 and known <= n_free:
        raise ValueError(
            f"the covariance needs more targets than parameters, or l2; got {known:,} targets that "
            f"count and {n_free:,} parameters that are not frozen. Add rows, train with l2, or "
            "freeze layers"
        )
    errors = evaluation.predict(twin, X, False) - data.targets.reshape(rows, n_out)
    error = float((shares * errors**2).sum()) / data.total
    free = ~net.frozen
    penalties = penalty_diagonal(net, l2)[free]
    squares: Any = Jacobian(twin, data, rows, free).squares()  # in float64, as the twin is
    root = _inverse_root(squares, penalties, net, free)
    effective = n_free - float((penalties * (root**2).sum(axis=0)).sum())
    left = known - effective
    if left <= 1e-6 * known:
        raise ValueError(
            f"the {known:,} targets that count determine {effective:.6g} parameters: nothing is "
            "left to estimate their noise from. Add rows, or train with a larger l2"
        )
    noise = error * (known / n_out) / left
    return Posterior(np.sqrt(error / left) * root, free, noise, net.params.copy())


def _in_float64(net: Net) -> Net:
    """A copy in float64: J^T J has the square of the condition number of J."""
    twin = Net(net.spec._replace(dtype=np.dtype(np.float64)), net.optimizer)
    twin.missing_targets = net.missing_targets
    twin.params[:] = net.params
    return twin


def _inverse_root(
    squares: Matrix, penalties: npt.NDArray[np.float64], net: Net, free: npt.NDArray[np.bool_]
) -> Matrix:
    """R with R^T R = (squares + penalties)^-1, of which the lower triangle is given.

    By the Cholesky decomposition, of the matrix scaled to a diagonal of 1, so that a parameter that
    says nothing new beside those before it is seen by its pivot.
    """
    diagonal = squares.diagonal() + penalties
    if not np.isfinite(diagonal).all():
        raise ValueError("the covariance does not exist: derivatives of the outputs overflow")
    if diagonal.min() > 0:
        scale = 1 / np.sqrt(diagonal)
        scaled = np.tril(squares, -1) * scale * scale[:, np.newaxis]
        np.fill_diagonal(scaled, 1.0)
        try:
            lower = np.linalg.cholesky(scaled)
        except np.linalg.LinAlgError:
            lower = np.zeros_like(scaled)
        if lower.diagonal().min() ** 2 > len(scaled) * np.finfo(np.float64).eps:
            return np.linalg.inv(lower) * scale
        worst = _least_known(scaled)
    else:
        worst = int(np.argmin(diagonal))
    name = parameter_name(int(np.flatnonzero(free)[worst]), net.layer_table)
    raise ValueError(
        f"the covariance does not exist: some parameters, such as {name}, change no output on "
        "these rows, or only as others do. So do those of a unit that is always 0, and of two "
        "that are alike. Train with l2, which biases do not have, or freeze them, or take fewer "
        "units"
    )


def _least_known(lower: Matrix) -> int:
    """The largest part of the vector that the symmetric matrix makes smallest."""
    matrix = lower + np.tril(lower, -1).T
    np.fill_diagonal(matrix, 1 + 1e-10)
    found = np.sin(np.arange(1.0, len(matrix) + 1))
    for _ in range(2):
        found = np.linalg.solve(matrix, found)
        found /= np.abs(found).max()
    return int(np.argmax(np.abs(found)))


def predict(net: Any, X: Any, logits: bool) -> tuple[FloatArray, FloatArray]:
    """`MLP.predict` with ``return_std=True``."""
    if logits is not False:
        raise ValueError("return_std=True is for outputs; leave logits out")
    found: Posterior | None = net.posterior
    if found is None:
        raise ValueError(
            "return_std=True needs the covariance of the parameters: call net.covariance(X, y) "
            "with the rows of training first"
        )
    if not np.array_equal(found.params, net.params):
        raise ValueError(
            "the parameters have changed since net.covariance(X, y) was called: call it again"
        )
    outputs: FloatArray = net.predict(X)
    data, rows = rows_of(net, X)
    variances = np.empty(outputs.shape)
    for first, block in Jacobian(net, data, rows, found.free).blocks():
        some = variances[first : first + len(block)]
        np.square(block @ found.root.T).sum(axis=-1, out=some)
    return outputs, np.sqrt(variances + found.noise).astype(net.dtype)
