"""A learned equation of motion inside a compiled stiff solver."""

from timeit import repeat

import numba
import numpy as np
from scipy.integrate import solve_ivp

from fastbp import MLP

START, END, SCALE, GAMMA = np.array([2.0, 0.0]), 4.0, np.array([2.5, 5.0]), 1 + 0.5**0.5


def acceleration(x, v):
    """Van der Pol's oscillator, which the net is to learn from samples."""
    return 2 * (1 - x**2) * v - x


@numba.njit(cache=True)
def slope(f, x, v, z, a):
    """dv/dt by the net f, whose input is left in z."""
    z[0], z[1] = x / SCALE[0], v / SCALE[1]
    f.predict(z, a)
    return 10 * a[0]


@numba.njit(cache=True)
def solve(f, start, h, n):
    """ROS2, L-stable, order 2 with any Jacobian: Verwer et al., SIAM J. Sci. Comput. 20, 1999."""
    z, a, dz, nothing = np.empty(2), np.empty(1), np.empty(2), np.empty(0)
    x, v = start
    g = GAMMA * h
    for i in range(n):
        b = slope(f, x, v, z, a)
        if i % 8 == 0:
            f.vjp(z, 1.0, dz, nothing)
            by_x, by_v = 10 * dz / SCALE
            scale = 1 / (1 - g * by_v - g * g * by_x)  # solves (1 - g J) k = slope
        k_x, k_v = scale * (v - g * by_v * v + g * b), scale * (b + g * by_x * v)
        b = slope(f, x + h * k_x, v + h * k_v, z, a) - 2 * k_v
        w = v + h * k_v - 2 * k_x
        x += h * (1.5 * k_x + 0.5 * scale * (w - g * by_v * w + g * b))
        v += h * (1.5 * k_v + 0.5 * scale * (b + g * by_x * w))
    return x, v


def by_scipy(method, dv, rtol):
    """The end of the path, by calls of Python."""
    return solve_ivp(lambda t, u: (u[1], dv(*u)), (0, END), START, method, rtol=rtol).y[:, -1]


def learned(x, v):
    """The acceleration by `net.predict`."""
    return 10 * net.predict(np.array([[x, v]]) / SCALE)[0, 0]


Z = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
net = MLP((2, 32, 32, 1), activation="tanh", dtype="float64", seed=0)
net.fit(Z, acceleration(*(Z * SCALE).T) / 10, method="lbfgs", epochs=2000)
f = net.compiled()
exact = by_scipy("Radau", learned, 1e-8)
off = np.abs(exact - by_scipy("Radau", acceleration, 1e-8)).max()
print(f"the net's path ends {off:.4f} beside the oscillator's")
ways = {"compiled": lambda: solve(f, START, END / 1000, 1000)}
for method in ("LSODA", "Radau"):
    ways[f"{method}, net.predict"] = lambda method=method: by_scipy(method, learned, 1e-4)
for way, run in ways.items():
    error = np.abs(run() - exact).max()  # compiles, or loads from Numba's cache
    print(f"{way}: {1e3 * min(repeat(run, number=1, repeat=5)):.2f} ms, error {error:.0e}")
