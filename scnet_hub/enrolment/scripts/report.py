"""Prints its version and failed imports as one line of JSON. The session environment's Python reads this script from
standard input.
"""

import importlib
import json
import os
import sys
import time

began = time.time()
missing = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        missing[name] = f"{type(error).__name__}: {error}"[:200]
try:
    with open(os.path.join(sys.prefix, "share", "scnet", "environment.json")) as note:
        sources = json.load(note)["sources"]
except (OSError, ValueError, KeyError):
    sources = ""  # not deployed by us
facts = {
    "version": list(sys.version_info[:3]),
    "prefix": sys.prefix,
    "missing": missing,
    "scnet_hub": getattr(sys.modules.get("scnet_hub"), "__version__", ""),
    "sources": sources,
    "seconds": round(time.time() - began, 2),
}
print("\n" + json.dumps(facts))
