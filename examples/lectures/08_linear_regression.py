"""A net without hidden layers finds the least-squares line.

Gradient descent reaches the closed form (CS109A).
"""

import numpy as np

from fastbp import MLP, SGD

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, size=50)
y = 3 * x - 2 + rng.normal(scale=0.3, size=50)

slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
print(f"closed form       slope {slope:.6f}  intercept {y.mean() - slope * x.mean():.6f}")

net = MLP((1, 1), dtype="float64", optimizer=SGD(learning_rate=0.5), seed=0)
for epochs in (0, 1, 10, 100, 500):
    net.fit(x[:, None], y, epochs=epochs, batch_size=50)  # continues from the current weights
    (slope,), (intercept,) = net.weights[0][0], net.biases[0]
    loss, gradient = net.loss_and_grad(x[:, None], y)
    print(
        f"{epochs:3} more epochs   slope {slope:9.6f}  intercept {intercept:9.6f}  "
        f"loss {loss:.6f}  gradient {np.abs(gradient).max():.1e}"
    )
