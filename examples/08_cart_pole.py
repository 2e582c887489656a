"""REINFORCE balances a pole: policy and gradient in compiled code."""

from math import cos, exp, pi, sin
from time import perf_counter

import numba
import numpy as np

from fastbp import MLP, Adam

LONGEST, BATCH, DISCOUNT = 500, 4, 0.99


@numba.njit(cache=True)
def push(state, right):
    """Advance CartPole-v1 by 20 ms; returns whether the pole has fallen or the cart is gone."""
    x, v, angle, spin = state
    force = (10.0 if right else -10.0) + 0.05 * spin**2 * sin(angle)
    sway = (9.8 * sin(angle) - cos(angle) * force / 1.1) / (2 / 3 - 0.05 * cos(angle) ** 2 / 1.1)
    thrust = (force - 0.05 * sway * cos(angle)) / 1.1
    state[:] = x + 0.02 * v, v + 0.02 * thrust, angle + 0.02 * spin, spin + 0.02 * sway
    return abs(state[0]) > 2.4 or abs(state[2]) > 12 * pi / 180


@numba.njit(cache=True)
def learn(f, grad, rng, episodes):
    """Play with the policy f, whose output is the log-odds of right; the return of each episode."""
    returns = np.zeros(episodes, np.int64)
    states, logit = np.empty((BATCH * LONGEST, 4)), np.empty(1)
    slopes, to_come = np.empty((BATCH * LONGEST, 1)), np.empty((BATCH * LONGEST, 1))
    rows = 0
    for episode in range(episodes):
        state = rng.uniform(-0.05, 0.05, 4)
        first = rows
        over = False
        while not over:
            states[rows] = state
            f.predict(state, logit)
            p = 1 / (1 + exp(-logit[0]))
            right = rng.random() < p
            slopes[rows] = p - right  # of -log(probability of what was done)
            rows += 1
            over = push(state, right) or rows == first + LONGEST
        returns[episode] = rows - first
        total = 0.0
        for i in range(rows - 1, first - 1, -1):
            total = 1 + DISCOUNT * total
            to_come[i] = total
        if episode % BATCH == BATCH - 1:
            advantage = (to_come[:rows] - to_come[:rows].mean()) / to_come[:rows].std()
            f.vjp(states[:rows], slopes[:rows] * advantage / rows, states[:0], grad)
            f.apply_gradient(grad)
            rows = 0
        if episode >= 99 and returns[episode - 99 : episode + 1].mean() >= 475:  # solved
            return returns[: episode + 1]
    return returns


net = MLP((4, 16, 1), activation="tanh", dtype="float64", optimizer=Adam(0.01), seed=0)
fresh = net.get_state()
f, grad = net.compiled(), np.empty_like(net.params)
learn(f, grad, np.random.default_rng(0), BATCH)  # compiles, or loads from Numba's cache
returns = {}
for way, play in {"compiled": learn, "from Python": learn.py_func}.items():
    net.set_state(fresh)
    start = perf_counter()
    returns[way] = found = play(f, grad, np.random.default_rng(0), 3000)
    seconds = perf_counter() - start
    print(f"{way}: mean return {found[-100:].mean():.0f} after {len(found)} episodes, "
          f"{found.sum():,} steps, {seconds:.3f} s")  # fmt: skip
