"""fastbp and the libraries it is compared with, each behind the same small interface.

Every class does the same work: a multi-layer perceptron with linear outputs, half the squared
difference summed over outputs and averaged over rows, Adam with a learning rate of 1e-3 and
float32 unless told otherwise, on whole mini-batches, starting from the weights of the workload.
Each library is written the way its own users would write it for speed on one thread.

A library is imported when its class is first used, so that those that are not installed can be
left out.
"""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compare.peer_base import BETA1, BETA2, EPSILON, LEARNING_RATE, CannotRunError, Peer
from compare.peer_numpy import NumPy


class FastBP(Peer):
    """fastbp: many epochs run inside one call of `fit`."""

    name = "fastbp"
    title = "fastbp"
    package = "fastbp"

    @classmethod
    def version(cls) -> str:
        """Return the version of the source that is imported, installed or not."""
        from fastbp import __version__

        return f"{cls.title} {__version__}"

    def reset(self) -> None:
        """Build a new net; compiled code is kept."""
        from fastbp import MLP, Adam

        self.net = MLP(
            self.workload.layer_sizes,
            activation=self.workload.activation,
            loss="squared_error",
            optimizer=Adam(learning_rate=LEARNING_RATE),
            dtype=self.dtype,
            seed=0,
        )
        for layer, weights in enumerate(self.workload.weights(self.dtype)):
            self.net.weights[layer][...] = weights
            self.net.biases[layer][...] = 0

    def train(self, epochs: int, shuffle: bool = True) -> None:
        """Train for several epochs in one call."""
        batch = self.workload.batch_size
        self.net.fit(
            self.X, self.Y, epochs=epochs, batch_size=batch, shuffle=shuffle, threads=self.threads
        )

    def predict(self, X: NDArray) -> NDArray:
        """Return the outputs."""
        return np.asarray(self.net.predict(X))

    def parameters(self) -> list[NDArray]:
        """Return copies of the weights and biases."""
        return [np.array(array) for array in (*self.net.weights, *self.net.biases)]

    def loss(self) -> float:
        """Return the loss that the net itself reports."""
        return float(self.net.loss(self.X, self.Y))


class ScikitLearn(Peer):
    """scikit-learn's MLPRegressor, without weight decay and without early stopping.

    `train` is one `fit` of so many epochs from the present weights with a new optimiser. Its
    gradient is the one of half the squared difference *summed* over outputs (only the loss it
    reports is a mean over outputs), so nothing has to be scaled.
    """

    name = "sklearn"
    title = "scikit-learn"
    package = "scikit-learn"
    same_epsilon = False  # it is added before the root is corrected

    def reset(self) -> None:
        """Build a new net and overwrite the weights it starts with."""
        from sklearn.neural_network import MLPRegressor

        activation = self.workload.activation
        self.net = MLPRegressor(
            hidden_layer_sizes=self.workload.layer_sizes[1:-1],
            activation="logistic" if activation == "sigmoid" else activation,
            solver="adam",
            learning_rate_init=LEARNING_RATE,
            batch_size=self.workload.batch_size,
            alpha=0.0,
            tol=0.0,
            n_iter_no_change=np.inf,
            warm_start=True,
            random_state=0,
        )
        self.targets = self.Y.ravel() if self.Y.shape[1] == 1 else self.Y
        batch = self.workload.batch_size
        self.net.partial_fit(self.X[:batch], self.targets[:batch])  # makes the arrays of weights
        for layer, weights in enumerate(self.workload.weights(self.dtype)):
            self.net.coefs_[layer][...] = weights
            self.net.intercepts_[layer][...] = 0
        del self.net._optimizer

    def train(self, epochs: int, shuffle: bool = True) -> None:
        """Train for several epochs in one call."""
        self.net.set_params(shuffle=shuffle, max_iter=epochs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ConvergenceWarning: the epochs are those asked for
            self.net.fit(self.X, self.targets)

    def predict(self, X: NDArray) -> NDArray:
        """Return the outputs, always with two axes."""
        return np.asarray(self.net.predict(X)).reshape(len(X), -1)

    def parameters(self) -> list[NDArray]:
        """Return copies of the weights and biases."""
        return [np.array(array) for array in (*self.net.coefs_, *self.net.intercepts_)]


class PyTorch(Peer):
    """PyTorch eager: ``nn.Sequential`` and the fused Adam."""

    name = "torch"
    title = "PyTorch"
    package = "torch"

    def setup(self) -> None:
        """Set the number of threads and share the data."""
        import torch

        torch.set_num_threads(self.threads)
        self.torch = torch
        self.inputs, self.targets = torch.from_numpy(self.X), torch.from_numpy(self.Y)

    def reset(self) -> None:
        """Build a new net and optimiser."""
        torch = self.torch
        activations = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}
        layers: list[Any] = []
        for weights in self.workload.weights(self.dtype):
            linear = torch.nn.Linear(*weights.shape, dtype=getattr(torch, self.dtype))
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weights.T))
                linear.bias.zero_()
            layers += [linear, activations[self.workload.activation]()]
        self.net = torch.nn.Sequential(*layers[:-1])
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=LEARNING_RATE, fused=True)

    def batches(self, shuffle: bool) -> Any:
        """Return the indices of the rows of each batch."""
        n = self.workload.rows_used
        order = self.torch.randperm(n) if shuffle else self.torch.arange(n)
        return order.split(self.workload.batch_size)

    def epoch(self, shuffle: bool = True) -> None:
        """Train for one epoch, gathering each batch by index."""
        for rows in self.batches(shuffle):
            x = self.inputs.index_select(0, rows)
            y = self.targets.index_select(0, rows)
            self.optimizer.zero_grad(set_to_none=True)
            loss = ((self.net(x) - y) ** 2).sum(1).mean() / 2
            loss.backward()
            self.optimizer.step()

    def predict(self, X: NDArray) -> NDArray:
        """Return the outputs, without recording gradients."""
        with self.torch.inference_mode():
            return np.asarray(self.net(self.torch.from_numpy(X)).numpy())

    def parameters(self) -> list[NDArray]:
        """Return copies of the weights, transposed, and of the biases."""
        arrays = [parameter.detach().numpy().T.copy() for parameter in self.net.parameters()]
        return arrays[::2] + arrays[1::2]


class TorchCompile(PyTorch):
    """PyTorch with ``torch.compile``: one compiled graph is a whole update.

    Gathering the batch, the forward pass, the gradient by ``torch.func.grad`` and Adam, for these
    shapes alone. This is several times faster on small nets than to compile the model and to leave
    ``backward`` and the optimiser as they are.
    """

    name = "torch_compile"
    title = "torch.compile"

    @classmethod
    def version(cls) -> str:
        """Return the version of PyTorch, of which this is a part."""
        return PyTorch.version()

    def setup(self) -> None:
        """Define the update and the forward pass, each to be compiled at its first call."""
        import torch
        from torch._dynamo import config

        super().setup()
        # Each workload and each number of rows is another version of the same two functions; past
        # the limit, which is 8, they would run uncompiled and unnoticed.
        config.recompile_limit = 1000
        config.accumulated_recompile_limit = 1000
        config.fail_on_recompile_limit_hit = True
        activation = getattr(torch, self.workload.activation)

        def forward(params: Any, x: Any) -> Any:
            for weights, biases in params[:-1]:
                x = activation(torch.addmm(biases, x, weights))
            weights, biases = params[-1]
            return torch.addmm(biases, x, weights)

        def loss(params: Any, x: Any, y: Any) -> Any:
            return ((forward(params, x) - y) ** 2).sum(1).mean() / 2

        def step(params: Any, state: Any, updates: Any, X: Any, Y: Any, rows: Any) -> None:
            gradient = torch.func.grad(loss)(params, X[rows], Y[rows])
            updates += 1
            rate = LEARNING_RATE / (1 - BETA1**updates)
            correction = torch.sqrt(1 - BETA2**updates)
            for layer in zip(params, state, gradient, strict=True):
                for p, (m, v), g in zip(*layer, strict=True):
                    m.mul_(BETA1).add_(g * (1 - BETA1))
                    v.mul_(BETA2).add_(g * g * (1 - BETA2))
                    p.sub_(rate * m / (torch.sqrt(v) / correction + EPSILON))

        self.forward = torch.compile(forward, fullgraph=True, dynamic=False)
        self.step = torch.compile(step, fullgraph=True, dynamic=False)

    def reset(self) -> None:
        """Make new parameters and means of zero; compiled code is kept."""
        torch = self.torch
        self.params = [
            (torch.from_numpy(weights), torch.zeros(weights.shape[1], dtype=self.inputs.dtype))
            for weights in self.workload.weights(self.dtype)
        ]
        self.state = [
            [(torch.zeros_like(p), torch.zeros_like(p)) for p in layer] for layer in self.params
        ]
        self.updates = torch.zeros((), dtype=torch.float64)

    def epoch(self, shuffle: bool = True) -> None:
        """Train for one epoch, one compiled call a batch."""
        try:
            for rows in self.batches(shuffle):
                self.step(self.params, self.state, self.updates, self.inputs, self.targets, rows)
        except self.torch._dynamo.exc.TorchDynamoException as error:
            raise self.failure(error) from error

    def predict(self, X: NDArray) -> NDArray:
        """Return the outputs, without recording gradients."""
        try:
            with self.torch.inference_mode():
                return np.asarray(self.forward(self.params, self.torch.from_numpy(X)).numpy())
        except self.torch._dynamo.exc.TorchDynamoException as error:
            raise self.failure(error) from error

    def failure(self, error: Exception) -> CannotRunError:
        """Say in one line why PyTorch could not compile, such as for want of a C++ compiler."""
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return CannotRunError(f"{type(error).__name__}: {lines[0] if lines else ''}")

    def parameters(self) -> list[NDArray]:
        """Return copies of the weights and biases."""
        return [layer[part].numpy().copy() for part in (0, 1) for layer in self.params]


class JAX(Peer):
    """JAX: a whole epoch is one ``jit`` over a ``lax.scan``, with optax's Adam."""

    name = "jax"
    title = "JAX"
    package = "jax"

    @classmethod
    def version(cls) -> str:
        """Return the versions of JAX and optax."""
        return f"{super().version()} (optax {version('optax')})"

    def setup(self) -> None:
        """Define the epoch, to be compiled at its first call."""
        import jax
        import jax.numpy as jnp
        import optax

        self.jax = jax
        self.optimizer = optax.adam(LEARNING_RATE)
        activation = getattr(jax.nn, self.workload.activation)
        steps = self.workload.steps
        n = self.workload.rows_used

        def forward(params: Any, x: Any) -> Any:
            for weights, biases in params[:-1]:
                x = activation(x @ weights + biases)
            weights, biases = params[-1]
            return x @ weights + biases

        def loss(params: Any, x: Any, y: Any) -> Any:
            return ((forward(params, x) - y) ** 2).sum(1).mean() / 2

        def epoch(params: Any, state: Any, key: Any, X: Any, Y: Any, shuffle: bool) -> Any:
            def step(carry: Any, rows: Any) -> Any:
                params, state = carry
                gradient = jax.grad(loss)(params, X[rows], Y[rows])
                updates, state = self.optimizer.update(gradient, state, params)
                return (optax.apply_updates(params, updates), state), None

            key, now = jax.random.split(key)
            order = jax.random.permutation(now, n) if shuffle else jnp.arange(n)
            (params, state), _ = jax.lax.scan(step, (params, state), order.reshape(steps, -1))
            return params, state, key

        with self.precision():
            self.inputs, self.targets = jnp.asarray(self.X), jnp.asarray(self.Y)
        self.forward = jax.jit(forward)
        self.compiled = jax.jit(epoch, static_argnums=5, donate_argnums=(0, 1, 2))

    def precision(self) -> AbstractContextManager[None]:
        """Let JAX compute in float64 if it is to: elsewhere it would round to float32, unasked.

        Set for this peer's calls alone, so that one in float32 also keeps its narrow integers. It
        takes a microsecond a call.
        """
        return self.jax.enable_x64(True) if self.dtype == "float64" else nullcontext()

    def reset(self) -> None:
        """Make new parameters and a new optimiser state; compiled code is kept."""
        jnp = self.jax.numpy
        with self.precision():
            self.params = [
                (jnp.array(weights), jnp.zeros(weights.shape[1], weights.dtype))
                for weights in self.workload.weights(self.dtype)
            ]
            self.state = self.optimizer.init(self.params)
            self.key = self.jax.random.key(0)

    def epoch(self, shuffle: bool = True) -> None:
        """Start one epoch; it may still be running on return."""
        with self.precision():
            self.params, self.state, self.key = self.compiled(
                self.params, self.state, self.key, self.inputs, self.targets, shuffle
            )

    def train(self, epochs: int, shuffle: bool = True) -> None:
        """Start several epochs and wait for the last."""
        super().train(epochs, shuffle)
        self.jax.block_until_ready(self.params)

    def predict(self, X: NDArray) -> NDArray:
        """Return the outputs."""
        with self.precision():
            return np.asarray(self.forward(self.params, X))

    def parameters(self) -> list[NDArray]:
        """Return copies of the weights and biases."""
        return [np.array(layer[part]) for part in (0, 1) for layer in self.params]


#: The libraries fastbp is compared with, by name. Those with goals bear the name of theirs in
#: `workloads.Goals`.
PEERS: dict[str, type[Peer]] = {
    peer.name: peer for peer in (ScikitLearn, PyTorch, TorchCompile, JAX, NumPy)
}
