"""Ctrl-C at random times, while training and while compiling: control returns, all is usable."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings

import limited
import numpy as np
import pytest
from helpers import COMPILED, SHIPPED, counts, needs_compiler
from limited import A_PASS_A_CALL

from fastbp import MLP, SGD, Perceptron
from fastbp.fit import calls as fit_calls
from fastbp.kernels import training
from fastbp.perceptron import kernels as perceptron_kernels
from fastbp.sklearn import MLPRegressor

pytestmark = [pytest.mark.promise("Ctrl-C"), pytest.mark.slow]
HANG = 60.0
"""Seconds; a guard against hanging."""
PROMPT = 0.5
"""Seconds after which control is back: the README says so."""
LONGEST_CALL = 0.2
"""Seconds of CPU time that a compiled call may take: twice what is aimed at."""
MANY = 6000
"""Rows of an epoch of many batches: no call ends because the epochs of a block do."""

# A thread sends the signal, because it can note the time of it on the same clock.
CHILD = """
import json, os, signal, sys, threading, time
import numpy as np
from fastbp import MLP

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
seed, delay, batch_size, compiled, hooked, rows = json.loads(sys.argv[1])
rng = np.random.default_rng(seed)
X, y = rng.normal(size=(rows, 4)).astype("f4"), rng.integers(3, size=rows)

def make():
    return MLP((4, 6, 3), loss="cross_entropy", seed=seed)

if compiled:
    make().fit(X, y, epochs=1)
net, sent = make(), []
options = {"validation_data": (X, y), "metrics": "accuracy", "patience": 10**9} if hooked else {}

def send():
    time.sleep(delay)
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)

out = {"interrupted": False}
try:
    threading.Thread(target=send, daemon=True).start()
    net.fit(X, y, epochs=5_000_000, batch_size=batch_size, **options)
except KeyboardInterrupt:
    out["seconds"] = time.monotonic() - sent[0]
    out["interrupted"] = True
history = net.history
out["finite"] = bool(np.isfinite(net.params).all())
out["epochs"] = len(history)
out["lengths"] = {len(history[name]) for name in history.names} == {len(history)}
if hooked and len(history):  # else it came before the first epoch
    out["lengths"] &= bool(np.isfinite(history["val_loss"][:-1]).all())
twin = make()
loss = twin.fit(X, y, epochs=len(history), batch_size=batch_size).loss if len(history) else []
out["losses"] = loss == history.loss
if batch_size >= rows:  # an update an epoch: the parameters are those after the last one
    out["params"] = twin.params.tobytes() == net.params.tobytes()
before, loss = net.params.copy(), net.loss(X, y)
further = net.fit(X, y, epochs=20, batch_size=rows).loss
out["further"] = len(further) == 20 and max(further) < loss + 0.05
out["further"] &= abs(further[0] - loss) <= 1e-9 * loss
out["further"] &= before.tobytes() != net.params.tobytes()
print(json.dumps(out))
"""


PROGRAM = """
import os, signal, sys, threading, time
import numpy as np
from fastbp import MLP

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

def send():
    time.sleep(float(sys.argv[1]))
    os.kill(os.getpid(), signal.SIGINT)

X = np.ones((60, 4))
threading.Thread(target=send, daemon=True).start()
MLP((4, 6, 3), seed=0).fit(X, X[:, :3], epochs=1_000_000_000)
"""


def interrupt(seed, delay, batch_size=60, compiled=True, hooked=False, rows=60, **environment):
    given = json.dumps([seed, delay, batch_size, compiled, hooked, rows])
    process = subprocess.run(
        [sys.executable, "-c", CHILD, given],
        env=os.environ | {"FASTBP_QUIET": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=5 * HANG,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return json.loads(process.stdout)


def check(out, tally):
    assert out["interrupted"]
    assert out["seconds"] < HANG
    assert out["finite"]
    assert out["lengths"]
    assert out["losses"]
    assert out.get("params", True)
    assert out["further"]
    tally["signals"] += 1


real_signals = [
    pytest.mark.skipif(not COMPILED, reason="an uncompiled kernel stops in its middle"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process"),
]


class TestRealSignals:
    pytestmark = real_signals

    @pytest.mark.parametrize("seed", range(counts(3, 150)))
    def test_while_training(self, seed, tally):
        rng = np.random.default_rng([seed, 3])
        out = interrupt(seed, rng.uniform(0, 0.6), batch_size=int(rng.choice([7, 60, 60])))
        check(out, tally)

    @pytest.mark.parametrize("seed", range(counts(3, 150)))
    def test_with_hooks(self, seed, tally):
        rng = np.random.default_rng([seed, 5])
        batch_size = int(rng.choice([7, 60]))
        check(interrupt(seed, rng.uniform(0, 0.6), batch_size=batch_size, hooked=True), tally)

    @pytest.mark.parametrize("seed", range(counts(1, 15)))
    def test_control_returns_within_half_a_second(self, seed, tally):
        """Two of three signals: the machine may be busy, and a long call may be just over."""
        found = []
        for delay in (2.0, 2.6, 3.2):  # late, when calls last as long as they ever will
            out = interrupt(seed, delay, batch_size=7, rows=MANY)
            check(out, tally)
            found.append(out["seconds"])
        assert sorted(found)[1] < PROMPT, found
        tally["answered in 0.5 s"] += sum(seconds < PROMPT for seconds in found)

    @pytest.mark.parametrize("seed", range(counts(1, 50)))
    def test_while_compiling(self, seed, tmp_path, tally):
        rng = np.random.default_rng([seed, 4])
        out = interrupt(
            seed, rng.uniform(0.2, 4.0), compiled=False, FASTBP_CACHE_DIR=str(tmp_path / "empty")
        )
        check(out, tally)

    @pytest.mark.parametrize("seed", range(counts(1, 20)))
    def test_a_program_ends_while_compiling(self, seed, tmp_path, tally):
        """It does not wait for the compiler, and its end is that of any interrupted program."""
        delay = np.random.default_rng([seed, 5]).uniform(0.0, 4.0)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(delay)],
            env=os.environ | {"FASTBP_CACHE_DIR": str(tmp_path / "empty"), "FASTBP_QUIET": "1"},
            capture_output=True,
            text=True,
            timeout=HANG,
            check=False,
        )
        # Python forgets that it is to end by the signal when another thread runs code meanwhile.
        assert done.returncode in (-signal.SIGINT, 1), done.stderr
        assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"
        assert done.stderr.startswith("Traceback"), done.stderr
        assert done.stderr.count("Traceback") == 1, done.stderr
        tally["programs ended"] += 1


# ---- how long a compiled call lasts ------------------------------------------------------------


def fit_a_net(sizes, batch_size):
    X = np.random.default_rng(0).normal(size=(MANY, sizes[0])).astype("float32")
    net = MLP(sizes, optimizer=SGD(1e-4), activation="tanh", seed=0)
    net.fit(X, X[:, : sizes[-1]], epochs=10_000_000, batch_size=batch_size)


def fit_an_estimator():
    X = np.random.default_rng(0).normal(size=(MANY, 4))
    options = {"max_iter": 10_000_000, "n_iter_no_change": np.inf, "batch_size": 7}
    MLPRegressor(hidden_layer_sizes=(6,), solver="sgd", random_state=0, **options).fit(X, X[:, 0])


def fit_a_perceptron():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(MANY, 4)), rng.integers(2, size=MANY)
    Perceptron(4, seed=0).fit(X, y, epochs=10_000_000)


FITS = {
    "one weight": (fit_calls, "train", lambda: fit_a_net((1, 1), 1)),
    "small": (fit_calls, "train", lambda: fit_a_net((4, 6, 3), 7)),
    "wide": (fit_calls, "train", lambda: fit_a_net((64, 128, 64, 10), 32)),
    "estimator": (fit_calls, "train", fit_an_estimator),
    "perceptron": (perceptron_kernels, "learn", fit_a_perceptron),
}


@needs_compiler
@pytest.mark.parametrize("kind", FITS)
def test_no_compiled_call_takes_long(kind, monkeypatch, tally):
    """In CPU time, at best of three: Ctrl-C is heard between the calls."""
    module, name, fit = FITS[kind]
    real = getattr(module, name)
    lasted = []

    def timed(*arguments):
        start = time.thread_time()
        result = real(*arguments)
        lasted.append(time.thread_time() - start)
        if sum(lasted) > 4 * LONGEST_CALL:  # long enough for them to have grown
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(module, name, timed)
    longest = []
    while not longest or (longest[-1] >= LONGEST_CALL and len(longest) < 3):
        lasted.clear()
        with contextlib.suppress(KeyboardInterrupt), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the estimator says what interrupted it
            fit()
        assert sum(lasted) > 4 * LONGEST_CALL, "it ended by itself"
        longest.append(max(lasted))
    assert min(longest) < LONGEST_CALL, longest
    tally["loops of short calls"] += 1


COMPILES = """
import json, threading
import numpy as np
from numba.core.dispatcher import Dispatcher
from fastbp import MLP

compile_real, in_main, elsewhere = Dispatcher.compile, [], []

def compile_noted(self, signature):
    main = threading.current_thread() is threading.main_thread()
    (in_main if main else elsewhere).append(self.__name__)
    return compile_real(self, signature)

Dispatcher.compile = compile_noted
X, y = np.ones((4, 3)), np.ones((4, 2))
for dtype in ("float32", "float64"):
    net = MLP((3, 2), dtype=dtype, seed=0)
    net.loss(X, y), net.predict(X), net.loss_and_grad(X, y), net.step(X, y), net.fit(X, y)
    net.loss(np.ones((40_000, 3)), np.ones((40_000, 2)))
print(json.dumps([in_main, sorted(set(elsewhere))]))
"""


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_nothing_is_compiled_or_loaded_in_the_main_thread():
    """There Ctrl-C could come inside a callback of LLVM, which loses it."""
    done = subprocess.run(
        [sys.executable, "-c", COMPILES], capture_output=True, text=True, timeout=HANG, check=False
    )
    assert done.returncode == 0, done.stderr
    in_main, elsewhere = json.loads(done.stdout)
    assert in_main == []
    assert elsewhere == ([] if SHIPPED else ["train_and_predict"])


# ---- the same, without chance -----------------------------------------------------------------


@pytest.mark.parametrize("call", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [3, 8])
def test_history_has_the_epochs_of_the_interrupted_call(call, batch_size, monkeypatch):
    """A signal during a compiled call is heard when it returns, before its result is seen."""
    X = np.random.default_rng(0).normal(size=(8, 2))
    nets = [MLP((2, 3, 1), seed=0, dtype="float64") for _ in range(2)]
    real, calls = fit_calls.train, []

    def interrupted(*arguments):
        real(*arguments[:-1], 4)  # four updates
        calls.append(int(arguments[5][training.EPOCH]))
        if len(calls) == call:
            raise KeyboardInterrupt
        return training.RUNNING

    monkeypatch.setattr(fit_calls, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        limited.fit(nets[0], X, X[:, 0], limits=A_PASS_A_CALL, epochs=100, batch_size=batch_size)
    monkeypatch.setattr(fit_calls, "train", real)
    finished = 4 * call // (3 if batch_size == 3 else 1)
    assert calls[-1] == finished
    history = nets[0].history
    assert len(history) == len(history.seconds) == finished
    assert all(seconds >= 0 for seconds in history.seconds)
    assert history.loss == nets[1].fit(X, X[:, 0], epochs=finished, batch_size=batch_size).loss
    if batch_size == 8:
        assert nets[0].params.tobytes() == nets[1].params.tobytes()
    assert np.isfinite(nets[0].params).all()


def test_an_error_while_printing_leaves_a_true_history(monkeypatch):
    X = np.random.default_rng(0).normal(size=(8, 2))
    nets = [MLP((2, 3, 1), seed=0, dtype="float64") for _ in range(2)]

    def broken(*arguments, **options):
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", broken)
    with pytest.raises(BrokenPipeError):
        nets[0].fit(X, X[:, 0], epochs=10, batch_size=8, verbose=2)
    monkeypatch.undo()
    finished = len(nets[0].history)
    assert finished > 0
    assert nets[1].fit(X, X[:, 0], epochs=finished, batch_size=8).loss == nets[0].history.loss
    assert nets[0].params.tobytes() == nets[1].params.tobytes()
