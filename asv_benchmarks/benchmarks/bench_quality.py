"""Accuracy after a fixed number of updates: speed must not be bought with it."""

from __future__ import annotations

import numpy as np

from fastbp import MLP, Adam

UPDATES = 1_000
BATCH = 32
SEEDS = 5


def standardized(load):
    """Return the data of scikit-learn with scaled features: a training and a test half."""
    X, y = load(return_X_y=True)
    order = np.random.default_rng(6).permutation(len(X))
    X, y = X[order], y[order]
    half = len(X) // 2
    mean, scale = X[:half].mean(axis=0), X[:half].std(axis=0)
    X = ((X - mean) / np.where(scale > 0, scale, 1)).astype("float32")
    return (X[:half], y[:half]), (X[half:], y[half:])


class Quality:
    """The mean over five seeds, on the half of the data that was not trained on."""

    version = "1"

    def test_outputs(self, load, outputs, loss, scaled=False):
        """Return the test targets and the outputs of each net."""
        (X, y), (X_test, y_test) = standardized(load)
        if scaled:
            mean, scale = y.mean(), y.std()
            y, y_test = (y - mean) / scale, (y_test - mean) / scale
        epochs = UPDATES // (len(X) // BATCH)
        found = []
        for seed in range(SEEDS):
            net = MLP(
                (X.shape[1], 32, outputs), loss=loss, optimizer=Adam(learning_rate=1e-3), seed=seed
            )
            net.fit(X, y, epochs=epochs, batch_size=BATCH)
            found.append(net.predict(X_test))
        return y_test, found

    def track_digits_accuracy(self):
        from sklearn.datasets import load_digits

        y, found = self.test_outputs(load_digits, 10, "cross_entropy")
        return np.mean([(outputs.argmax(axis=1) == y).mean() for outputs in found])

    def track_breast_cancer_accuracy(self):
        from sklearn.datasets import load_breast_cancer

        y, found = self.test_outputs(load_breast_cancer, 1, "binary_cross_entropy")
        return np.mean([((outputs[:, 0] > 0.5) == y).mean() for outputs in found])

    def track_diabetes_r2(self):
        from sklearn.datasets import load_diabetes

        y, found = self.test_outputs(load_diabetes, 1, "squared_error", scaled=True)
        spread = ((y - y.mean()) ** 2).sum()
        return np.mean([1 - ((outputs[:, 0] - y) ** 2).sum() / spread for outputs in found])

    track_digits_accuracy.unit = "of the test rows"
    track_breast_cancer_accuracy.unit = "of the test rows"
    track_diabetes_r2.unit = "R^2"
