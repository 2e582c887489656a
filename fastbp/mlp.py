"""`MLP`: shapes, hyper-parameters and buffers of a multilayer perceptron; no arithmetic."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt

from fastbp import checks, whole_files
from fastbp.checks import Sparse
from fastbp.derivatives.differentiable import Differentiable
from fastbp.fit import data, evaluation, fit
from fastbp.fit.between_epochs import Options
from fastbp.fit.callbacks import Callback
from fastbp.fit.history import History
from fastbp.fit.metrics import Metric
from fastbp.fit.sources import Augmentation
from fastbp.model import activations, layers
from fastbp.model.activations import Activation, ActivationFunction, MakesActivation
from fastbp.model.initializers import Init, check_init, draw, init_names
from fastbp.model.layers import Dense
from fastbp.model.losses import Loss, LossFunction, MakesLoss, as_loss
from fastbp.model.net import FloatArray, Net, Spec
from fastbp.model.optimizers import Optimizer, as_optimizer
from fastbp.model.regularization import Regularization
from fastbp.model.schedules import Rate
from fastbp.model.summary import Summary, summary_of

if TYPE_CHECKING:
    from fastbp.embed.compiled import Compiled
    from fastbp.methods import Method
    from fastbp.methods.laplace import Posterior

BATCH_SIZE = 32
"""Default batch size of `fit`."""

ONE: int | str = 1
"""Thread: the usual case is seen by its identity, which costs nothing beside a single row."""

OneActivation = str | Activation | MakesActivation | ActivationFunction
"""An activation by name, of a graph (`fastbp.graph`), or a function."""

Rows = npt.ArrayLike | Sparse
"""Inputs, row by row."""


INSIDE = {
    "capacity_for", "content", "explaining", "from_spec", "in_python", "layer_table",
    "needs_gradient", "network_on", "new_workspace", "optimizer_state", "posterior",
    "regularization", "restart_optimizer", "rows_in_a_call", "settings", "share_parameters", "spec",
    "split_seed", "state", "team_workspaces", "workspace",
}  # fmt: skip
"""Names of a net that are for this package's use: completion does not offer them."""


SETTABLE = {
    "_compiled", "_spaces", "_training", "_views", "explaining", "history", "in_python",
    "layer_table", "missing_targets", "optimizer", "posterior", "regularization",
    "rows_in_a_call", "spec", "split_seed", "state", "threads", "weight_init",
}  # fmt: skip
"""Attributes that may be set: `optimizer` and `threads` by users, the others by this package."""


class MLP(Differentiable):
    """A multilayer perceptron over one flat buffer of parameters.

    Parameters
    ----------
    layer_sizes : sequence of int or of Dense
        Inputs, hidden layers, outputs. Without hidden layers it is linear, logistic or softmax
        regression. Or the layers one by one, hidden layers and outputs, each a `Dense` with its
        own `activation`, `weight_init` and `dropout`, which are then left out here.
    n_inputs : int, optional
        Number of inputs, with layers, and only then: ``MLP([Dense(3)], n_inputs=2)``.
    activation : str, Activation or callable, or sequence of them, default="relu"
        What the hidden layers compute: "relu", "leaky_relu" (slope 0.01), "elu" (alpha 1), "selu",
        "gelu" (with erf), "silu", "softplus", "tanh", "sigmoid", "hard_sigmoid" (relu6(z + 3) / 6),
        "identity" or "step" (which has no derivative and cannot be trained through); one name, or
        one for each hidden layer. Or your own: a graph of one variable (`fastbp.graph`), or a
        function ``z -> (y, dy/dz)``, see `fastbp.model.activations.CallableActivation`, or one
        of single numbers, at built-in speed: `ElementwiseActivation`.
    output_activation : str, Activation, callable or None, default=None
        None takes the one that matches the loss: sigmoid for binary_cross_entropy, softmax for
        cross_entropy, exp for poisson and gamma, identity for the rest, which accept any, also
        "exp" (exp(88) at most in float32, exp(709) in float64).
    loss : str, Loss or callable, default="squared_error"
        "squared_error" (1/2 of the squared difference), "absolute_error", "huber", "quantile",
        "poisson", "gamma", "hinge", "binary_cross_entropy" or "cross_entropy", each summed over
        outputs and averaged over the rows of a batch; an object such as ``Huber(delta=0.5)``; a
        graph of ``y_pred`` and ``y`` (`fastbp.graph`); or a function ``(y_pred, y) -> (value,
        derivative by y_pred)``, see `CallableLoss`, or one of single numbers: `ElementwiseLoss`.
    optimizer : str or Optimizer, default="adam"
        "sgd", "adam", "adamw", "amsgrad", "nadam", "rmsprop", "adagrad", "adadelta" or "lion"
        with their defaults, or an object such as ``Adam(learning_rate=1e-3)``.
    dtype : {"float32", "float64"}, default="float32"
        Data type of the parameters and of all computation.
    bias : bool, default=True
        Whether units have biases.
    weight_init : str, callable or sequence, default="auto"
        "glorot", "he" or "lecun" (uniform; or with "_uniform" or "_normal" added), "orthogonal",
        "zeros"; "auto" takes he in front of ReLU and similar units, lecun_normal in front of
        SELU units and glorot elsewhere. Or a function of a NumPy generator and (n_in, n_out)
        that returns an array; or for each layer one of these or an array (n_in, n_out). Biases
        start at 0.
    l1, l2 : float, default=0.0
        Penalties ``l1 sum |w| + l2 / 2 sum w^2`` on the weights, not the biases; they are part of
        the loss and of its gradient.
    dropout : float or sequence of float, default=0.0
        Share of the outputs of the hidden layers that each pass of training sets to 0, the others
        scaled up (Srivastava et al., JMLR 2014); one rate, or one for each hidden layer.
    input_dropout : float, default=0.0
        Share of the inputs that each pass of training sets to 0. Only for dense rows.
    clip_value : float, optional
        Each partial derivative is cut off to +-clip_value before an update.
    clip_norm : float, optional
        The gradient is scaled to a Euclidean norm of at most this, after `clip_value` (Pascanu et
        al., ICML 2013). Needs a buffer for the whole gradient.
    max_norm : float, optional
        After an update the weights into each unit are scaled to a norm of at most this.
    missing_targets : bool, default=False
        Take NaN in the targets for targets that are missing: they have no share in the loss, as
        with a weight of 0 (`sample_weight` in `fit`). Not for cross_entropy and other losses that
        are not sums over the outputs.
    threads : int or "auto", default=1
        How many threads share the rows in `fit`, `predict` and `loss_and_grad`, which take another
        number for one call; see `fit`. Can be set. `save` does not write it.
    seed : int or None, default=None
        Seed for all randomness: initial weights, order of the rows, dropout, validation rows. None
        draws a new one.

    Attributes
    ----------
    layer_sizes : tuple of int
        Inputs, hidden layers, outputs.
    activations : tuple of str or Activation
        The activation of each layer, the outputs included.
    loss_name : str
        Name of the loss; `loss` computes it.
    optimizer : Optimizer
        Can be set, also by name. Another of the same class keeps the state, a new class starts
        afresh.
    dtype : numpy.dtype
    bias, missing_targets : bool
    weight_init : str or tuple of str
        As given; "own" for a function or an array.
    n_params : int
        How many parameters there are, frozen ones included; `summary` has them by layer.
    params : array of `dtype`, shape (n_params,)
        All parameters. Layer by layer: the weights that enter unit 0, those that enter unit 1,
        ..., then the biases.
    weights, biases : tuple of array
        Live views of `params`, shapes (n_in, n_out) and (n_out,) a layer; ``biases`` is empty
        with ``bias=False``. Write through them with ``net.weights[0][...] = W``.
    frozen : array of bool, shape (n_params,)
        Parameters that training leaves alone.
    history : History
        History of the last call of `fit`, also when it was interrupted.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> net = MLP((2, 8, 1), activation="tanh", loss="binary_cross_entropy", seed=0)
    >>> history = net.fit(X, [0, 1, 1, 0], epochs=1000, batch_size=4)
    >>> net.predict(X).round().ravel().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """

    posterior: Posterior | None = None

    @checks.explained
    def __init__(
        self,
        layer_sizes: Sequence[int] | Sequence[Dense],
        *,
        n_inputs: int | None = None,
        activation: OneActivation | Iterable[OneActivation] = "relu",
        output_activation: OneActivation | None = None,
        loss: str | Loss | MakesLoss | LossFunction = "squared_error",
        optimizer: str | Optimizer = "adam",
        dtype: npt.DTypeLike = "float32",
        bias: bool = True,
        weight_init: Init = "auto",
        l1: float = 0.0,
        l2: float = 0.0,
        dropout: float | Iterable[float] = 0.0,
        input_dropout: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        max_norm: float | None = None,
        missing_targets: bool = False,
        threads: int | str = 1,
        seed: int | None = None,
    ) -> None:
        given = layers.settings(  # gathered from the layers, where there are any
            layers.Settings(layer_sizes, activation, output_activation, weight_init, dropout),
            n_inputs,
        )
        sizes = checks.layer_sizes(given.layer_sizes)
        loss = as_loss(loss)
        loss.check_outputs(sizes[-1])
        hidden = activations.hidden_activations(given.activation, len(sizes) - 2)
        output = activations.output_activation(
            given.output_activation, sizes[-1], loss.name, loss.activation, loss.from_logits
        )
        dtype = checks.float_dtype(dtype)
        bias = checks.flag("bias", bias)
        missing_targets = checks.flag("missing_targets", missing_targets)
        if missing_targets:
            loss.check_by_output("missing_targets=True", "Leave out the rows without a target")
        regularization = Regularization(
            l1, l2, given.dropout, input_dropout, clip_value, clip_norm, max_norm
        )
        pairs = list(zip(sizes, sizes[1:], strict=False))
        init = check_init(given.weight_init, pairs, dtype)
        self.weight_init = init_names(init)
        generator = checks.generator(seed)
        super().__init__(
            Spec(sizes, (*hidden, output), loss, regularization, dtype, bias),
            as_optimizer(optimizer),
        )
        self.history = History()
        self.missing_targets = missing_targets
        self.threads = checks.threads(threads)
        draw(self, init, generator)

    @classmethod
    def from_spec(cls, spec: Spec, optimizer: Optimizer) -> MLP:
        """A net of parts that were checked before; all its parameters are 0.

        Parameters
        ----------
        spec : Spec
        optimizer : Optimizer
        """
        net = cls.__new__(cls)
        Net.__init__(net, spec, optimizer)
        net.weight_init = "zeros"
        net.history = History()
        return net

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the net into a file in the safetensors format, from which `load` goes on.

        The file has the parameters, the optimiser with its state and schedule, the random stream,
        what is frozen, and the history. A file that is there is replaced as a whole: whatever
        happens meanwhile, it is the old one or the new one.

        Parameters
        ----------
        path : str or path
            Ending in .safetensors by custom. A link is followed.

        Raises
        ------
        ValueError
            For parameters that are not finite, and an optimiser of a class of your own.
        OSError
            Whatever the system says, such as a full disk; the old file is as it was.
        ImportError
            Without safetensors: ``pip install safetensors``.

        Notes
        -----
        Weights stand in the file as ``layers.0.weight``, (n_in, n_out), and ``layers.0.bias``, for
        anyone to read. Functions in Python, such as a `CallableLoss`, are not in the file: pass
        them to `load`. A net of a class derived from `MLP` is loaded as an `MLP`. While another
        thread trains the net, its parameters may be from amid an update; a callback such as
        `Checkpoint` saves between epochs.

        Examples
        --------
        >>> import fastbp
        >>> net = fastbp.MLP((2, 3, 1), seed=0)
        >>> net.save("net.safetensors")
        >>> same = fastbp.load("net.safetensors")
        >>> bool((same.params == net.params).all())
        True
        """
        content = self.content()
        whole_files.write(path, lambda file: file.write(content))

    def content(self) -> bytes:
        """The bytes that `save` writes."""
        from fastbp.saving import nets

        return nets.content_of(self)

    # ---------------------------------------------------------------- what it is

    if not TYPE_CHECKING:  # type checkers refuse what the class does not have by themselves

        def __setattr__(self, name: str, value: Any) -> None:
            """Set what can be set; else say how to change what is meant."""
            if not (name in SETTABLE or name.startswith("__")):
                checks.refuse_to_set(MLP, "net", name, value, type(self) is not MLP)
            object.__setattr__(self, name, value)

    def __dir__(self) -> list[str]:
        return sorted(set(super().__dir__()) - INSIDE)

    def __repr__(self) -> str:
        hidden = self.activations[:-1]
        names = repr(hidden[0]) if len(set(hidden)) == 1 else repr(hidden)
        parts = [f"{self.layer_sizes}"] + ([f"activation={names}"] if hidden else [])
        parts += [
            f"output_activation={self.activations[-1]!r}",
            f"loss={self.spec.loss.short()!r}",
            f"optimizer={self.optimizer!r}",
            f"dtype={self.dtype.name!r}",
        ]
        if not self.bias:
            parts.append("bias=False")
        if self.weight_init not in ("auto", "own"):
            parts.append(f"weight_init={self.weight_init!r}")
        parts += [f"{name}={value!r}" for name, value in self.regularization.given().items()]
        if self.missing_targets:
            parts.append("missing_targets=True")
        return f"MLP({', '.join(parts)})"

    @checks.explained
    def summary(self, batch_size: int = BATCH_SIZE) -> Summary:
        """A table of the layers, with their parameters, and what memory the net takes.

        Parameters
        ----------
        batch_size : int, default=32
            For the memory of a batch in training.

        Returns
        -------
        Summary
            Printed, or at the end of a cell of a notebook, it is a table; its attributes are the
            numbers.

        Examples
        --------
        >>> from fastbp import MLP
        >>> net = MLP((784, 128, 10), loss="cross_entropy", seed=0)
        >>> net.freeze(layers=[0], biases=False)
        >>> summary = net.summary()
        >>> print(str(summary).rpartition("; ")[0])
        MLP 784-128-10, float32
        layer  input shape  output shape  activation  parameters   frozen
            0  (rows, 784)   (rows, 128)        relu     100,480  100,352
            1  (rows, 128)    (rows, 10)     softmax       1,290        0
        total                                            101,770  100,352
        loss: cross_entropy
        optimizer: Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-08)
        memory: 1,543,672 bytes
        """
        return summary_of(self, batch_size)

    # ---------------------------------------------------------------- what it computes

    @overload
    def predict(
        self, X: Rows, *, logits: bool = False, return_std: Literal[False] = False,
        threads: int | str | None = None,
    ) -> FloatArray: ...  # fmt: skip
    @overload
    def predict(
        self, X: Rows, *, logits: bool = False, return_std: Literal[True],
        threads: int | str | None = None,
    ) -> tuple[FloatArray, FloatArray]: ...  # fmt: skip
    def predict(
        self, X: Rows, *, logits: bool = False, return_std: bool = False,
        threads: int | str | None = None,
    ) -> FloatArray | tuple[FloatArray, FloatArray]:  # fmt: skip
        """Outputs, after the output activation; and how sure they are.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (rows, n_in)
            Not copied when it is a C-contiguous array of the net's dtype. Sparse rows as in `fit`.
        logits : bool, default=False
            Return the net inputs of the output layer instead, before its activation. They keep
            what probabilities lose to rounding: 1 - p is ``1 / (1 + exp(z))`` and log p is
            ``-numpy.logaddexp(0, -z)`` for a logit z of binary_cross_entropy.
        return_std : bool, default=False
            Return the standard deviations of targets, too, after a call of `covariance`: the root
            of sigma^2 + j^T C j with its noise sigma^2 and covariance C, and j the derivatives of
            the output by the parameters (Bishop, PRML, 2006, equation 5.173).
        threads : int or "auto", optional
            How many threads share the rows, at least 1,024 dense ones each, with the bits of one;
            by default the net's. Not with `return_std`.

        Returns
        -------
        array of `dtype`, shape (rows, n_out), or two of them
            One output is a column, (rows, 1). Flatten it before you compare it with targets of
            shape (rows,): ``net.predict(X).ravel() - y``. Without ``ravel`` NumPy takes each
            prediction with each target, and the result is a matrix (rows, rows), without an
            error. `score` and `evaluate` take targets of either shape.

        Raises
        ------
        ValueError, TypeError
            For another shape, no rows, NaN or infinity, or values that are not numeric.

        Examples
        --------
        >>> from fastbp import MLP
        >>> net = MLP((2, 1), loss="binary_cross_entropy", weight_init="zeros")
        >>> net.predict([[0, 1], [2, 3]]).tolist()
        [[0.5], [0.5]]
        >>> net.predict([[0, 1]], logits=True).item()
        0.0
        """
        if return_std is not False and checks.flag("return_std", return_std):
            from fastbp.methods import laplace

            return laplace.predict(self, X, logits)
        if logits is not False:
            logits = checks.flag("logits", logits)
        if threads is None:
            threads = self.threads
        if threads is not ONE:
            threads = checks.threads(threads)
        return evaluation.predict(self, X, logits, threads)

    @checks.explained
    def compiled(
        self, *, kind: str = "auto", rows: int = 256, workspaces: int | None = None
    ) -> Compiled:
        """The net as functions compiled by Numba take it: an argument with methods.

        Parameters
        ----------
        kind : {"auto", "unrolled", "address"}, default="auto"
            How one row is predicted: by straight-line code that is compiled into the user's
            function, or by fastbp's own code. "auto" takes the first for small nets.
        rows : int, default=256
            Rows of a pass; more are taken in several. With 256, outputs have the bits of `predict`.
        workspaces : int, optional
            How many threads may call at once; more wait for each other. By default one a CPU.

        Returns
        -------
        Compiled
            Has the methods `predict`, `loss_and_grad`, `vjp`, `step` and `apply_gradient`.

        Raises
        ------
        ValueError, TypeError
            For nets with an activation in Python, and for other options.

        Examples
        --------
        >>> import numba
        >>> import numpy as np
        >>> from fastbp import MLP
        >>> @numba.njit
        ... def simulate(f, y, dy, dt, n):
        ...     for _ in range(n):
        ...         f.predict(y, dy)
        ...         y += dt * dy
        >>> net = MLP((2, 8, 2), activation="tanh", dtype="float64", seed=0)
        >>> y, dy = np.ones(2), np.empty(2)
        >>> simulate(net.compiled(), y, dy, 0.01, 1000)
        >>> bool(np.isfinite(y).all())
        True
        """
        from fastbp.embed.compiled import compiled

        return compiled(self, kind, rows, workspaces)

    @checks.explained
    def jacobian(self, X: Rows, wrt: str = "params") -> FloatArray:
        """Derivatives of the outputs by the parameters, or by the inputs.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (rows, n_in)
            As in `predict`.
        wrt : {"params", "inputs"}, default="params"
            What the derivatives are taken by.

        Returns
        -------
        array of `dtype`, shape (rows, n_out, n_params) or (rows, n_out, n_in)
            For each row and output, after the output activation and without dropout. Parameters
            stand in the order of `params`, frozen ones included.

        Raises
        ------
        ValueError, TypeError
            Bad input, as in `predict`, and a net with step units, which has no derivative.

        Examples
        --------
        >>> from fastbp import MLP
        >>> net = MLP((2, 1), weight_init="zeros")
        >>> net.weights[0][:, 0] = [3, 4]
        >>> net.jacobian([[1, 2]]).tolist(), net.jacobian([[1, 2]], "inputs").tolist()
        ([[[1.0, 2.0, 1.0]]], [[[3.0, 4.0]]])
        """
        from fastbp.methods import jacobian

        return jacobian.jacobian(self, X, wrt)

    def covariance(
        self, X: Rows, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> npt.NDArray[np.float64]:
        """The covariance of the parameters after training, by the Laplace approximation.

        sigma^2 (J^T W J + w l2 I)^-1 with the Jacobian J of the outputs, the sample weights W,
        their sum w (or the number of rows), and l2 of the weights, not the biases. sigma^2 is the
        noise of the targets, the same for all outputs: the weighted sum of the squared residuals,
        divided by the number of targets that count less gamma, the effective number of parameters,
        trace(J^T W J (J^T W J + w l2 I)^-1). Without l2 that is the number of parameters, and of a
        linear net all this is ordinary, or weighted, least squares.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (rows, n_in)
        y : array-like
        sample_weight : array-like, shape (rows,) or (rows, n_out), optional
            The rows that the net was trained on, until the loss no longer fell; as in `fit`.

        Returns
        -------
        array of float64, shape (n_params, n_params)
            0 for frozen parameters. The net remembers it for ``predict(X, return_std=True)``, until
            its parameters change; `save` does not write it.

        Raises
        ------
        ValueError
            For losses other than squared_error, without l2 for fewer targets than parameters, and
            where parameters change no output, so that nothing is known of them.

        Notes
        -----
        MacKay, "A practical Bayesian framework for backpropagation networks", Neural Computation
        4, 1992; Bishop, "Pattern Recognition and Machine Learning", 2006, section 5.7. It holds as
        far as the net is linear in the parameters within their standard deviations, and is
        computed in float64 in any case.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import MLP
        >>> X = np.arange(4.0).reshape(-1, 1)
        >>> net = MLP((1, 1), dtype="float64", seed=0)
        >>> history = net.fit(X, [0, 1, 1, 2], epochs=20, method="lm")
        >>> C = net.covariance(X, [0, 1, 1, 2])
        >>> C.round(3).tolist()
        [[0.02, -0.03], [-0.03, 0.07]]
        >>> mean, std = net.predict([[1.5]], return_std=True)
        >>> float(round(std[0, 0], 3))  # the root of 0.1 (1 + 1 / 4)
        0.354
        """
        from fastbp.methods import laplace

        self.posterior = laplace.posterior(self, X, y, sample_weight)
        return self.posterior.covariance()

    def loss(self, X: Rows, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float:
        """Loss averaged over the rows, penalties included, without dropout.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (rows, n_in)
        y : array-like
            As in `fit`.
        sample_weight : array-like, shape (rows,) or (rows, n_out), optional
            The average is then the weighted one: divided by the sum of the weights, or, where each
            output has its own, by their sum over n_out.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            Bad input, as in `fit`.

        Examples
        --------
        >>> from fastbp import MLP
        >>> net = MLP((2, 1), weight_init="zeros")
        >>> net.loss([[0, 1], [1, 0]], [1, 3])  # the mean of 1/2 and 9/2
        2.5
        >>> net.loss([[0, 1], [1, 0]], [1, 3], sample_weight=[1, 0])
        0.5
        """
        return evaluation.mean_loss(self, X, y, sample_weight)

    @checks.explained
    def score(self, X: Rows, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float:
        """How good the predictions are, 1 at best: accuracy for classes, R^2 for numbers.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (rows, n_in)
        y : array-like
            As in `fit`.
        sample_weight : array-like, shape (rows,) or (rows, n_out), optional
            By which rows, or outputs, count.

        Returns
        -------
        float
            With cross_entropy, binary_cross_entropy and hinge the accuracy: the share of the rows
            whose class is predicted, or, where the outputs are labels of which a row may have
            several, the share of the outputs that are right. With every other loss, those of your
            own included, R^2, averaged over the outputs. Targets that are missing do not count.
            The functions are in `fastbp.fit.metrics`; `evaluate` has others.

        Raises
        ------
        ValueError, TypeError
            Bad input, as in `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import MLP, Adam
        >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> net = MLP((1, 16, 1), activation="tanh", optimizer=Adam(0.01), seed=0)
        >>> history = net.fit(X[::2], X[::2] ** 2, epochs=1000)
        >>> net.score(X[1::2], X[1::2] ** 2) > 0.99
        True
        """
        return evaluation.score(self, X, y, sample_weight)

    @checks.explained
    def evaluate(
        self,
        X: Rows,
        y: npt.ArrayLike,
        *,
        metrics: str | Metric | Iterable[str | Metric] = (),
        sample_weight: npt.ArrayLike | None = None,
    ) -> dict[str, float]:
        """Loss and metrics on these rows, by the names that they have in a history.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (rows, n_in)
        y : array-like
            As in `fit`.
        metrics : str, callable or list of both, default=()
            As in `fit`.
        sample_weight : array-like, shape (rows,) or (rows, n_out), optional
            Weights of the loss and of the metrics with a name; functions of your own do not get
            them.

        Returns
        -------
        dict of str to float
            "loss", as `loss` returns it, and the metrics. ``evaluate(X, y)`` of the rows that a
            fit validated with gives what stands in its history as "val_loss", and so on.

        Raises
        ------
        ValueError, TypeError
            Bad input, as in `fit`.

        Examples
        --------
        >>> from fastbp import MLP
        >>> net = MLP((2, 1), weight_init="zeros", seed=0)
        >>> net.evaluate([[0, 1], [1, 0]], [1, 3], metrics=["r2", "mean_absolute_error"])
        {'loss': 2.5, 'r2': -4.0, 'mean_absolute_error': 2.0}
        """
        return evaluation.report(self, X, y, metrics, sample_weight)

    def step(self, X: Rows, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float:
        """One optimiser update on this batch.

        Parameters
        ----------
        X, y : array-like
            As in `fit`; all rows are one batch.
        sample_weight : array-like, shape (rows,) or (rows, n_out), optional
            By which the losses of the rows, or of each output, are multiplied, at least 0, taken as
            they are: the sum is divided by the number of rows. A step of weight 1e-6 is a
            millionth of a step. Not for each output with cross_entropy.

        Returns
        -------
        float
            The loss before the update, so weighted. When it or an updated parameter is not finite,
            the parameters stay as they were, the optimiser starts afresh and a DivergenceWarning
            says so.

        Examples
        --------
        Q-learning knows a target for the action that was taken, and for no other:

        >>> import numpy as np
        >>> from fastbp import MLP
        >>> net = MLP((4, 16, 3), missing_targets=True, seed=0)
        >>> states, actions = np.eye(4), np.array([0, 2, 2, 1])
        >>> targets = np.full((4, 3), np.nan)
        >>> targets[np.arange(4), actions] = [1.0, 0.5, -0.5, 0.0]
        >>> losses = [net.step(states, targets) for _ in range(500)]
        >>> losses[-1] < 1e-3 * losses[0]
        True
        """
        return fit.step(self, X, y, sample_weight)

    @checks.explained
    def fit(
        self,
        X: Rows | Iterable[Any],
        y: npt.ArrayLike | None = None,
        *,
        epochs: int = 10,
        batch_size: int | None = None,
        shuffle: bool = True,
        method: str | Method | None = None,
        augment: Augmentation | Sequence[Augmentation] | None = None,
        sample_weight: npt.ArrayLike | None = None,
        validation_data: tuple[npt.ArrayLike, ...] | None = None,
        validation_fraction: float | None = None,
        metrics: str | Metric | Iterable[str | Metric] = (),
        patience: int | None = None,
        min_delta: float = 0.0,
        callbacks: Callback | Iterable[Callback] = (),
        max_seconds: float | None = None,
        verbose: int = 0,
        resume: bool = False,
        threads: int | str | None = None,
    ) -> History:
        """Continue training from the current weights, on mini-batches or by a `method`.

        On mini-batches the optimiser's state goes on, too. With any of the options from
        `validation_data` on, control returns once an epoch, which costs some microseconds;
        without, many epochs run in one compiled call.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (rows, n_in), or iterable of batches
            Not copied when it is a C-contiguous array of the net's dtype. A sparse matrix or array
            of SciPy (best in CSR) is not made dense: only its entries are gone through, and the
            model is that of dense rows but for rounding. A memory-mapped array
            (`numpy.memmap`) of more than 64 MiB is read a part at a time, so that it may exceed
            memory; with `shuffle` in a random order of blocks of about 1 MiB, the rows of a part
            at random among each other. So are arrays of Zarr and HDF5, by their chunks, and without
            `y`, a `fastbp.Parquet`; a thread reads ahead. Also without `y`, an iterable of tuples
            (X, y) or (X, y, sample_weight): each is one batch, all are an epoch, `batch_size` and
            `shuffle` do not matter. An iterator that is used up, as a generator is after one epoch,
            ends training with a warning.
        y : array-like, optional
            Targets, shape (rows, n_out), or (rows,) for one output; for cross_entropy integer
            labels 0 ... n_out - 1 of shape (rows,), or probabilities (rows, n_out).
        epochs : int, default=10
            With a method, its iterations at the most.
        batch_size : int, optional
            32 by default. The last batch of an epoch may be shorter; it is used too. Not with a
            method.
        shuffle : bool, default=True
            Take the rows in a new order in each epoch.
        method : str or Method, optional
            "gradient_descent", "conjugate_gradient", "scaled_conjugate_gradient", "rprop",
            "lbfgs" (needs SciPy) or, for squared_error and few parameters, "lm" minimises the
            loss of all rows at once, penalties included, with its own step sizes; see
            `fastbp.methods`, whose objects have parameters: ``method=Rprop(first_step=0.1)``.
            An iteration counts as an epoch, and training ends before the last when no partial
            derivative exceeds the method's tolerance. The net's optimiser is not used, and its
            state stays. The rows must be in memory; dropout, clipping, max_norm and, but for
            Rprop, l1 are refused.
        augment : callable or list of callable, optional
            ``augment(X, rng)`` returns what is trained on instead of a batch X, (rows, n_in) of
            the net's dtype, with the same shape; it may change X in place. `rng` is a NumPy
            generator, drawn from the net's seed in each epoch. Several are applied one after the
            other. Ready ones are in `fastbp.augment.images`. Metrics and validation take the rows
            as they are. Not with a method, and not with sparse rows.
        sample_weight : array-like, shape (rows,) or (rows, n_out), optional
            By which the losses of the rows, or of each output, are multiplied, at least 0; not of
            each output with cross_entropy. They are scaled once to a mean of 1 over all rows, and
            outputs, so that only their ratios count; the loss of a batch is the sum over its rows
            divided by their number. Thus the expectation of its gradient is that of
            ``net.loss(X, y, sample_weight)``, whatever the batch size. The weight of a missing
            target (`missing_targets`) is 0, in all of this. The weights of an iterable of batches
            are taken as they are, as in `step`.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Rows that are not trained on; their loss after each epoch is "val_loss".
        validation_fraction : float, optional
            Hold out this share of the rows as validation data, rounded up: drawn by the net's
            seed, or with ``shuffle=False`` the last. Each `fit` of a net with the same number
            of rows holds out the same ones. Drawn rows are copied.
        metrics : str, callable or list of both, default=()
            "accuracy", "mean_squared_error", "mean_absolute_error", "r2", or functions of
            (y_true, y_pred), measured after each epoch on all rows: on those of training by their
            name, on the validation data as "val_" + name. They take a prediction of all rows.
            Beside batches they are measured on the validation data alone. Those with a name go by
            the sample weights, and targets that are missing do not count in them; a function is
            given no weights, and NaN for such targets.
        patience : int, optional
            Stop when "val_loss", without validation data "loss", has not improved for so many
            epochs; at the end, stopped or not, restore the parameters of the best epoch,
            ``history.restored_epoch``. The optimiser's state is not restored but goes on. As
            `EarlyStopping`.
        min_delta : float, default=0.0
            By how much the loss must fall to be an improvement. Needs `patience`.
        callbacks : Callback or list of Callback, default=()
            What is called at the beginning, after each epoch and at the end.
        max_seconds : float, optional
            Stop, also within an epoch, when this wall-clock time has passed since the call, which
            is seen about every tenth of a second. Then the parameters of the best
            epoch are restored, as with `patience`; those of the updates so far stay when no
            epoch is finished.
        verbose : int, default=0
            1 shows a progress bar where tqdm is installed, else a line an epoch; 2 always lines.
        resume : bool, default=False
            Go on with ``net.history``, of a net that was loaded or a fit that was interrupted: its
            epochs count among `epochs`, and the new ones are added to them. With the same data
            and options the bits are those of a fit that was never stopped, if it was stopped
            after an epoch; `patience` begins anew, and so does an `EarlyStopping`. Where the fit
            before restored its best epoch, that is restored again unless a new epoch is better.
            Not with a method.
        threads : int or "auto", optional
            How many threads share each batch, with the bits of one; by default the net's. They pay
            for steps of more than 0.1 ms or, on cores that are far from each other, 2.5 ms; "auto"
            measures that, and takes one thread where others do not help. A thread takes at least
            two vectors of rows, 32 of float32 with AVX-512. One thread does what cannot be shared:
            smaller batches, an iterable of batches, sparse rows, losses and activations in Python,
            methods. Several nets at a time are better trained with one thread each.

        Returns
        -------
        History
            Loss, learning rate and seconds by epoch, and what was asked for.

        Raises
        ------
        ValueError, TypeError
            Bad input; the net is as it was.
        Exception
            Whatever code of your own raises: an iterable of batches, an augmentation, a loss, an
            activation, a metric or a callback. The net is usable and holds the updates made so
            far, ``net.history`` has the finished epochs.
        KeyboardInterrupt
            On Ctrl-C, within about a fifth of a second; the net and its history as above.

        Warns
        -----
        DivergenceWarning
            When the loss or a parameter is not finite: training stops, the parameters are those
            after the last epoch that ended finite, or the best as above, the optimiser starts
            afresh.
        UserWarning
            When an iterator of batches is used up before the last epoch.

        See Also
        --------
        fastbp.diagnose : Says what is wrong where the loss stays high: unscaled data, for example.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import MLP
        >>> X = np.random.default_rng(0).normal(size=(500, 2))
        >>> y = X[:, 0] * X[:, 1]
        >>> net = MLP((2, 32, 1), seed=0)
        >>> history = net.fit(X, y, epochs=500, validation_fraction=0.2, patience=20)
        >>> history.restored_epoch == history.best_epoch
        True
        >>> net.score(X, y) > 0.97
        True
        """
        options = Options(
            validation_data, validation_fraction, metrics, patience, min_delta, callbacks,
            max_seconds, verbose,
        )  # fmt: skip
        examples = data.Examples(X, y, sample_weight)
        resume = checks.flag("resume", resume)
        if method is not None:
            from fastbp.methods import full_batch

            if resume:
                raise ValueError(
                    "resume=True goes on with mini-batches; a method begins anew. Leave resume out"
                )

            full_batch.check_alone(batch_size, augment)
            return full_batch.fit(self, examples, method, epochs, shuffle, options, self._begin)
        batch_size = BATCH_SIZE if batch_size is None else batch_size
        return fit.fit(
            self, examples, epochs, batch_size, shuffle, options, augment, self._begin,
            before=self.history if resume else None, threads=threads,
        )  # fmt: skip

    def _begin(self, history: History) -> None:
        """Keep the history of a fit that begins: an interrupted one leaves its epochs."""
        self.history = history


def load(
    path: str | os.PathLike[str],
    *,
    loss: Loss | MakesLoss | LossFunction | None = None,
    activation: OneActivation | Sequence[OneActivation | None] | None = None,
    learning_rate: Rate | None = None,
) -> MLP:
    """Read a net that `MLP.save` has written; training goes on to the bit as without a stop.

    A file can do no harm, whoever made it: no code is in it, and all of it is checked.

    Parameters
    ----------
    path : str or path
        The file.
    loss : Loss or callable, optional
        The loss, where it is code in Python, which no file holds; as in `MLP`.
    activation : callable or list, optional
        The activation that is code in Python, for each layer that has one, or a list with one
        for each layer, the outputs included, and None where the file has it.
    learning_rate : callable, optional
        The learning rate, where it is a function.

    Returns
    -------
    MLP

    Raises
    ------
    ValueError
        When the file is damaged, changed, or none that `MLP.save` writes, and when code is missing,
        or given for what the file holds.
    OSError
        When it cannot be read.
    ImportError
        Without safetensors: ``pip install safetensors``.

    Examples
    --------
    >>> import numpy as np
    >>> import fastbp
    >>> X = np.linspace(-1, 1, 20).reshape(-1, 1)
    >>> net = fastbp.MLP((1, 4, 1), seed=0)
    >>> history = net.fit(X, X**2, epochs=5)
    >>> net.save("net.safetensors")
    >>> tomorrow = fastbp.load("net.safetensors")
    >>> tomorrow.fit(X, X**2, epochs=5).loss == net.fit(X, X**2, epochs=5).loss
    True
    """
    from fastbp.saving import nets

    saved = nets.read(path, nets.Own(loss, activation, learning_rate))
    net = MLP.from_spec(saved.spec, saved.optimizer)
    nets.fill(net, saved.tensors)
    net.history = saved.history
    net.split_seed = saved.split_seed
    net.missing_targets = saved.missing_targets
    net.weight_init = saved.weight_init
    return net
