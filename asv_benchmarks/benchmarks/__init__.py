"""The benchmarks that asv runs, one file for each part of fastbp.

Names, parameters and units stay as they are: the history of results depends on them. To
change what a benchmark measures, count its `version` up by hand.
"""

import sys
from pathlib import Path

# asv knows this folder alone; what it shares with the comparison stands beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compare import one_thread

one_thread()
