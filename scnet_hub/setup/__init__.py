"""Set-up by command: the environment in `.venv` exactly as `requirements.lock` says, and the proxy beside it.

`make setup` runs `python -m scnet_hub.setup` before anything is installed, so this package uses only the standard
library. In an installed package only the proxy is left to set up. Set-up is safe to repeat and to interrupt: a finished
part is recorded last, as a hash of its inputs.
"""
