"""Read by the session environment's Python from standard input: its version, what it can't import, as one line of JSON."""

import importlib
import json
import sys
import time

began = time.time()
missing = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        missing[name] = f"{type(error).__name__}: {error}"[:200]
facts = {
    "version": list(sys.version_info[:3]),
    "prefix": sys.prefix,
    "missing": missing,
    "scnet_hub": getattr(sys.modules.get("scnet_hub"), "__version__", ""),
    "seconds": round(time.time() - began, 2),
}
print("\n" + json.dumps(facts))
