"""`save` and `load`: what comes back, what is refused, and the old file."""

from __future__ import annotations

import builtins
import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import counts, state
from sealed import parts_of

import fastbp
from fastbp import graph
from fastbp.graph.operations import OPERATIONS
from fastbp.kernels.optimizers import N_SCALARS, UPDATES
from fastbp.model.net import State
from fastbp.saving import container, nets
from fastbp.saving.recipe import CLASSES

safetensors = pytest.importorskip("safetensors.numpy", reason="nets are saved by it")
KILLS = counts(1, 100, 1)

rng = np.random.default_rng(0)
X = rng.normal(size=(8, 3))
Y = rng.normal(size=(8, 2))


def made(**options: Any) -> fastbp.MLP:
    return fastbp.MLP((3, 4, 2), seed=0, **options)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "net.safetensors"


def test_everything_comes_back(path) -> None:
    rates = fastbp.OneCycle(0.01, epochs=9)
    net = made(
        optimizer=fastbp.AMSGrad(rates), dropout=0.1, dtype="float64", weight_init=["he", "zeros"],
        missing_targets=True, loss=fastbp.Quantile([0.2, 0.9]),
    )  # fmt: skip
    net.freeze(layers=[1])
    net.fit(X, Y, epochs=3, metrics="r2", validation_data=(X, Y))
    net.history.stop_reason = "by hand"
    net.history.monitor = "val_r2"
    net.history.highest = True
    net.history.restored_epoch = 2
    net.save(path)
    twin = fastbp.load(path)
    assert type(twin) is fastbp.MLP
    assert repr(twin) == repr(net) and twin.spec == net.spec and twin.optimizer == net.optimizer
    assert twin.history == net.history and "val_r2" in twin.history
    assert state(twin) == state(net)
    assert (twin.split_seed, twin.weight_init) == (net.split_seed, net.weight_init)
    assert twin.predict(X).tobytes() == net.predict(X).tobytes()
    before = path.read_bytes()
    twin.save(path)
    assert path.read_bytes() == before
    twin.params[:] = 0  # its own, and writable
    assert not twin.weights[0].any()


def test_a_net_without_training_or_biases_comes_back(path) -> None:
    net = fastbp.MLP((3, 2), bias=False, loss="cross_entropy", seed=1)
    net.save(path)
    twin = fastbp.load(path)
    assert state(twin) == state(net) and len(twin.history) == 0 and twin.biases == ()


def test_a_diverged_history_comes_back(path) -> None:
    net = made()
    net.fit(X, Y, epochs=2)
    net.history.add(np.nan, 0.1)
    net.save(path)
    assert np.isnan(fastbp.load(path).history.loss[-1])


def test_others_can_read_the_weights(path) -> None:
    net = made()
    net.save(path)
    arrays = safetensors.load_file(path)
    assert np.array_equal(arrays["layers.0.weight"], net.weights[0])
    assert arrays["layers.0.weight"].shape == (3, 4)
    assert np.array_equal(arrays["layers.1.bias"], net.biases[1])
    hidden = np.maximum(X @ arrays["layers.0.weight"] + arrays["layers.0.bias"], 0)
    out = hidden @ arrays["layers.1.weight"] + arrays["layers.1.bias"]
    np.testing.assert_allclose(out, net.predict(X), rtol=1e-5, atol=1e-6)


def test_graphs_come_back(path) -> None:
    z, y_pred, y = graph.variables("z y_pred y")
    net = made(activation=z * graph.tanh(z), loss=graph.log(1 + (y_pred - y) ** 2))
    net.fit(X, Y, epochs=2)
    net.save(path)
    twin = fastbp.load(path)
    assert repr(twin) == repr(net)
    assert twin.fit(X, Y, epochs=2).loss == net.fit(X, Y, epochs=2).loss


# ---- code in Python -----------------------------------------------------------------------------


def squared(y_pred, y):
    return float(((y_pred - y) ** 2).sum()) / len(y), 2 * (y_pred - y) / len(y)


def square(z):
    return z * z, 2 * z


def falling(update: int) -> float:
    return 0.1 / (1 + update)


def test_code_is_passed_again(path) -> None:
    net = fastbp.MLP(
        (3, 4, 4, 2), loss=squared, activation=[square, "tanh"],
        optimizer=fastbp.SGD(fastbp.WarmUp(falling, 3)), seed=0,
    )  # fmt: skip
    net.fit(X, Y, epochs=2)
    net.save(path)
    for missing, name in (
        ({"activation": square, "learning_rate": falling}, "'squared'.*load.path, loss="),
        ({"loss": squared, "learning_rate": falling}, "'square'.*load.path, activation="),
        ({"loss": squared, "activation": square}, "'falling'.*load.path, learning_rate="),
    ):
        with pytest.raises(ValueError, match=f"code in Python, {name}"):
            fastbp.load(path, **missing)
    for activation in (square, [square, None, None]):
        twin = fastbp.load(path, loss=squared, activation=activation, learning_rate=falling)
        assert repr(twin) == repr(net) and state(twin) == state(net)
    assert twin.fit(X, Y, epochs=2).loss == net.fit(X, Y, epochs=2).loss
    with pytest.raises(ValueError, match="one or one for each of 3 layers"):
        fastbp.load(path, loss=squared, activation=[square], learning_rate=falling)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"loss": squared}, ValueError, "it holds its loss; leave loss out"),
        ({"activation": square}, ValueError, "it holds its activation; leave"),
        ({"learning_rate": falling}, ValueError, "it holds its learning_rate; leave"),
        ({"loss": 3}, TypeError, "loss must be a name"),
        ({"activation": 3}, TypeError, "activation must be a graph or a function"),
        ({"activation": [None, "relu"]}, TypeError, "activation must be a graph or a function"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be a number"),
    ],
)
def test_what_the_file_holds_is_not_exchanged(given, kind, message, path) -> None:
    made().save(path)
    with pytest.raises(kind, match=message):
        fastbp.load(path, **given)


def test_an_optimizer_of_ones_own_is_refused(path) -> None:
    class Mine(fastbp.SGD):
        """Of the user's."""

    net = made(optimizer=Mine())
    with pytest.raises(ValueError, match="a file can hold the classes of fastbp"):
        net.save(path)
    assert not path.exists()


# ---- what cannot be saved -----------------------------------------------------------------------


def test_parameters_that_are_not_finite_are_not_saved(path) -> None:
    net = made()
    net.save(path)
    before = path.read_bytes()
    net.biases[1][0] = np.nan
    with pytest.raises(ValueError, match="layers.1.bias must be finite; got nan"):
        net.save(path)
    assert path.read_bytes() == before


def test_a_graph_beyond_the_header_is_not_saved(path) -> None:
    z = graph.variable("z")
    f = z
    for i in range(20_000):
        f = f + 1.0 / (i + 3)
    with pytest.raises(ValueError, match="at most 1048576 bytes; got .* A pickle has no"):
        made(activation=f).save(path)


def test_without_the_library_an_error_names_it(path, monkeypatch) -> None:
    net = made()
    net.save(path)
    inner = builtins.__import__

    def without(name, *args):
        if name.startswith("safetensors"):
            raise ImportError(name)
        return inner(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    for act in (lambda: net.save(path), lambda: fastbp.load(path)):
        with pytest.raises(ImportError, match="pip install safetensors"):
            act()


def test_a_missing_file_is_an_error_of_the_system(path) -> None:
    with pytest.raises(FileNotFoundError):
        fastbp.load(path)


# ---- the old file -------------------------------------------------------------------------------


@pytest.mark.promise("saving")
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_net(call, path, monkeypatch) -> None:
    net = made()
    net.save(path)
    before = state(net)

    def fail(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    net.fit(X, Y, epochs=1)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space left"):
            net.save(path)
    assert state(fastbp.load(path)) == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full disk to offer")
def test_a_device_is_refused(path) -> None:
    os.symlink("/dev/full", path)
    with pytest.raises(OSError, match="is a character device"):
        made().save(path)


SAVER = """
import sys
import numpy as np
import fastbp
net = fastbp.MLP((100, 200, 10), seed=0)
print("ready", flush=True)
for value in range(10**9):
    net.params[:] = value
    net.save(sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.promise("saving")
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_leaves_a_whole_net(path, tally: Counter[str]) -> None:
    fastbp.MLP((2, 2), seed=0).save(path)
    package = Path(fastbp.__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(package), *sys.path[1:]])}
    for kill in range(KILLS):
        command = [sys.executable, "-c", SAVER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(0.05 + kill % 37 / 370)
            process.send_signal(signal.SIGKILL)
        net = fastbp.load(path)
        assert (net.params == net.params[0]).all() or net.layer_sizes == (2, 2)
        tally["kills of a saving net"] += 1


# ---- the format ---------------------------------------------------------------------------------

FIELDS = [
    nets.RECIPE,
    State._fields,
    N_SCALARS,
    UPDATES,
    [
        (name, getattr(kind, "code", None), getattr(kind, "n_slots", None),
         [item.name for item in dataclasses.fields(kind)])
        for name, kind in CLASSES.items()
    ],
    list(OPERATIONS),
]  # fmt: skip
KNOWN = {1: "a4f6d6a003c56549"}


def test_another_meaning_has_another_format_number(path) -> None:
    found = hashlib.blake2b(repr(FIELDS).encode(), digest_size=8).hexdigest()
    assert found == KNOWN[container.FORMAT], (
        "what a file holds has changed: raise container.FORMAT by 1 and add its hash here"
    )
    made().save(path)
    recipe = parts_of(path.read_bytes())[1]
    assert list(recipe) == ["format", "sha256", *nets.RECIPE]
