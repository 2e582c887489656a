"""Fresh processes: the import, and a first fit with an empty and with a warm cache."""

from __future__ import annotations

import os
import tempfile

from compare.startup import DATA, FIT, fresh_run

REFERENCE = "import numba"
IMPORT = "import fastbp"
TURNS = 5


class Cold:
    """Each in processes of its own: the best of five in seconds, and beside `import numba`."""

    version = "1"
    timeout = 300

    def setup_cache(self):
        with tempfile.TemporaryDirectory() as cache:
            environment = {**os.environ, "FASTBP_CACHE_DIR": cache}
            fresh_run(DATA, environment)  # NumPy's files are read from disk once
            found = {"empty": [fresh_run(FIT, environment).seconds]}
            turns = {"numba": REFERENCE, "import": IMPORT, "warm": FIT}
            for name, script in TURNS * list(turns.items()):
                found.setdefault(name, []).append(fresh_run(script, environment).seconds)
        return {name: min(times) for name, times in found.items()}

    setup_cache.timeout = 300

    def track_import(self, best):
        return best["import"]

    def track_import_ratio(self, best):
        return best["import"] / best["numba"]

    def track_first_fit_empty_cache(self, best):
        return best["empty"]

    def track_first_fit_empty_cache_ratio(self, best):
        return best["empty"] / best["numba"]

    def track_first_fit_warm_cache(self, best):
        return best["warm"]

    def track_first_fit_warm_cache_ratio(self, best):
        return best["warm"] / best["numba"]

    for track in (track_import, track_first_fit_empty_cache, track_first_fit_warm_cache):
        track.unit = "seconds"
    for track in (
        track_import_ratio,
        track_first_fit_empty_cache_ratio,
        track_first_fit_warm_cache_ratio,
    ):
        track.unit = "x import numba"
    del track
