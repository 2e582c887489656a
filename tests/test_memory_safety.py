"""Kernels stay inside their buffers: every buffer stands against an inaccessible page.

This file is also the program of the child processes. There every array that an entry point is
given is moved to pages of its own, its last number just before a page that faults when touched,
or its first just behind one; what the kernels only read is write-protected. Small nets of random
ragged shapes then train, evaluate and predict, and must compute the same bits as without guards.
"""

from __future__ import annotations

import ctypes
import faulthandler
import functools
import json
import mmap
import os
import signal
import subprocess
import sys
import types
from pathlib import Path
from unittest import mock

import limited
import numba
import numpy as np
import pytest
import scipy.sparse
from helpers import COMPILED, SOAK

import fastbp
from fastbp import MLP, CosineDecay, ElementwiseActivation, ElementwiseLoss, Group
from fastbp.fit import calls, threads
from fastbp.fit import data as dataset
from fastbp.fit.limits import Limits
from fastbp.kernels import addresses, curvature, entry
from fastbp.kernels import jacobian as jacobians
from fastbp.kernels import threads as together
from fastbp.kernels.activations import ACTIVATIONS
from fastbp.kernels.workspace import aligned_zeros
from fastbp.machine.addresses import TABLES, AddressTable, address_of
from fastbp.machine.simd import load, pointer, store
from fastbp.many import fit_many, uncompiled
from fastbp.methods.jacobian import Jacobian
from fastbp.model import net
from fastbp.model.losses import LOSSES
from fastbp.model.optimizers import OPTIMIZERS

pytestmark = [pytest.mark.promise("memory safety"), pytest.mark.slow]
# Uncompiled, the checks of fastbp/machine/uncompiled.py are what is tested here.
SHAPES = 500 if SOAK and COMPILED else 22
SIDES = ("after", "before") if COMPILED else ("after",)
RULES = ("l1", "l2", "dropout", "input_dropout", "clip_value", "clip_norm", "max_norm")
FROM_LOGITS = [name for name, loss in LOSSES.items() if loss.from_logits]
NO_ACCESS, READ_ONLY = 0, 1  # PROT_NONE, PROT_READ

CELLS = {
    addresses.NUMBERS: "numbers", addresses.PARAMS: "params", addresses.LAYERS: "layers",
    addresses.LOSS_PARAMETERS: "loss_parameters", addresses.VALUES: "values",
    addresses.OFFSETS: "offsets", addresses.PLACES: "places", addresses.INPUTS: "inputs",
    addresses.TARGETS: "targets", addresses.LABELS: "labels", addresses.ORDER: "order",
    addresses.WEIGHTS: "weights", addresses.DIVISORS: "divisors",
    addresses.ENTRY_VALUES: "entries", addresses.ENTRY_COLUMNS: "columns",
    addresses.ENTRY_STARTS: "starts", addresses.SCALARS: "scalars", addresses.SLOTS: "slots",
    addresses.FROZEN: "frozen", addresses.SETTINGS: "settings", addresses.GRADIENT: "gradient",
    addresses.RANDOM: "random", addresses.PROGRESS: "progress", addresses.LOSSES: "losses",
    addresses.SNAPSHOT: "snapshot", addresses.TEAM: "team", addresses.SUMS: "sums",
    addresses.COLUMN_LOSSES: "column_losses", addresses.BLOCKS: "blocks",
}  # fmt: skip
ALWAYS_READ = {
    "numbers", "layers", "inputs", "targets", "labels", "frozen", "weights", "divisors",
    "loss_parameters", "settings", "places", "entries", "columns", "starts",
}  # fmt: skip
STATE = {"params", "scalars", "slots", "order"}
# What each operation only reads.
ONLY_READ = {
    entry.PREDICT: ALWAYS_READ | STATE | {"x"},
    entry.EVALUATE: ALWAYS_READ | STATE,
    entry.TRAIN: ALWAYS_READ,
    entry.SHUFFLE: ALWAYS_READ,
    entry.OUTPUTS: ALWAYS_READ | STATE,
    entry.OUTPUT_LOSS: ALWAYS_READ | STATE,
    entry.DESCEND: ALWAYS_READ | {"y"},
    entry.PENALTIES: ALWAYS_READ | STATE,
    entry.STEP: ALWAYS_READ | {"x", "y"},
    entry.DERIVE: ALWAYS_READ | STATE | {"x"},
    entry.APPLY: ALWAYS_READ,
    entry.LOSS: ALWAYS_READ | STATE | {"x", "y"},
}
ENTRY_POINTS = (
    (entry, "train_and_predict"), (entry, "train_and_predict_sparse"),
    (curvature, "hessian_product"),  # whose second argument says less than an operation
    (jacobians, "jacobian"), (threads.Team, "carry_out"),
)  # fmt: skip
PLAIN = types.SimpleNamespace(**vars(entry))
LARGEST_JACOBIAN = 10**5  # numbers


class Pages:
    """Pages of memory between two that cannot be accessed."""

    def __init__(self, like: np.ndarray, side: str) -> None:
        page, self.libc = mmap.PAGESIZE, ctypes.CDLL(None, use_errno=True)
        room = -(-max(like.nbytes, 1) // page) * page
        self.pages = mmap.mmap(-1, room + 2 * page)
        whole = np.frombuffer(self.pages, np.uint8)
        self.start, self.room = whole.ctypes.data + page, room
        first = page + (room - like.nbytes if side == "after" else 0)
        numbers = np.frombuffer(self.pages, like.dtype, like.size, first)
        self.array = numbers.reshape(like.shape)
        self.array[...] = like
        self.protect(self.start - page, page, NO_ACCESS)
        self.protect(self.start + room, page, NO_ACCESS)

    def protect(self, start: int, count: int, mode: int) -> None:
        address, size = ctypes.c_void_p(start), ctypes.c_size_t(count)
        if self.libc.mprotect(address, size, mode):
            raise OSError(ctypes.get_errno(), "mprotect failed")

    def write_protect(self) -> None:
        self.protect(self.start, self.room, READ_ONLY)


class Guard:
    """An entry point that runs on guarded copies of its arrays, and of those in its table."""

    def __init__(self, function, side: str) -> None:
        self.function, self.side = function, side

    def __call__(self, cells, operation, x, y):
        moved: list[tuple[np.ndarray, Pages, bool]] = []
        only_read = ONLY_READ[operation]
        moved_cells, _kept = self.move_table(cells, only_read, moved)
        x, y = (self.move(a, name in only_read, moved) for name, a in (("x", x), ("y", y)))
        result = self.function(moved_cells, operation, x, y)
        self.bring_back(moved)
        return result

    def move_table(self, cells, only_read, moved):
        """The cells on pages of their own, and what has to be kept alive."""
        table = AddressTable(cells.size)
        table.cells[...] = cells
        for cell, array in TABLES[address_of(cells)].arrays.items():
            table.put(cell, self.move(array, CELLS[cell] in only_read, moved))
        pages = Pages(table.cells, self.side)
        TABLES[address_of(pages.array)] = table
        return pages.array, (pages, table)

    def bring_back(self, moved):
        for array, pages, is_constant in moved:
            if not is_constant:
                array[...] = pages.array

    def move(self, x, is_constant, moved):
        for array, pages, _ in moved:
            if array is x:
                return pages.array
        pages = Pages(x, self.side)
        if is_constant:
            pages.write_protect()
        moved.append((x, pages, is_constant))
        return pages.array


class JacobianGuard(Guard):
    """The same for `fastbp.kernels.jacobian`, whose tables of integers are only read."""

    def __call__(self, cells, operation, start, is_done, where, m, *arrays):
        *arrays, squares = arrays
        moved: list[tuple[np.ndarray, Pages, bool]] = []
        moved_cells, _kept = self.move_table(cells, ALWAYS_READ | STATE, moved)
        given = {"where": where, **squares._asdict()}
        constant = {"where", "blocks", "offsets"}
        on_pages = {
            name: self.move(array, name in constant, moved)
            for name, array in given.items()
            if isinstance(array, np.ndarray)
        }
        where = on_pages.pop("where")
        arrays = [self.move(array, False, moved) for array in arrays]
        squares = squares._replace(**on_pages)
        self.function(moved_cells, operation, start, is_done, where, m, *arrays, squares)
        self.bring_back(moved)


class ShortSquares(JacobianGuard):
    """The same with one of the buffers too short: an overrun on purpose."""

    def __init__(self, function, side: str, name: str) -> None:
        super().__init__(function, side)
        self.name = name

    def __call__(self, *arguments):
        *others, squares = arguments
        whole = getattr(squares, self.name)
        short = whole[: whole.size // 2]
        super().__call__(*others, squares._replace(**{self.name: short}))


class TeamGuard(Guard):
    """The same for `Team.carry_out`: what the tables of the members share they share guarded."""

    def __get__(self, team, owner=None):
        return self if team is None else functools.partial(self, team)

    def __call__(self, team, operation):
        leader, *others = team.tables
        for other in others:
            other.follow(leader, threads.OWN)
        moved: list[tuple[np.ndarray, Pages, bool]] = []
        only_read = ALWAYS_READ | (set() if operation == together.TRAIN else STATE)
        kept = [self.move_table(table.cells, only_read, moved) for table in team.tables]
        tables = [
            types.SimpleNamespace(
                cells=cells, blank=table.blank, forget=table.forget, follow=lambda *_: None
            )
            for (cells, _), table in zip(kept, team.tables, strict=True)
        ]
        words = next(pages.array for array, pages, _ in moved if array is team.words)
        stub = types.SimpleNamespace(tables=tables, words=words, ready=team.ready)
        result = self.function(stub, operation)
        self.bring_back(moved)
        return result


class ShortOut(Guard):
    """The same with the last row of the outputs cut off: an overrun on purpose."""

    def __call__(self, cells, operation, x, y):
        def with_all_rows(cells, operation, x, cut):  # the row count is that of y
            rows = np.lib.stride_tricks.as_strided(cut, y.shape, cut.strides)
            return plain(cells, operation, x, rows)

        plain = self.function
        self.function = with_all_rows
        return super().__call__(cells, operation, x, y[:-1])


def plain_address(table, sparse: bool) -> int:
    """What `calls.native_address` says of the plain entry points."""
    with mock.patch.object(calls, "entry", PLAIN):
        return calls.native_address(table, sparse)


def guard_entry_points(side: str | None) -> None:
    """Let everything in the package call guarded entry points, or the plain ones again."""
    for module, name in ENTRY_POINTS:
        function = getattr(module, name)
        plain = function.function if isinstance(function, Guard) else function
        kind = {jacobians: JacobianGuard, threads.Team: TeamGuard}.get(module, Guard)
        setattr(module, name, plain if side is None else kind(plain, side))

    def guarded(count: int, dtype: np.dtype) -> np.ndarray:
        return Pages(np.zeros(count, dtype), side).array

    # `fit_many` calls by address what others call guarded: what its nets share is guarded here.
    fit_many.native_address = plain_address
    uncompiled.entry = PLAIN
    fit_many.aligned_zeros = aligned_zeros if side is None else guarded


def random_case(seed: int) -> dict:
    """A net and its data; twenty-two seeds in a row are every loss with every dtype."""
    rng = np.random.default_rng(seed)
    widest = int(rng.choice([4, 20, 70] if COMPILED else [4, 20]))
    depth = int(rng.integers(0, 5))
    sizes = [int(n) for n in rng.integers(1, widest + 1, depth + 2)]
    losses = (*LOSSES, "callable", "own")
    loss = losses[seed // 2 % len(losses)]
    if loss == "cross_entropy":
        sizes[-1] = max(sizes[-1], 2)
    hidden = [name for name, traits in ACTIVATIONS.items() if traits.hidden and traits.trainable]
    hidden.append("own")
    outputs = (*hidden, "exp", "softmax")
    rows = int(rng.integers(1, 100 if COMPILED else 20))
    case = {
        "seed": seed,
        "layer_sizes": sizes,
        "activation": [str(a) for a in rng.choice(hidden, depth)],
        "output_activation": None if loss in FROM_LOGITS else str(rng.choice(outputs)),
        "loss": loss,
        "optimizer": str(rng.choice(list(OPTIMIZERS))),
        "momentum": float(rng.choice([0.0, 0.9])),
        "schedule": bool(rng.integers(0, 2)),
        "groups": bool(rng.integers(0, 2)),
        "weighted": bool(rng.integers(0, 2)),
        # Each of these is off in half of the cases.
        **{name: float(rng.choice([0.0, 0.1])) for name in RULES[:4]},
        **{name: (None, 0.5)[rng.integers(0, 2)] for name in RULES[4:]},
        "dtype": ("float32", "float64")[seed % 2],
        "bias": bool(rng.integers(0, 4)),
        "rows": rows,
        "batch_size": int(rng.integers(1, rows + 1)),
        "labels": bool(rng.integers(0, 2)),
        "frozen": bool(rng.integers(0, 2)),
        # Batches above `whole_batch` are cut into passes of `pass_rows`.
        "whole_batch": int(rng.choice([20, 512])),
        "pass_rows": int(rng.integers(1, 21)),
        # No time at all: one pass a call.
        "seconds_a_call": float(rng.choice([0.0, 0.1])),
        "steps": bool(rng.integers(0, 2)),
        "sparse": bool(rng.integers(0, 2)),
    }
    if case["sparse"]:
        case["input_dropout"] = 0.0
    if case["output_activation"] == "softmax":  # which needs two outputs
        sizes[-1] = max(sizes[-1], 2)
    return case


def half_square(y_pred, y, weights=1.0):
    """squared_error in Python."""
    share = np.broadcast_to(weights, len(y)) / np.broadcast_to(weights, len(y)).sum()
    delta = (y_pred - y) * share[:, None].astype(y.dtype)
    return 0.5 * (delta * (y_pred - y)).sum(), delta


def softsign(z):
    """z / (1 + |z|), a user's own."""
    size = 1.0 + abs(z)
    return z / size, 1.0 / (size * size)


def half_square_of_one(y, t):
    """squared_error of one output."""
    return 0.5 * (y - t) * (y - t), y - t


OWN_ACTIVATION, OWN_LOSS = ElementwiseActivation(softsign), ElementwiseLoss(half_square_of_one)


def activation_of(name):
    return OWN_ACTIVATION if name == "own" else name


def optimizer_of(case: dict):
    options = {"learning_rate": CosineDecay(1e-3, 20) if case["schedule"] else 1e-3}
    if case["groups"]:
        options["groups"] = Group(weights=False, learning_rate=1e-2, weight_decay=0.1)
    if case["optimizer"] in ("sgd", "rmsprop"):
        options["momentum"] = case["momentum"]
    return OPTIMIZERS[case["optimizer"]](**options)


def net_of(case: dict) -> MLP:
    return MLP(
        case["layer_sizes"],
        activation=[activation_of(name) for name in case["activation"]],
        output_activation=activation_of(case["output_activation"]),
        loss={"callable": half_square, "own": OWN_LOSS}.get(case["loss"], case["loss"]),
        optimizer=optimizer_of(case),
        dtype=case["dtype"],
        bias=case["bias"],
        seed=case["seed"],
        **{name: case[name] for name in RULES},
    )


def run_case(case: dict) -> list[np.ndarray]:
    """Everything that fit, step, loss_and_grad and predict compute."""
    rng = np.random.default_rng(case["seed"])
    net.WHOLE_BATCH, net.PASS_ROWS = case["whole_batch"], case["pass_rows"]
    net.SPARSE_PASS_ROWS = case["pass_rows"]
    net.SECONDS_A_CALL = case["seconds_a_call"]
    mlp = net_of(case)
    rows, n_out = case["rows"], case["layer_sizes"][-1]
    X = rng.normal(size=(rows, case["layer_sizes"][0])).astype(case["dtype"])
    if case["sparse"]:
        X = scipy.sparse.csr_array(X * (rng.random(X.shape) < rng.choice([0.0, 0.1, 0.5])))
    y = rng.dirichlet(np.ones(n_out), size=rows).astype(case["dtype"])
    if case["loss"] == "cross_entropy" and case["labels"]:
        y = rng.integers(0, n_out, rows)
    elif case["loss"] == "hinge":
        y = np.where(y > 0.2, 1, -1)
    elif case["loss"] == "gamma":
        y += 0.1
    weights = rng.uniform(0.1, 1.0, rows) if case["weighted"] else None
    if case["frozen"]:
        mlp.frozen[...] = rng.random(mlp.frozen.size) < 0.5
    history = limited.fit(
        mlp, X, y, limits=Limits(seconds_a_call=case["seconds_a_call"]), epochs=2,
        batch_size=case["batch_size"], sample_weight=weights,
    )  # fmt: skip
    before = mlp.step(X, y, weights)
    loss, grad = mlp.loss_and_grad(X, y, weights)
    results = [mlp.params, np.array(history.loss), np.array([before, loss]), grad, mlp.predict(X)]
    if rows * n_out * mlp.n_params <= LARGEST_JACOBIAN:
        results += [mlp.jacobian(X), mlp.jacobian(X, "inputs")]
        data, _ = dataset.rows_and_targets(X, y, weights, mlp)
        of = Jacobian(mlp, data, rows, ~mlp.frozen)
        results.append(np.tril(of.squares()))
    results += derivatives(case, mlp, X, y, weights)
    threads.ROWS_A_THREAD = 1
    history = mlp.fit(X, y, epochs=2, batch_size=rows, sample_weight=weights, threads=2)
    loss, grad = mlp.loss_and_grad(X, y, weights, threads=2)
    results += [mlp.params, np.array([*history.loss, loss]), grad, mlp.predict(X, threads=2)]
    history = fastbp.fit_many(
        [mlp], X, y, epochs=2, batch_size=case["batch_size"], sample_weights=weights, patience=1,
        validation_fraction=0.3 if rows > 1 else None,
    )[0]  # fmt: skip
    results += [mlp.params, np.array(history.loss)]
    if case["steps"]:
        unit = MLP(case["layer_sizes"], activation="step", dtype=case["dtype"], seed=case["seed"])
        results.append(unit.predict(X))
    return results


def derivatives(case: dict, mlp: MLP, X, y, weights) -> list[np.ndarray]:
    """What the methods that take derivatives compute, and an update by a gradient."""
    results = [mlp.sample_gradients(X, y, weights)]
    if not case["sparse"]:
        results += [*mlp.vjp(X, mlp.predict(X)), mlp.input_gradient(X, y, weights)]
        if not {"callable", "own"} & {case["loss"], *case["activation"], case["output_activation"]}:
            for newton in (False, True):
                results.append(mlp.hessian_product(X, y, mlp.params, gauss_newton=newton))
    mlp.apply_gradient(results[0][0])
    return [*results, mlp.params]


# ---- a user's compiled code ----------------------------------------------------------------------


@numba.njit
def predict_by(f, x, out):
    f.predict(x, out)


@numba.njit
def loss_and_grad_by(f, x, y, grad):
    return f.loss_and_grad(x, y, grad)


@numba.njit
def vjp_by(f, x, dy, dx, grad):
    f.vjp(x, dy, dx, grad)


@numba.njit
def step_by(f, x, y):
    return f.step(x, y)


@numba.njit
def apply_by(f, grad):
    f.apply_gradient(grad)


class GuardedPages:
    """Makes arrays on pages of their own, one for each array however often it is asked for."""

    def __init__(self, side: str | None) -> None:
        self.side = side
        self.made: dict[int, tuple[np.ndarray, Pages]] = {}

    def __call__(self, array: np.ndarray, read_only: bool = False) -> np.ndarray:
        if self.side is None:
            return array.copy()
        if id(array) not in self.made:
            pages = Pages(array, self.side)
            self.made[id(array)] = array, pages
            if read_only:
                pages.write_protect()
        return self.made[id(array)][1].array

    def move_tables(self, f) -> np.ndarray:
        """Move all that a compiled net knows of, and return its parameters."""
        if self.side is None:
            return f.net.params
        spaces, updates = f._kept
        tables = [table for some in spaces for table in some]
        tables += [getattr(update, "table", update) for update in updates]
        for table in tables:
            for cell, array in list(table.arrays.items()):
                name = CELLS.get(cell)
                table.put(cell, self(array, name in ALWAYS_READ - {"numbers", "labels"}))
        for cell, array in list(f._handle.arrays.items()):
            f._handle.put(cell, self(array))
        return self.made[id(f.net.params)][1].array


def run_embedded(case: dict, side: str | None) -> list[np.ndarray]:
    """Everything that a user's compiled code computes of a net."""
    rng = np.random.default_rng(case["seed"])
    mlp = net_of(case | {"schedule": False})
    kind = "unrolled" if case["seed"] % 4 == 0 and "own" not in str(case) else "address"
    rows = min(case["rows"], 9)
    f = mlp.compiled(kind=kind, rows=rows, workspaces=2)
    page = GuardedPages(side)
    params = page.move_tables(f)
    n_in, n_out, dtype = mlp.layer_sizes[0], mlp.layer_sizes[-1], mlp.dtype
    all_x = rng.normal(size=(rows, n_in)).astype(dtype)
    all_y = rng.dirichlet(np.ones(n_out), size=rows).astype(dtype) + dtype.type(0.1)
    if case["loss"] == "hinge":
        all_y = np.where(all_y > 0.3, 1, -1).astype(dtype)
    elif case["loss"] in ("cross_entropy", "binary_cross_entropy"):
        all_y = np.minimum(all_y, 1).astype(dtype)
    if case["loss"] == "cross_entropy" and case["labels"]:
        all_y = rng.integers(0, n_out, rows)
    results = []
    for count in {1, rows}:
        x, y = page(all_x[:count].copy(), True), page(all_y[:count].copy(), True)
        out, dx = page(np.zeros((count, n_out), dtype)), page(np.zeros((count, n_in), dtype))
        grad, by_outputs = page(np.zeros_like(mlp.params)), page(np.zeros_like(mlp.params))
        predict_by(f, x, out)
        results.append(out.copy())
        if kind == "unrolled":
            predict_by(f, x[0], out[0])
            results.append(out.copy())
        vjp_by(f, x, page(out.copy(), True), dx, by_outputs)
        loss = loss_and_grad_by(f, x, y, grad)
        results += [np.array(loss), grad.copy(), dx, by_outputs]
        results.append(np.array(step_by(f, x, y)))
        apply_by(f, grad)
        results.append(params.copy())
    return results


def run_shapes(first: int, count: int) -> None:
    """Child: run the cases on guarded buffers and compare with plain ones."""
    for seed in range(first, first + count):
        case = random_case(seed)
        print(json.dumps(case), flush=True)
        guard_entry_points(None)
        plain = run_case(case)
        for side in SIDES:
            guard_entry_points(side)
            for expected, got in zip(plain, run_case(case), strict=True):
                assert np.array_equal(expected, got, equal_nan=True), f"other bits, guard {side}"
        guard_entry_points(None)
        if COMPILED and case["loss"] != "callable":
            plain = run_embedded(case, None)
            for side in SIDES:
                for expected, got in zip(plain, run_embedded(case, side), strict=True):
                    assert np.array_equal(expected, got, equal_nan=True), f"embedded, guard {side}"
    print("finished", flush=True)


@numba.njit
def touch(array, index, write):
    if write:
        store(pointer(array, 0), index, 1.0)
        return 1.0
    return load(pointer(array, 0), index)


def overrun(which: str) -> None:
    """Child: leave a buffer on purpose. One access inside must be fine, the next must not."""
    inputs, net = np.zeros((5, 3), np.float32), MLP((3, 2), seed=0)
    net.predict(inputs)  # compiled
    for numbers in (np.ones(10), np.ones(1)):
        for write in (False, True):
            touch(numbers, 0, write)
    side, _, how = which.partition(" ")
    if how == "kernel":
        plain = entry.train_and_predict
        entry.train_and_predict = Guard(plain, side)
        net.predict(inputs)
        print("inside", flush=True)
        entry.train_and_predict = ShortOut(plain, side)
        net.predict(inputs)
    elif how in jacobians.Squares._fields:
        inputs, net = np.zeros((256, 7), np.float32), MLP((7, 16, 1), seed=0)
        data, rows = dataset.rows_and_targets(inputs, inputs[:, 0], None, net)
        of = Jacobian(net, data, rows)
        plain = jacobians.jacobian
        jacobians.jacobian = JacobianGuard(plain, side)
        of.squares()
        print("inside", flush=True)
        jacobians.jacobian = ShortSquares(plain, side, how)
        of.squares()
    else:
        pages = Pages(np.ones(10), side)
        touch(pages.array, 9 if side == "after" else 0, how == "write")
        if how == "protected":
            pages.write_protect()
            touch(pages.array, 5, False)
        print("inside", flush=True)
        index = {"after": 10, "before": -1}[side] if how != "protected" else 5
        touch(pages.array, index, how != "read")
    print("survived", flush=True)


def child(*arguments: str) -> subprocess.CompletedProcess[str]:
    folders = [str(Path(fastbp.__file__).parents[1]), str(Path(__file__).parent)]
    path = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-P", "-W", "error", __file__, *arguments],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


needs_mprotect = pytest.mark.skipif(
    os.name != "posix", reason="mprotect is a POSIX call; this system has none"
)


@needs_mprotect
def test_random_shapes(tally) -> None:
    """To repeat seed 7 alone: ``python tests/test_memory_safety.py shapes 7 1``."""
    done = child("shapes", "0", str(SHAPES))
    lines = done.stdout.splitlines() or ["(none)"]
    assert done.returncode == 0, f"exit {done.returncode} in case {lines[-1]}\n{done.stderr}"
    assert lines[-1] == "finished"
    assert len(lines) == SHAPES + 1
    tally["shapes"] += len(lines) - 1


@needs_mprotect
@pytest.mark.skipif(not COMPILED, reason="uncompiled, NumPy refuses before a page could")
@pytest.mark.parametrize(
    "which", ["after read", "after write", "before read", "before write", "after protected",
              "after kernel", "after blocks", "after grams", "after pairs", "after panels"],
)  # fmt: skip
def test_the_guard_kills(which) -> None:
    done = child("overrun", which)
    assert done.stdout.split() == ["inside"], done.stderr
    assert done.returncode in (-signal.SIGSEGV, -signal.SIGBUS), done.stderr


def main() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable()
    if sys.argv[1] == "shapes":
        run_shapes(int(sys.argv[2]), int(sys.argv[3]))
    else:
        overrun(sys.argv[2])


if __name__ == "__main__":
    main()
