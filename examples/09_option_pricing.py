"""Price an Asian option: a net cancels the noise of Monte Carlo."""

from math import exp, log, sqrt
from time import perf_counter

import numba
import numpy as np

from fastbp import MLP, Adam

SPOT, STRIKE, RATE, VOLATILITY, DATES = 100.0, 100.0, 0.05, 0.2, 12  # a year, month by month
STEP, DRIFT = VOLATILITY / sqrt(DATES), (RATE - VOLATILITY**2 / 2) / DATES
OPEN = 1 - np.arange(DATES) / DATES  # the part of the average that is not yet known
BATCH = 64


@numba.njit(cache=True)
def simulate(rng, x, noise, payoffs):
    """What is known before each date, noise of mean 0, payoffs on both kinds of average."""
    for p in range(BATCH):
        spot, total, logs = SPOT, 0.0, 0.0
        for i in range(DATES):
            row = p * DATES + i
            x[row] = 4 * (total / DATES + OPEN[i] * spot) / STRIKE - 4, spot / STRIKE - 1, OPEN[i]
            z = rng.standard_normal()
            noise[row] = STEP * OPEN[i] * spot * z, STEP * OPEN[i] * spot * (z * z - 1)
            spot *= exp(DRIFT + STEP * z)
            total += spot
            logs += log(spot)
        payoffs[p] = max(total / DATES - STRIKE, 0.0), max(exp(logs / DATES) - STRIKE, 0.0)


@numba.njit(cache=True)
def run(f, grad, rng, batches, learning):
    """Payoffs less noise weighed by the outputs of f, which learns to lower their variance."""
    x, (noise, h) = np.empty((BATCH * DATES, 3)), np.empty((2, BATCH * DATES, 2))
    found = np.empty((batches, BATCH, 2))
    for payoffs in found:
        simulate(rng, x, noise, payoffs)
        payoffs *= exp(-RATE)
        if f is not None:
            f.predict(x, h)
            payoffs -= (h * noise).reshape(BATCH, -1).sum(axis=1).reshape(-1, 1)
            if learning:
                error = payoffs[:, 0] - payoffs[:, 0].mean()
                f.vjp(x, noise * np.repeat(-error / BATCH, DATES).reshape(-1, 1), x[:0], grad)
                f.apply_gradient(grad)
    return found.reshape(-1, 2)


net = MLP((3, 16, 2), activation="tanh", dtype="float64", seed=0)
f, grad = net.compiled(rows=BATCH * DATES), np.empty_like(net.params)
rng = np.random.default_rng(0)
run(f, grad, rng, 1, True)  # compiles, or loads from Numba's cache
start = perf_counter()
for rate in (0.01, 0.003, 0.001):
    net.optimizer = Adam(rate)
    run(f, grad, rng, 2000, True)
print(f"learnt in {perf_counter() - start:.2f} s")

prices, work = {}, {}
for way, play, g in (("plain", run, None), ("net", run, f), ("net from Python", run.py_func, f)):
    play(g, grad, rng, 1, False)
    start = perf_counter()
    prices[way] = found = play(g, grad, rng, 3000, False)
    each = (perf_counter() - start) / len(found)
    noise = found[:, 0].std()
    work[way] = each * noise**2  # for a given precision
    print(f"{way}: {found[:, 0].mean():.4f}, noise {noise:.2f}, {1e9 * each:.0f} ns a path")
print(f"{work['plain'] / work['net']:.0f} times less work for the same precision")
