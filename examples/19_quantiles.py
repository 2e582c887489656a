"""Predict a range and not just a mean.

Three quantiles, a schedule of the learning rate, dropout and early stopping.
"""

import numpy as np

from fastbp import MLP, AdamW, CosineDecay, Quantile, WarmUp

rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, size=(4000, 1))
spread = 0.1 + 0.4 * np.abs(X[:, 0])  # the noise grows on both sides
y = np.sin(2 * X[:, 0]) + spread * rng.normal(size=4000)
X_test = X[3000:]
y_test = y[3000:]
X = X[:3000]
y = y[:3000]

rates = WarmUp(CosineDecay(3e-3, period=8000), updates=200)
net = MLP(
    (1, 64, 64, 3),
    activation="silu",
    loss=Quantile([0.1, 0.5, 0.9]),  # one output each, all from the same target column
    optimizer=AdamW(rates, weight_decay=1e-2),
    dropout=0.05,
    seed=0,
)
history = net.fit(X, y, epochs=100, batch_size=32, validation_fraction=0.2, patience=15)
print(history)

low, median, high = net.predict(X_test).T
print(f"\nbelow the 10 % quantile  {(y_test < low).mean():.1%}")
print(f"below the median         {(y_test < median).mean():.1%}")
print(f"below the 90 % quantile  {(y_test < high).mean():.1%}")
for at in (-2.0, 0.0, 2.0):
    low, median, high = net.predict([[at]])[0]
    print(f"x = {at:4}: {median:5.2f}, from {low:5.2f} to {high:5.2f}")
