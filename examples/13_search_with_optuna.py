"""Let Optuna look for sizes and a learning rate, and prune."""

import argparse

import numpy as np
import optuna

from fastbp import MLP, AdamW, Callback

parser = argparse.ArgumentParser()
parser.add_argument("--trials", type=int, default=30, help="number of nets to try")
trials = parser.parse_args().trials

rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, size=(3000, 2)).astype("float32")
y = np.sin(3 * X[:, 0]) * np.cos(X[:, 1])


class Pruning(Callback):
    """Tells Optuna the loss after each epoch, and stops when it has seen enough."""

    def __init__(self, trial):
        self.trial = trial

    def on_epoch_end(self, fit):
        """Report, and stop where that is advised."""
        self.trial.report(fit.losses["val_loss"], fit.epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def objective(trial):
    """The best validation loss of a net."""
    units = [trial.suggest_int(f"units of layer {i}", 4, 64, log=True) for i in (0, 1)]
    rate = trial.suggest_float("rate", 1e-4, 0.1, log=True)
    net = MLP((2, *units, 1), activation="tanh", optimizer=AdamW(rate), seed=0)
    history = net.fit(
        X[:2000], y[:2000], epochs=30, validation_data=(X[2000:], y[2000:]),
        callbacks=Pruning(trial),
    )  # fmt: skip
    return min(history["val_loss"])


optuna.logging.set_verbosity(optuna.logging.WARNING)
pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3)
study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner)
# With n_jobs=2 two threads train at once, without the GIL; then the order of trials is by chance.
study.optimize(objective, n_trials=trials)

pruned = sum(t.state == optuna.trial.TrialState.PRUNED for t in study.trials)
print(f"{len(study.trials)} trials, {pruned} of them pruned")
print(f"best loss {study.best_value:.5f} with", study.best_params)
