"""Many small nets: `fit_many` beside fits one by one, scikit-learn, and JAX's vmap.

``python asv_benchmarks/many_nets.py`` prints two tables: nets a second of processor time, which
other programs on the machine disturb least, and of wall-clock time. The first is of a mix of
shapes, 2-8-1 to 10-32-16-1, and of 500 to 2,000 rows; the second of one shape and 1,000 rows, which
is what vmap can do. All in float32, by Adam, in batches of 32, for 50 epochs. JAX's compilation is
left out. scikit-learn and JAX are optional.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp import MLP, fit_many
from fastbp.tables import as_lines

MIX = (2, 8, 1), (4, 10, 1), (6, 16, 1), (8, 24, 1), (8, 16, 8, 1), (10, 32, 16, 1)
SAME = (4, 10, 1), (10, 32, 16, 1)
EPOCHS, BATCH = 50, 32
N_NETS = 240
ROUNDS = 5
#: What is to be: nets a second of two cores, and times as many as vmap.
GOALS = 500, 3.0

Floats = NDArray[np.float32]
Rows = list[tuple[Floats, Floats]]
Rates = tuple[float, ...]


def rows_for(shapes: list[tuple[int, ...]], counts: list[int]) -> Rows:
    """Draw rows for each net: sums of sines of the inputs."""
    rng = np.random.default_rng(0)
    made = []
    for shape, count in zip(shapes, counts, strict=True):
        X = rng.normal(size=(count, shape[0])).astype(np.float32)
        made.append((X, np.sin(X).sum(axis=1, dtype=np.float32)))
    return made


def nets_for(shapes: list[tuple[int, ...]]) -> list[MLP]:
    """Make the nets."""
    return [MLP(shape, seed=seed) for seed, shape in enumerate(shapes)]


def together(nets: list[MLP], rows: Rows, threads: int) -> None:
    """Train by `fit_many`."""
    X, y = zip(*rows, strict=True)
    fit_many(nets, X, y, epochs=EPOCHS, batch_size=BATCH, threads=threads)


def one_by_one(nets: list[MLP], rows: Rows) -> None:
    """Train by `fit`."""
    for net, (X, y) in zip(nets, rows, strict=True):
        net.fit(X, y, epochs=EPOCHS, batch_size=BATCH)


def measured(prepare: Callable[[], Any], run: Callable[[Any], None], nets: int) -> Rates:
    """Nets a second of processor time, and of wall-clock time: the best of some rounds."""
    best = [0.0, 0.0]
    for _ in range(ROUNDS):
        given = prepare()
        start = time.process_time(), time.perf_counter()
        run(given)
        seconds = time.process_time() - start[0], time.perf_counter() - start[1]
        best = [max(rate, nets / taken) for rate, taken in zip(best, seconds, strict=True)]
    return tuple(best)


def by_scikit_learn(shapes: list[tuple[int, ...]], rows: Rows) -> Rates:
    """Measure scikit-learn on a few of the nets."""
    from sklearn.neural_network import MLPRegressor

    some = range(0, len(shapes), len(shapes) // 6)
    start = time.process_time(), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        for i in some:
            MLPRegressor(
                hidden_layer_sizes=shapes[i][1:-1], batch_size=BATCH, max_iter=EPOCHS, alpha=0.0,
                tol=0.0, n_iter_no_change=EPOCHS, random_state=0,
            ).fit(*rows[i])  # fmt: skip
    return len(some) / (time.process_time() - start[0]), len(some) / (
        time.perf_counter() - start[1]
    )


def by_vmap(shape: tuple[int, ...], rows: Rows) -> Rates:
    """Measure JAX: all nets in one array, their epochs and batches in scans."""
    import jax
    import jax.numpy as jnp

    count = len(rows[0][0])
    batches = count // BATCH  # the last, shorter one is left out

    def loss(params: Any, X: Any, y: Any) -> Any:
        for W, b in params[:-1]:
            X = jax.nn.relu(X @ W + b)
        W, b = params[-1]
        return 0.5 * jnp.mean(((X @ W + b)[:, 0] - y) ** 2)

    def update(state: Any, rows_of_batch: Any, X: Any, y: Any) -> Any:
        params, m, v, t = state
        grad = jax.grad(loss)(params, X[rows_of_batch], y[rows_of_batch])
        t = t + 1
        tree = jax.tree_util.tree_map
        m = tree(lambda a, g: 0.9 * a + 0.1 * g, m, grad)
        v = tree(lambda a, g: 0.999 * a + 0.001 * g * g, v, grad)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        params = tree(lambda p, a, b: p - rate * a / (jnp.sqrt(b) + 1e-8), params, m, v)
        return params, m, v, t

    def train(params: Any, key: Any, X: Any, y: Any) -> Any:
        zeros = jax.tree_util.tree_map(jnp.zeros_like, params)

        def epoch(state: Any, key: Any) -> Any:
            order = jax.random.permutation(key, count)[: batches * BATCH]
            step = lambda state, some: (update(state, some, X, y), None)  # noqa: E731
            return jax.lax.scan(step, state, order.reshape(batches, BATCH))[0], None

        begin = params, zeros, zeros, 0.0
        return jax.lax.scan(epoch, begin, jax.random.split(key, EPOCHS))[0][0]

    keys = jax.random.split(jax.random.PRNGKey(0), len(rows))
    X = jnp.stack([X for X, _ in rows])
    y = jnp.stack([y for _, y in rows])
    rng = np.random.default_rng(0)
    params = [
        (
            jnp.asarray(rng.normal(size=(len(rows), *pair)).astype(np.float32) / pair[0] ** 0.5),
            jnp.zeros((len(rows), pair[1]), jnp.float32),
        )
        for pair in zip(shape, shape[1:], strict=False)
    ]
    run = jax.jit(jax.vmap(train))
    jax.block_until_ready(run(params, keys, X, y))  # compiles
    return measured(
        lambda: None, lambda _: jax.block_until_ready(run(params, keys, X, y)), len(rows)
    )


def of_ours(shapes: list[tuple[int, ...]], rows: Rows) -> dict[str, Rates]:
    """Measure fastbp in its three ways."""
    together(nets_for(shapes[:12]), rows[:12], 1)  # compiles, or loads
    one_by_one(nets_for(shapes[:2]), rows[:2])
    return {
        "fit, one by one": measured(
            lambda: nets_for(shapes), lambda nets: one_by_one(nets, rows), len(shapes)
        ),
        **{
            f"fit_many, {n} thread{'s' if n > 1 else ''}": measured(
                lambda: nets_for(shapes), lambda nets, n=n: together(nets, rows, n), len(shapes)
            )
            for n in (1, 2)
        },
    }


def lines(results: dict[str, Rates]) -> str:
    """Format results as a table."""
    shown = [(name, f"{cpu:,.1f}", f"{wall:,.1f}") for name, (cpu, wall) in results.items()]
    table = [("", "nets/s of a core", "nets/s on the wall"), *shown]
    return "\n".join(as_lines(table))


def main() -> None:
    """Print the tables."""
    rng = np.random.default_rng(1)
    shapes = [MIX[i % len(MIX)] for i in range(N_NETS)]
    rows = rows_for(shapes, rng.integers(500, 2001, size=N_NETS).tolist())
    results = of_ours(shapes, rows)
    try:
        results["scikit-learn"] = by_scikit_learn(shapes, rows)
    except ImportError:
        print("scikit-learn is not installed")
    print(f"{N_NETS} nets of {len(MIX)} shapes, 500 to 2,000 rows (goal: {GOALS[0]} on two cores)")
    print(lines(results))
    for shape in SAME:
        shapes = [shape] * N_NETS
        rows = rows_for(shapes, [1000] * N_NETS)
        results = of_ours(shapes, rows)
        try:
            results["JAX, vmap"] = by_vmap(shape, rows)
        except ImportError:
            print("JAX is not installed")
        print(f"\n{N_NETS} nets {'-'.join(map(str, shape))}, 1,000 rows (goal: {GOALS[1]} x vmap)")
        print(lines(results))


if __name__ == "__main__":
    main()
