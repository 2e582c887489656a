"""A learned equation of motion inside a stiff solver that is wholly compiled: predict and vjp."""

from math import sqrt
from time import perf_counter

import numba
import numpy as np
from scipy.integrate import solve_ivp
from sklearn.neural_network import MLPRegressor

from fastbp import MLP

MU, SCALE, GAMMA = 2.0, np.array([2.5, 5.0]), 1 + 1 / sqrt(2)
START, END, STEPS = np.array([2.0, 0.0]), 8.0, 4000


def acceleration(x, v):
    """Van der Pol's oscillator, which the net is to learn from samples."""
    return MU * (1 - x**2) * v - x


@numba.njit(cache=True)
def slope_and_jacobian(f, u, du, J, z, a, one, dz, nothing):
    """du/dt by the net f, and its derivatives by u: the row of the net is one product, vjp."""
    z[0], z[1] = u[0] / 2.5, u[1] / 5.0
    f.predict(z, a)
    f.vjp(z, one, dz, nothing)
    du[0], du[1] = u[1], 10.0 * a[0]
    J[1, 0], J[1, 1] = 4.0 * dz[0], 2.0 * dz[1]


@numba.njit(cache=True)
def solve(f, u, h, n):
    """ROS2, an L-stable Rosenbrock method: Verwer et al., SIAM J. Sci. Comput. 20, 1999."""
    du, J, z, a = np.empty(2), np.array([[0.0, 1.0], [0.0, 0.0]]), np.empty(2), np.empty(1)
    one, dz, nothing = np.ones(1), np.empty(2), np.empty(0)
    path = np.empty((n + 1, 2))
    path[0] = u
    for i in range(n):
        slope_and_jacobian(f, u, du, J, z, a, one, dz, nothing)
        A = np.eye(2) - GAMMA * h * J
        k = np.linalg.solve(A, du)
        v = u + h * k
        z[0], z[1] = v[0] / 2.5, v[1] / 5.0
        f.predict(z, a)
        du[0], du[1] = v[1], 10.0 * a[0]
        u = u + 1.5 * h * k + 0.5 * h * np.linalg.solve(A, du - 2 * k)
        path[i + 1] = u
    return path


Z = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
target = acceleration(*(Z * SCALE).T) / 10
net = MLP((2, 32, 32, 1), activation="tanh", dtype="float64", seed=0)
net.fit(Z, target, method="lbfgs", epochs=1000)
compiled = net.compiled()
solve(compiled, START, END / STEPS, 1)  # compiles, or loads from Numba's cache
start = perf_counter()
path = solve(compiled, START, END / STEPS, STEPS)
seconds = perf_counter() - start
times = np.linspace(0, END, STEPS + 1)
true = solve_ivp(lambda t, u: [u[1], acceleration(*u)], (0, END), START, "Radau", times, rtol=1e-8)
off = np.abs(path[:, 0] - true.y[0]).max()
print(f"compiled: {STEPS} steps in {1e3 * seconds:.1f} ms; x is off by at most {off:.3f}")

sklearns = MLPRegressor(hidden_layer_sizes=(32, 32), activation="tanh", max_iter=500).fit(Z, target)
for name, model in {"net.predict": net, "scikit-learn": sklearns}.items():
    start = perf_counter()
    for _ in range(200):
        model.predict(Z[:1])
    calls = 2 * STEPS * (perf_counter() - start) / 200
    print(f"{name} from Python takes {1e3 * calls:.0f} ms for as many slopes, without Jacobians")
