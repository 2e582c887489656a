"""`Differentiable`: the methods of a net that return derivatives, and what goes with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from fastbp import checks
from fastbp.checks import Sparse
from fastbp.derivatives import copies, curvature, gradients
from fastbp.derivatives.objective import Objective
from fastbp.model.net import FloatArray, Net


class Differentiable(Net):
    """A net with its derivatives: the part of `MLP` for optimisers and sciences.

    In all of them nothing is dropped out, and frozen parameters have their derivatives too, but in
    `objective`. What is refused changes nothing. Nets with step units are refused: they have no
    derivatives.
    """

    @checks.explained
    def loss_and_grad(
        self,
        X: npt.ArrayLike | Sparse,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        params: npt.ArrayLike | None = None,
        out: FloatArray | None = None,
        reduction: str = "mean",
        threads: int | str | None = None,
    ) -> tuple[float, FloatArray]:
        """Loss averaged over the rows, and its gradient, laid out like `params`.

        Both include the penalties; the gradient is not clipped, and nothing is dropped out.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (rows, n_in)
        y : array-like
        sample_weight : array-like, shape (rows,) or (rows, n_out), optional
            As in `fit`.
        params : array-like, shape (n_params,), optional
            Parameters to take instead of the net's, which stay as they are. Where they are not
            finite, neither is the loss.
        out : array of `dtype`, shape (n_params,), optional
            Where the gradient goes; it must not share memory with parameters.
        reduction : {"mean", "sum"}, default="mean"
            "mean" divides by the sum of the weights, as `loss` does, and includes the penalties.
            "sum" does neither: it is the sum of the rows' losses, each times its weight, so that
            those of shards of the data add up to that of all rows. A loss in Python that divides by
            the rows or weights, as it should, is multiplied by them.
        threads : int or "auto", optional
            How many threads share the rows, at least 1,024 each, with the bits of one; by default
            the net's.

        Returns
        -------
        loss : float
        grad : array of `dtype`, shape (n_params,)
            `out`, or a new array. Frozen parameters have their gradients too.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import MLP
        >>> net = MLP((2, 3, 1), dtype="float64", seed=0)
        >>> X, y = np.eye(2), np.array([1.0, -1.0])
        >>> loss, grad = net.loss_and_grad(X, y)
        >>> shards = [net.loss_and_grad(X[[i]], y[[i]], reduction="sum")[1] for i in (0, 1)]
        >>> bool(np.allclose(sum(shards) / 2, grad))
        True
        """
        return gradients.loss_and_grad(self, X, y, sample_weight, params, out, reduction, threads)

    @checks.explained
    def vjp(self, X: npt.ArrayLike, dY: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Vector-Jacobian products: the derivatives of sum(dY * predict(X)) by inputs and `params`.

        With `dY` the derivative of some number E by the outputs, as another program has computed
        it, these are the derivatives of E. Nothing is divided, and penalties have no share.

        Parameters
        ----------
        X : array-like, shape (rows, n_in)
            Dense rows; sparse ones are refused.
        dY : array-like, shape (rows, n_out), or (rows,) for one output
            The derivative by the outputs as `predict` returns them, after the output activation.

        Returns
        -------
        dX : array of `dtype`, shape (rows, n_in)
        grad : array of `dtype`, shape (n_params,)
            The sum over the rows.

        Raises
        ------
        ValueError, TypeError
            For other shapes, NaN or infinity, sparse rows, and nets with step units.

        Examples
        --------
        The slope of a fitted curve:

        >>> import numpy as np
        >>> from fastbp import MLP
        >>> X = np.linspace(-2, 2, 100).reshape(-1, 1)
        >>> net = MLP((1, 32, 1), activation="tanh", seed=0)
        >>> history = net.fit(X, np.sin(X), epochs=500, method="lbfgs")
        >>> slope, _ = net.vjp(X, np.ones((100, 1)))
        >>> bool(np.abs(slope - np.cos(X)).max() < 0.05)
        True
        """
        return gradients.vjp(self, X, dY)

    @checks.explained
    def input_gradient(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        reduction: str = "mean",
    ) -> FloatArray:
        """The derivative of `loss` by the inputs: saliency, adversarial examples, inverse problems.

        Parameters
        ----------
        X : array-like, shape (rows, n_in)
            Dense rows; sparse ones are refused.
        y : array-like
        sample_weight : array-like, shape (rows,) or (rows, n_out), optional
            As in `fit`.
        reduction : {"mean", "sum"}, default="mean"
            As in `loss_and_grad`: with "mean" the loss is averaged, so that the derivatives become
            smaller the more rows there are; with "sum" each row has that of its own loss.

        Returns
        -------
        array of `dtype`, shape (rows, n_in)

        Raises
        ------
        ValueError, TypeError
            As `vjp`.

        Examples
        --------
        >>> from fastbp import MLP
        >>> net = MLP((2, 1), seed=0)
        >>> net.weights[0][:, 0] = [2.0, -1.0]
        >>> net.input_gradient([[1, 1]], [0]).tolist()  # of (2 - 1)^2 / 2
        [[2.0, -1.0]]
        """
        return gradients.input_gradient(self, X, y, sample_weight, reduction)

    @checks.explained
    def sample_gradients(
        self,
        X: npt.ArrayLike | Sparse,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
    ) -> FloatArray:
        """The gradient of each row's own loss: for influence, Fisher information, private training.

        Penalties have no share. The sum over the rows is the gradient of
        ``loss_and_grad(X, y, reduction="sum")`` but for rounding.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (rows, n_in)
        y : array-like
            As in `fit`.
        sample_weight : array-like, shape (rows,) or (rows, n_out), optional
            By which each row's loss is multiplied.

        Returns
        -------
        array of `dtype`, shape (rows, n_params)

        Raises
        ------
        ValueError, TypeError
            Bad input, as in `fit`, and nets with step units.
        MemoryError
            When so many numbers do not fit: take fewer rows at a time.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import MLP
        >>> net = MLP((2, 4, 1), seed=0)
        >>> X, y = np.eye(2), [1.0, -1.0]
        >>> each = net.sample_gradients(X, y)
        >>> bool(np.allclose(each.mean(axis=0), net.loss_and_grad(X, y)[1]))
        True
        """
        return gradients.sample_gradients(self, X, y, sample_weight)

    @checks.explained
    def hessian_product(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        v: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        gauss_newton: bool = False,
        params: npt.ArrayLike | None = None,
    ) -> FloatArray:
        """The Hessian of `loss` by `params` times a vector, exact but for rounding.

        The second derivative at a kink, such as that of relu at 0, counts as 0.

        Parameters
        ----------
        X : array-like, shape (rows, n_in)
            Dense rows; sparse ones are refused.
        y : array-like
            As in `fit`.
        v : array-like, shape (n_params,)
            The vector, laid out like `params`.
        sample_weight : array-like, shape (rows,) or (rows, n_out), optional
            As in `fit`.
        gauss_newton : bool, default=False
            Take J^T H J v instead, J being the derivative of the outputs by the parameters and H
            the Hessian of the loss by the outputs. It is positive semi-definite for every built-in
            loss. The outputs are those before the output activation where the loss is computed from
            them: cross_entropy, binary_cross_entropy, poisson and gamma (Schraudolph, Neural
            Computation 14, 2002).
        params : array-like, shape (n_params,), optional
            Parameters to take instead of the net's, which stay as they are.

        Returns
        -------
        array of `dtype`, shape (n_params,)
            As in `loss`, divided by the sum of the weights and with the share of the penalties: l2
            times v at the weights.

        Raises
        ------
        ValueError, TypeError
            As `vjp`, and for losses and activations in Python, whose second derivatives nobody
            knows.

        Notes
        -----
        One more pass forward and backward beside that of the gradient: Pearlmutter, Neural
        Computation 6, 1994. Its code is compiled by the first call, in some seconds.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import MLP
        >>> net = MLP((2, 1), dtype="float64", seed=0)
        >>> X, y = np.array([[1.0, 2.0], [3.0, 4.0]]), [0.0, 0.0]
        >>> net.hessian_product(X, y, [1.0, 0.0, 0.0]).tolist()  # the mean of x_0 (x_0, x_1, 1)
        [5.0, 7.0, 2.0]
        """
        return curvature.hessian_product(self, X, y, v, sample_weight, gauss_newton, params)

    @checks.explained
    def objective(
        self,
        X: npt.ArrayLike | Sparse,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Objective:
        """Loss and gradient on these rows as a function of the parameters, for any optimiser.

        What is passed is checked once; a call has some microseconds of Python beside the work.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (rows, n_in)
        y : array-like
        sample_weight : array-like, shape (rows,) or (rows, n_out), optional
            As in `fit`.

        Returns
        -------
        Objective
            ``objective(params)`` returns the loss, penalties included, and its gradient;
            ``objective.hessp(params, v)`` the Hessian times a vector. For squared errors,
            ``scipy.optimize.least_squares(objective.residuals, net.params, objective.jacobian)``
            takes the other two. All leave the net as it is.

        Examples
        --------
        >>> import numpy as np
        >>> import scipy.optimize
        >>> from fastbp import MLP
        >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> net = MLP((1, 8, 1), activation="tanh", dtype="float64", seed=0)
        >>> objective = net.objective(X, X**2)
        >>> found = scipy.optimize.minimize(
        ...     objective, net.params, jac=True, hessp=objective.hessp, method="trust-ncg"
        ... )
        >>> net.params[:] = found.x
        >>> net.loss(X, X**2) < 1e-4
        True
        """
        return Objective(self, X, y, sample_weight)

    @checks.explained
    def apply_gradient(self, grad: npt.ArrayLike, *, penalties: bool = False) -> None:
        """One update by the optimiser with a gradient of your own making.

        The gradient is clipped, frozen parameters stay, groups have their rates and decays, and
        max_norm holds, as in `step`. A schedule of the learning rate goes on by one.

        Parameters
        ----------
        grad : array-like, shape (n_params,)
            Laid out like `params`; not changed.
        penalties : bool, default=False
            Add the derivative of the penalties first. Without sample weights
            ``net.apply_gradient(net.loss_and_grad(X, y)[1])`` is ``net.step(X, y)`` to the bit:
            that gradient has them. With `total` the sum over shards of the data of
            ``loss_and_grad(X, y, reduction="sum")[1]``, which has none, the same update is
            ``net.apply_gradient(total / rows, penalties=True)``, up to rounding.

        Raises
        ------
        ValueError, TypeError
            For another shape, NaN or infinity, and where the learning rate counts epochs.

        Warns
        -----
        DivergenceWarning
            When an updated parameter is not finite: the parameters stay as they were, and the
            optimiser starts afresh.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import MLP
        >>> a, b = MLP((2, 3, 1), seed=0), MLP((2, 3, 1), seed=0)
        >>> loss = a.step(np.eye(2), [1, 0])
        >>> b.apply_gradient(b.loss_and_grad(np.eye(2), [1, 0])[1])
        >>> bool((a.params == b.params).all())
        True
        """
        gradients.apply_gradient(self, grad, checks.flag("penalties", penalties))

    def get_state(self) -> dict[str, npt.NDArray[Any]]:
        """A copy of what training changes, to send, to average or to go back to.

        Returns
        -------
        dict of str to array
            "params", (n_params,), and "slots", what the optimiser keeps for each parameter, such as
            Adam's moments, one after the other, both of `dtype`; "scalars", float64, its
            hyper-parameters and what it counts; "random", uint64, the random stream; "frozen",
            bool, (n_params,).

        See Also
        --------
        MLP.set_state : Takes it. `save` writes a file.

        Examples
        --------
        >>> from fastbp import MLP
        >>> net = MLP((2, 3, 1), seed=0)
        >>> sorted(net.get_state())
        ['frozen', 'params', 'random', 'scalars', 'slots']
        """
        return copies.get_state(self)

    @checks.explained
    def set_state(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Take over what `get_state` of a net of the same layers and kind of optimiser returned.

        The numbers are copied into the arrays that the net has. The optimiser's hyper-parameters
        stay those of ``net.optimizer``.

        Parameters
        ----------
        state : dict of str to array
            All five arrays. "params", "slots" and "scalars" may be means over nets; the number of
            updates is rounded.

        Raises
        ------
        ValueError, TypeError
            For other names, shapes or dtypes, NaN or infinity; the net is as it was.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import MLP
        >>> net = MLP((2, 3, 1), seed=0)
        >>> before = net.get_state()
        >>> loss = net.step(np.eye(2), [1, 0])
        >>> net.set_state(before)
        >>> net.step(np.eye(2), [1, 0]) == loss
        True
        """
        copies.set_state(self, state)
