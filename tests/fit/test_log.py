"""What a history gets while epochs run."""

from __future__ import annotations

import numpy as np
from helpers import make

from fastbp import SGD, History
from fastbp.fit.data import job_of, rows_and_targets
from fastbp.fit.epochs import Epochs
from fastbp.fit.log import BlockLog, EpochLog
from fastbp.kernels.optimizers import UPDATES
from fastbp.kernels.training import FINISHED

X = np.random.default_rng(0).normal(size=(10, 3))


def epochs_of(learning_rate=0.1, batch_size=3):
    net = make((3, 1), optimizer=SGD(learning_rate))
    data, rows = rows_and_targets(X, X[:, 0], None, net)
    epochs = Epochs(net)
    epochs.take(job_of(data, rows, batch_size, False))
    return epochs


def test_a_block_keeps_the_running_epoch_only():
    epochs = epochs_of()
    epochs.losses = np.zeros(102)
    with BlockLog(History(), epochs, None) as log:
        for epoch in range(30):
            for row in (3, 6, 9):
                epochs.progress[:] = epoch, row, 0
                assert log.write() == (1 if epoch and row == 3 else 0)
                assert len(log.marks) <= 5
    assert len(log.history) == 29
    assert all(seconds > 0 for seconds in log.history.seconds)


def test_rates_of_schedules_are_those_of_the_last_update_of_an_epoch():
    epochs = epochs_of(lambda update: float(update))
    epochs.net.state.scalars[UPDATES] = 100
    epochs.losses = np.zeros(11)
    with BlockLog(History(), epochs, None) as log:
        epochs.progress[:] = 3, 0, 0
        log.write()
    assert log.history["learning_rate"] == [103.0, 107.0, 111.0]


def test_an_epoch_of_several_jobs_is_their_weighted_mean():
    epochs = epochs_of()
    with EpochLog(History(), epochs, None) as log:
        for loss in (1.0, 4.0):
            epochs.losses = np.array([loss])
            assert log.end_job(FINISHED) == FINISHED
        log.end()
    assert log.history.loss == [2.5]
    assert log.history["learning_rate"] == [0.1]
