"""A learned equation of motion inside a stiff solver that is wholly compiled: predict and vjp."""

from math import sqrt
from time import perf_counter

import numba
import numpy as np
from scipy.integrate import solve_ivp
from sklearn.neural_network import MLPRegressor

from fastbp import MLP

MU, SCALE, GAMMA = 2.0, np.array([2.5, 5.0]), 1 + 1 / sqrt(2)
START, END, STEPS = np.array([2.0, 0.0]), 4.0, 4000


def acceleration(x, v):
    """Van der Pol's oscillator, which the net is to learn from samples."""
    return MU * (1 - x**2) * v - x


@numba.njit(cache=True)
def slope_and_jacobian(f, x, v, z, a, one, dz, nothing):
    """dv/dt by the net f, and its derivatives by x and v: one product with the Jacobian, vjp."""
    z[0], z[1] = x / 2.5, v / 5.0
    f.predict(z, a)
    f.vjp(z, one, dz, nothing)
    return 10.0 * a[0], 4.0 * dz[0], 2.0 * dz[1]


@numba.njit(cache=True)
def solve(f, start, h, n):
    """ROS2, an L-stable Rosenbrock method: Verwer et al., SIAM J. Sci. Comput. 20, 1999."""
    arrays = np.empty(2), np.empty(1), np.ones(1), np.empty(2), np.empty(0)
    path = np.empty((n + 1, 2))
    path[0] = start
    (x, v), g = start, GAMMA * h
    for i in range(n):
        a, by_x, by_v = slope_and_jacobian(f, x, v, *arrays)
        scale = 1 / (1 - g * by_v - g * g * by_x)  # solves (1 - g J) k = slope
        k_x, k_v = scale * (v - g * by_v * v + g * a), scale * (a + g * by_x * v)
        b = slope_and_jacobian(f, x + h * k_x, v + h * k_v, *arrays)[0] - 2 * k_v
        w = v + h * k_v - 2 * k_x
        x += h * (1.5 * k_x + 0.5 * scale * (w - g * by_v * w + g * b))
        v += h * (1.5 * k_v + 0.5 * scale * (b + g * by_x * w))
        path[i + 1] = x, v
    return path


Z = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
target = acceleration(*(Z * SCALE).T) / 10
net = MLP((2, 32, 32, 1), activation="tanh", dtype="float64", seed=0)
net.fit(Z, target, method="lbfgs", epochs=2000)
compiled = net.compiled()
solve(compiled, START, END / STEPS, 1)  # compiles, or loads from Numba's cache
start = perf_counter()
path = solve(compiled, START, END / STEPS, STEPS)
seconds = perf_counter() - start
times = np.linspace(0, END, STEPS + 1)
true = solve_ivp(lambda t, u: [u[1], acceleration(*u)], (0, END), START, "Radau", times, rtol=1e-8)
off = np.abs(path[:, 0] - true.y[0]).max()
print(f"compiled: {STEPS} steps in {1e3 * seconds:.1f} ms; x is off by at most {off:.3f}")

regressor = MLPRegressor(hidden_layer_sizes=(32, 32), activation="tanh", max_iter=500)
for name, model in {"net.predict": net, "scikit-learn": regressor.fit(Z, target)}.items():
    start = perf_counter()
    for _ in range(200):
        model.predict(Z[:1])
    taken = 2 * STEPS * (perf_counter() - start) / 200
    print(f"{name} from Python: {1e3 * taken:.0f} ms for as many slopes, without Jacobians")
