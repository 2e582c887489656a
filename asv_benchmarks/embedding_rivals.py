"""What people write by hand for one row of a net: C for known sizes, and two functions for Numba.

All read the net's own parameters, unit by unit as they stand in `net.params`, so that training is
seen at once, and are called n times in a loop of their own language. One reads a copy of the
weights, transposed, which suits compilers best and is stale after an update.
"""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

from fastbp import MLP

Turn = Callable[[np.ndarray, np.ndarray, int], object]
"""Predict the row x into out, n times; x changes."""
COMPILERS = {
    "gcc -O3": ("-O3", "-march=native"),
    "gcc -ffast-math": ("-O3", "-march=native", "-ffast-math"),
}


TURN = """
}

void turn(const float *w, float *x, float *out, long n)
{
    for (long i = 0; i < n; i++) {
        x[0] = i * 1e-3f;
        row(w, x, out);
        __asm__ volatile("" : : "r"(out) : "memory");
    }
}
"""
"""The end of the C code: n rows, none of which the compiler may leave out."""


def c_source(sizes: tuple[int, ...], activation: str, transposed: bool) -> str:
    """C code of a row for known sizes."""
    lines = [
        "#include <math.h>",
        "static void row(const float *restrict w, const float *restrict h0, float *restrict out)",
        "{",
    ]
    at = 0
    for layer, (n_in, n_out) in enumerate(zip(sizes, sizes[1:], strict=False)):
        last = layer == len(sizes) - 2
        h, y, b = f"h{layer}", "out" if last else f"h{layer + 1}", at + n_in * n_out
        if not last:
            lines.append(f"    float {y}[{n_out}];")
        if transposed:
            lines += [
                f"    for (int j = 0; j < {n_out}; j++) {y}[j] = w[{b} + j];",
                f"    for (int k = 0; k < {n_in}; k++)",
                f"        for (int j = 0; j < {n_out}; j++)",
                f"            {y}[j] += {h}[k] * w[{at} + k * {n_out} + j];",
            ]
        else:
            lines += [
                f"    for (int j = 0; j < {n_out}; j++) {{",
                f"        float s = w[{b} + j];",
                f"        for (int k = 0; k < {n_in}; k++) s += {h}[k] * w[{at} + j * {n_in} + k];",
                f"        {y}[j] = s;",
                "    }",
            ]
        if not last:
            value = {"relu": f"{y}[j] > 0 ? {y}[j] : 0", "tanh": f"tanhf({y}[j])"}[activation]
            lines.append(f"    for (int j = 0; j < {n_out}; j++) {y}[j] = {value};")
        at = b + n_out
    return "\n".join(lines) + TURN


def by_c(net: MLP, flags: tuple[str, ...], folder: Path, copied: bool = False) -> Turn:
    """The code that gcc makes."""
    compiler = shutil.which("gcc")
    if compiler is None:
        raise FileNotFoundError("there is no gcc")
    name = f"row{len(list(folder.iterdir()))}"
    source = folder / f"{name}.c"
    source.write_text(c_source(net.layer_sizes, net.activations[0], copied))
    library = folder / f"{name}.so"
    command = [compiler, *flags, "-shared", "-fPIC", str(source), "-o", str(library), "-lm"]
    subprocess.run(command, check=True)
    params = net.params
    if copied:
        layers = zip(net.weights, net.biases, strict=True)
        params = np.concatenate([part.ravel() for layer in layers for part in layer])
    function = ctypes.CDLL(str(library)).turn
    function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_long]
    function.restype = None

    def turn(x: np.ndarray, out: np.ndarray, n: int) -> None:
        function(params.ctypes.data, x.ctypes.data, out.ctypes.data, n)

    return turn


@numba.njit
def relu(z):
    """max(z, 0)."""
    return max(z, np.float32(0))


@numba.njit
def tanh(z):
    """As math has it."""
    return np.float32(math.tanh(z))


ACTIVATIONS = {"relu": relu, "tanh": tanh}


def layers(net: MLP) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """The net's own weights, (n_out, n_in) and C-contiguous, and biases."""
    weights = tuple(w.T for w in net.weights)
    assert all(w.flags.c_contiguous and np.shares_memory(w, net.params) for w in weights)
    return weights, tuple(net.biases)


def by_loops(net: MLP) -> Turn:
    """Loops with fastmath; the sizes come with the arrays."""
    activate = ACTIVATIONS[net.activations[0]]

    @numba.njit(fastmath=True)
    def multiply(w, b, h, y, hidden):
        for j in range(w.shape[0]):
            s = b[j]
            for k in range(w.shape[1]):
                s += w[j, k] * h[k]
            y[j] = activate(s) if hidden else s

    @numba.njit(fastmath=True)
    def run(weights, biases, x, out, spare, n):
        last = len(weights) - 1
        for i in range(n):
            x[0] = i * 1e-3
            multiply(weights[0], biases[0], x, spare[0], True)
            for layer in range(1, last):
                h, y = spare[(layer - 1) % 2], spare[layer % 2]
                multiply(weights[layer], biases[layer], h, y, True)
            multiply(weights[last], biases[last], spare[(last - 1) % 2], out, False)

    weights, biases = layers(net)
    spare = np.empty((2, max(net.layer_sizes)), net.dtype)
    return lambda x, out, n: run(weights, biases, x, out, spare, n)


def by_dot(net: MLP) -> Turn:
    """Numba's np.dot, which calls BLAS."""
    activate = ACTIVATIONS[net.activations[0]]

    @numba.njit
    def run(weights, biases, x, out, n):
        for i in range(n):
            x[0] = i * 1e-3
            h = x
            for layer in range(len(weights)):
                y = np.dot(weights[layer], h) + biases[layer]
                if layer < len(weights) - 1:
                    for j in range(y.size):
                        y[j] = activate(y[j])
                h = y
            out[:] = h

    weights, biases = layers(net)
    return lambda x, out, n: run(weights, biases, x, out, n)


def rivals(net: MLP, folder: Path) -> dict[str, Turn]:
    """Each way by its name; without gcc those of Numba alone."""
    found = {}
    if shutil.which("gcc"):
        found = {name: by_c(net, flags, folder) for name, flags in COMPILERS.items()}
        found["... on a copy"] = by_c(net, COMPILERS["gcc -ffast-math"], folder, copied=True)
    return found | {"Numba loops": by_loops(net), "Numba np.dot": by_dot(net)}
