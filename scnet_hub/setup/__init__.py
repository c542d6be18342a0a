"""Set-up by command: the environment in `.venv` exactly as `requirements.lock` says, and the proxy beside it.

`make setup` runs `python -m scnet_hub.setup` before anything is installed, so this package uses the standard library only. It
is safe to repeat and to interrupt: what is done is written down last, as a hash of what it was made from.
"""
