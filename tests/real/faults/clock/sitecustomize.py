"""A broker's clock that is an hour behind while a file exists: what signs certificates sees `time.time`, nothing else
does.

Found by Python at its start where PYTHONPATH leads here; the file's path is in FAULTS_CLOCK.
"""

import os
import sys
import time

BEHIND = 3600.0

if os.environ.get("FAULTS_CLOCK") and "scnet_hub.broker" in sys.orig_argv:
    _real, _file = time.time, os.environ["FAULTS_CLOCK"]

    def _behind() -> float:
        return _real() - BEHIND * os.path.exists(_file)

    time.time = _behind
