"""`MLP`: shapes, hyper-parameters and buffers of a multilayer perceptron; no arithmetic."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks, dataset
from fastbp._jit import ready
from fastbp.callbacks import Callback
from fastbp.fitting import SECONDS_A_CALL, DivergenceWarning, Job, run_epochs
from fastbp.history import History
from fastbp.hooks import Hooks, Options, prepare
from fastbp.initializers import Init, check_init, initial_weights
from fastbp.kernels import training
from fastbp.kernels.activations import ACTIVATIONS, HIDDEN_ACTIVATIONS
from fastbp.kernels.losses import FROM_LOGITS, LOSSES, MATCHING_ACTIVATION
from fastbp.kernels.network import Data, Network
from fastbp.kernels.updates import N_SCALARS, OptimizerState
from fastbp.layout import (
    ACTIVATION,
    CAPACITY,
    Workspace,
    table_of_layers,
    weight_views,
    workspace_for,
)
from fastbp.metrics import Metric
from fastbp.optimizers import Optimizer, as_optimizer

FloatArray = npt.NDArray[np.floating]

PASS_ROWS = 256
"""Rows of a pass when a batch is cut into several: their activations fit the second cache."""
WHOLE_BATCH = 512
"""Batches up to this size go through in one pass."""


class MLP:
    """A multilayer perceptron over one flat buffer of parameters.

    Parameters
    ----------
    layer_sizes : sequence of int
        Inputs, hidden layers, outputs. Without hidden layers it is linear, logistic or softmax
        regression.
    activation : str or sequence of str, default="relu"
        Of the hidden layers: "relu", "tanh", "sigmoid", "identity" or "step" (which has no
        derivative and cannot be trained through); one name, or one for each hidden layer.
    output_activation : str or None, default=None
        None takes the one that matches the loss: identity for squared_error, sigmoid for
        binary_cross_entropy, softmax for cross_entropy. squared_error accepts any.
    loss : str, default="squared_error"
        "squared_error" (1/2 of the squared difference, summed over outputs),
        "binary_cross_entropy" or "cross_entropy"; averaged over the rows of a batch.
    optimizer : str or Optimizer, default="adam"
        "adam" or "sgd" with their defaults, or an object such as ``Adam(learning_rate=1e-3)``.
    dtype : {"float32", "float64"}, default="float32"
        Of the parameters and all arithmetic.
    bias : bool, default=True
        Whether units have biases.
    weight_init : str, callable or sequence of array, default="auto"
        "glorot", "he" or "lecun" (uniform; or with "_uniform" or "_normal" added), "orthogonal",
        "zeros"; "auto" takes he in front of ReLU and similar units, lecun_normal in front of
        SELU units and glorot elsewhere. Or a function of a NumPy generator and (n_in, n_out)
        that returns an array, or one array (n_in, n_out) for each layer. Biases start at 0.
    seed : int or None, default=None
        Of all randomness: initial weights and the order of the rows. None draws a new one.

    Attributes
    ----------
    params : array of `dtype`, shape (n_params,)
        All parameters. Layer by layer: the weights that enter unit 0, those that enter unit 1,
        ..., then the biases.
    weights, biases : tuple of array
        Live views of `params`, shapes (n_in, n_out) and (n_out,) a layer; ``biases`` is empty
        with ``bias=False``. Write through them with ``net.weights[0][...] = W``.
    frozen : array of bool, shape (n_params,)
        Parameters that training leaves alone.
    history : History
        Of the last call of `fit`, also when it was interrupted.

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

    def __init__(
        self,
        layer_sizes: Sequence[int],
        *,
        activation: str | Iterable[str] = "relu",
        output_activation: str | None = None,
        loss: str = "squared_error",
        optimizer: str | Optimizer = "adam",
        dtype: npt.DTypeLike = "float32",
        bias: bool = True,
        weight_init: Init = "auto",
        seed: int | None = None,
    ) -> None:
        self.layer_sizes = checks.layer_sizes(layer_sizes)
        self.loss_name = checks.choice("loss", loss, LOSSES)
        hidden = checks.activations(activation, len(self.layer_sizes) - 2, HIDDEN_ACTIVATIONS)
        output = checks.output_activation(
            output_activation, self.loss_name, ACTIVATIONS, MATCHING_ACTIVATION, FROM_LOGITS
        )
        if self.loss_name == "cross_entropy" and self.layer_sizes[-1] < 2:
            raise ValueError(
                "cross_entropy needs an output for each class, at least 2; for two classes and "
                "one output use loss='binary_cross_entropy'"
            )
        self.activations = (*hidden, output)
        self.dtype = checks.float_dtype(dtype)
        self.bias = checks.flag("bias", bias)
        pairs = list(zip(self.layer_sizes, self.layer_sizes[1:], strict=False))
        init = check_init(weight_init, pairs, self.dtype)
        self.weight_init = init if isinstance(init, str) else "own"
        self._optimizer = as_optimizer(optimizer)
        generator = checks.generator(seed)

        codes = [ACTIVATIONS[name] for name in self.activations]
        self._layers, n_params = table_of_layers(self.layer_sizes, codes, self.bias)
        self._params = np.zeros(n_params, self.dtype)
        self._views = weight_views(self._params, self._layers)
        for layer, (pair, name) in enumerate(zip(pairs, self.activations, strict=True)):
            weights = initial_weights(generator, pair, init, layer, name, self.dtype)
            self.weights[layer][...] = weights
        self._random = generator.integers(2**64, size=1, dtype=np.uint64)
        self._frozen = np.zeros(n_params, np.bool_)
        self._scalars = np.zeros(N_SCALARS)
        self._slots = np.zeros(self._optimizer.n_slots * n_params, self.dtype)
        self._optimizer.reset(self._scalars)
        self._no_numbers = np.empty(0, self.dtype)
        self._spaces = threading.local()
        # At 20 GFLOP/s, which most processors exceed: they come back sooner.
        n_weights = sum(int(weights.size) for weights in self.weights)
        passes = int(SECONDS_A_CALL * 20e9 / (6 * n_weights * PASS_ROWS))
        self._rows_in_a_call = min(max(1, passes), 4096) * PASS_ROWS
        self.history = History()

    # ---------------------------------------------------------------- what it is

    @property
    def params(self) -> FloatArray:
        """All parameters, (n_params,); change them in place."""
        return self._params

    @property
    def weights(self) -> tuple[FloatArray, ...]:
        """Live views of the weights of each layer, (n_in, n_out)."""
        return self._views[0]

    @property
    def biases(self) -> tuple[FloatArray, ...]:
        """Live views of the biases of each layer, (n_out,); empty with ``bias=False``."""
        return self._views[1]

    @property
    def frozen(self) -> npt.NDArray[np.bool_]:
        """Parameters that training leaves alone, (n_params,); change it in place."""
        return self._frozen

    @property
    def optimizer(self) -> Optimizer:
        """The optimiser. Another of the same kind keeps the state, a new kind starts afresh."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimizer: str | Optimizer) -> None:
        new = as_optimizer(optimizer)
        if type(new) is type(self._optimizer):
            new.write(self._scalars)
        else:
            self._slots = np.zeros(new.n_slots * self._params.size, self.dtype)
            new.reset(self._scalars)
        self._optimizer = new

    def __repr__(self) -> str:
        hidden = self.activations[:-1]
        names = repr(hidden[0]) if len(set(hidden)) == 1 else repr(hidden)
        return (
            f"MLP({self.layer_sizes}, " + (f"activation={names}, " if hidden else "") + f"output_"
            f"activation={self.activations[-1]!r}, loss={self.loss_name!r}, "
            f"optimizer={self._optimizer!r}, dtype={self.dtype.name!r})"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the workspaces and the views, which are made again."""
        state = self.__dict__.copy()
        for name in ("_views", "_spaces"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._spaces = threading.local()
        self._views = weight_views(self._params, self._layers)

    def freeze(
        self, *, weights: bool = True, biases: bool = True, layers: Iterable[int] | None = None
    ) -> None:
        """Mark parameters that training is to leave alone.

        Parameters
        ----------
        weights, biases : bool, default=True
            Which kinds to freeze; the others stay as they are.
        layers : iterable of int, optional
            Which layers, counted from 0 at the inputs; all by default.
        """
        self._mark(True, weights, biases, layers)

    def unfreeze(
        self, *, weights: bool = True, biases: bool = True, layers: Iterable[int] | None = None
    ) -> None:
        """Undo `freeze`; parameters as there."""
        self._mark(False, weights, biases, layers)

    def _mark(self, value: bool, weights: bool, biases: bool, layers: Iterable[int] | None) -> None:
        weights, biases = checks.flag("weights", weights), checks.flag("biases", biases)
        chosen = checks.layer_indices(layers, len(self._layers))
        weight_masks, bias_masks = weight_views(self._frozen, self._layers)
        for layer in chosen:
            if weights:
                weight_masks[layer][...] = value
            if biases and self.bias:
                bias_masks[layer][...] = value

    # ---------------------------------------------------------------- what it computes

    def predict(self, X: npt.ArrayLike) -> FloatArray:
        """Outputs, after the output activation.

        Parameters
        ----------
        X : array-like, shape (rows, n_in)
            Not copied when it is a C-contiguous array of the net's dtype.

        Returns
        -------
        array of `dtype`, shape (rows, n_out)

        Raises
        ------
        ValueError, TypeError
            For another shape, no rows, NaN or infinity, or what are no numbers.
        """
        inputs = dataset.inputs(X, self.layer_sizes[0], self.dtype)
        out = np.empty((inputs.shape[0], self.layer_sizes[-1]), self.dtype)
        rows, rows_a_call = inputs.shape[0], self._rows_in_a_call
        network, work = self._space(rows, training=False)
        for first in range(0, rows, rows_a_call):
            some, theirs = inputs, out
            if rows > rows_a_call:
                some, theirs = (a[first : first + rows_a_call] for a in (inputs, out))
            arguments = (network.params, network.layers, *work, some, theirs)
            ready(training.predict, self.dtype.char, arguments)
            index = training.predict(*arguments)
            if index >= 0:
                checks.raise_not_finite("X", inputs, first * inputs.shape[1] + index, X)
        return out

    def loss(self, X: npt.ArrayLike, y: npt.ArrayLike) -> float:
        """Loss averaged over the rows; `X` and `y` as in `fit`."""
        return self._evaluate(X, y, self._no_numbers)

    def loss_and_grad(self, X: npt.ArrayLike, y: npt.ArrayLike) -> tuple[float, FloatArray]:
        """Loss averaged over the rows, and its gradient, laid out like `params`.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.

        Returns
        -------
        loss : float
        grad : array of `dtype`, shape (n_params,)
            A new array. Frozen parameters have their gradients too.
        """
        self._check_trainable()
        grad = np.empty_like(self._params)
        return self._evaluate(X, y, grad), grad

    def _evaluate(self, X: npt.ArrayLike, y: npt.ArrayLike, grad: FloatArray) -> float:
        data, rows = self._data(X, y)
        network, work = self._space(rows, training=True)
        shared, loss = (network, work, data, self._state(), grad), 0.0
        for first in range(0, rows, self._rows_in_a_call):
            arguments = (*shared, first, min(self._rows_in_a_call, rows - first), rows)
            ready(training.evaluate, self.dtype.char, arguments)
            loss += training.evaluate(*arguments)
        return loss

    def step(self, X: npt.ArrayLike, y: npt.ArrayLike) -> float:
        """One optimiser update on this batch.

        Parameters
        ----------
        X, y : array-like
            As in `fit`; all rows are one batch.

        Returns
        -------
        float
            The loss before the update. When it or an updated parameter is not finite, the
            parameters stay as they were, the optimiser starts afresh and a DivergenceWarning
            says so.
        """
        self._check_trainable()
        data, rows = self._data(X, y)
        return self._train(data, rows, rows, 1, History(), None)

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        epochs: int = 10,
        batch_size: int = 32,
        shuffle: bool = True,
        validation_data: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        validation_fraction: float | None = None,
        metrics: str | Metric | Iterable[str | Metric] = (),
        patience: int | None = None,
        min_delta: float = 0.0,
        callbacks: Callback | Iterable[Callback] = (),
        max_seconds: float | None = None,
        verbose: int = 0,
    ) -> History:
        """Train on mini-batches, from where the net is, optimiser state included.

        With any of the options from `validation_data` on, control returns once an epoch, which
        costs some microseconds; without, many epochs run in one compiled call.

        Parameters
        ----------
        X : array-like, shape (rows, n_in)
            Not copied when it is a C-contiguous array of the net's dtype.
        y : array-like
            Targets, shape (rows, n_out), or (rows,) for one output; for cross_entropy integer
            labels 0 ... n_out - 1 of shape (rows,), or probabilities (rows, n_out).
        epochs : int, default=10
        batch_size : int, default=32
            The last batch of an epoch may be shorter; it is used too.
        shuffle : bool, default=True
            Take the rows in a new order in each epoch.
        validation_data : (X, y), optional
            Rows that are not trained on; their loss after each epoch is "val_loss".
        validation_fraction : float, optional
            Hold out this share of the rows as validation data, rounded up: drawn by the net's
            seed, anew in each call, or with ``shuffle=False`` the last. Drawn rows are copied.
        metrics : str, callable or list of both, default=()
            "accuracy", "mean_squared_error", "mean_absolute_error", "r2", or functions of
            (y_true, y_pred), measured after each epoch on all rows: on those of training by their
            name, on the validation data as "val_" + name. They take a prediction of all rows.
        patience : int, optional
            Stop when "val_loss", without validation data "loss", has not improved for so many
            epochs; at the end, stopped or not, restore the parameters of the best epoch.
            The optimiser's state is not restored but goes on. As `EarlyStopping`.
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

        Returns
        -------
        History
            Loss, learning rate and seconds by epoch, and what was asked for.

        Raises
        ------
        ValueError, TypeError
            Bad input; the net is as it was.
        KeyboardInterrupt
            On Ctrl-C, within about a fifth of a second. The net is usable and holds the updates
            made so far; ``net.history`` has the finished epochs.

        Warns
        -----
        DivergenceWarning
            When the loss or a parameter is not finite: training stops, the parameters are those
            after the last epoch that ended finite, or the best as above, the optimiser starts
            afresh.
        """
        epochs = checks.count("epochs", epochs, 0, 2**31 - 1)
        batch_size = checks.count("batch_size", batch_size)
        shuffle, hooks = checks.flag("shuffle", shuffle), None
        options = Options(
            validation_data, validation_fraction, metrics, patience, min_delta, callbacks,
            max_seconds, verbose,
        )  # fmt: skip
        self._check_trainable()
        data, rows = self._data(X, y)
        if options.any_given():
            table = data.inputs.reshape(rows, -1)
            hooks, kept, y = prepare(self, table, y, shuffle, epochs, options, self._random)
            if len(kept) < rows:
                data, rows = self._data(kept, y)
        batch_size = min(batch_size, rows)
        if shuffle and batch_size < rows:  # the order within one batch changes nothing
            data = data._replace(order=np.arange(rows), n_order=rows)
        if hooks is None or not epochs:
            self.history = History()
            if epochs:
                self._train(data, rows, batch_size, epochs, self.history, None)
            return self.history
        with hooks:
            self.history = hooks.fit.history
            self._train(data, rows, batch_size, epochs, self.history, hooks)
        return self.history

    # ---------------------------------------------------------------- how it calls the kernels

    def _data(self, X: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Data, int]:
        return dataset.rows_and_targets(X, y, self.layer_sizes, self.loss_name, self.dtype)

    def _check_trainable(self) -> None:
        if "step" in self.activations:
            raise ValueError(
                "a net with step units cannot be trained by backpropagation: their derivative is "
                f"0 or undefined; activations are {self.activations}. Train with sigmoid, tanh "
                "or relu"
            )

    def _space(self, rows: int, training: bool) -> tuple[Network, Workspace]:
        """Network and workspace for batches of `rows` rows, kept for this thread's next call."""
        spaces: dict[str, tuple[Network, Workspace]] = self._spaces.__dict__
        use = "training" if training else "prediction"
        found = spaces.get(use)
        capacity = rows if rows <= WHOLE_BATCH else PASS_ROWS
        if found is not None and found[1].places[CAPACITY] == capacity:
            return found
        layers = self._layers.copy()
        if training and self.loss_name in FROM_LOGITS:
            layers[-1, ACTIVATION] = ACTIVATIONS["identity"]  # the loss takes the net inputs
        layers, work = workspace_for(layers, capacity, self.dtype, training)
        network = Network(
            params=self._params,
            layers=layers.reshape(-1),
            n_params=self._params.size,
            n_layers=len(layers),
            loss=LOSSES[self.loss_name],
        )
        spaces[use] = network, work
        return network, work

    def _state(self) -> OptimizerState:
        frozen = self._frozen if self._frozen.any() else self._frozen[:0]
        return OptimizerState(
            code=self._optimizer.code,
            scalars=self._scalars,
            slots=self._slots,
            frozen=frozen.view(np.uint8),
            n_frozen=frozen.size,
        )

    def _train(
        self,
        data: Data,
        rows: int,
        batch_size: int,
        epochs: int,
        history: History,
        hooks: Hooks | None,
    ) -> float:
        """Train, and never leave parameters that are not finite; returns the first loss."""
        if not np.isfinite(self._params).all():
            warnings.warn(
                "net.params are not finite before training, which would change nothing; set them "
                "to finite numbers or make a new net",
                DivergenceWarning,
                stacklevel=3,
            )
            return float("nan")
        network, work = self._space(batch_size, training=True)
        snapshot = self._params.copy()
        rate = getattr(self._optimizer, "learning_rate", float("nan"))
        job = Job(
            network, work, data, self._state(), self._random, snapshot, rows, batch_size, rate
        )
        passes = self._rows_in_a_call // (4 * min(batch_size, int(work.places[CAPACITY])))
        kept = "the last finite epoch"
        if hooks is not None:
            hooks.state = self._state
        try:
            status, losses = run_epochs(job, epochs, passes, history, hooks)
        except BaseException:
            if not np.isfinite(self._params).all():  # an update overflowed, and its epoch not over
                self._params[:] = snapshot
                self._restart_optimizer()
            raise
        if status == training.RUNNING and not np.isfinite(self._params).all():
            self._params[:], status = snapshot, training.DIVERGED
        if status == training.DIVERGED:
            self._restart_optimizer()
            history.stopped = f"diverged in epoch {len(history) + 1}"
            if hooks is not None:
                hooks.end()
                if hooks.fit.restored:
                    kept = f"epoch {hooks.fit.restored}, the best"
            warnings.warn(
                f"training diverged in epoch {len(history) + 1}: the loss or a parameter is not "
                f"finite. The parameters are those after {kept}, the optimizer's state is reset. "
                "Try a smaller learning_rate or scale the inputs",
                DivergenceWarning,
                stacklevel=3,
            )
        return float(losses[0])

    def _restart_optimizer(self) -> None:
        self._optimizer.reset(self._scalars)
        self._slots[:] = 0
