"""Train a classifier on two interleaved spirals and look at what it learned."""

import numpy as np

from fastbp import MLP, Adam

rng = np.random.default_rng(0)
y = np.arange(1000) % 2  # which spiral
angle = rng.uniform(0.5, 9.5, size=1000)
direction = np.column_stack([np.cos(angle + np.pi * y), np.sin(angle + np.pi * y)])
X = angle[:, None] / 5 * direction + rng.normal(scale=0.05, size=(1000, 2))
X_test = X[800:]
y_test = y[800:]
X = X[:800]
y = y[:800]

net = MLP((2, 64, 64, 2), loss="cross_entropy", optimizer=Adam(learning_rate=3e-3), seed=0)
history = net.fit(X, y, epochs=150, batch_size=32)
print(net)
print(history)

held_out = net.evaluate(X_test, y_test, metrics="accuracy")
print(f"loss on held-out rows      {held_out['loss']:.4f}")
print(f"accuracy on held-out rows  {held_out['accuracy']:.1%}\n")

# The class it predicts for each point of the plane: 'o' or '.'.
grid = np.linspace(-2, 2, 41)
for row in np.linspace(2, -2, 21):
    classes = net.predict([[column, row] for column in grid]).argmax(axis=1)
    print("".join(".o"[c] for c in classes))
