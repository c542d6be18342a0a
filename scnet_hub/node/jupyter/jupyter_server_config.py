"""Jupyter's settings in a session that JSON can't express; a person's own `~/.jupyter` is read later and wins."""

from scnet_hub.node import terminal

c = get_config()  # type: ignore[name-defined]  # noqa: F821  # Jupyter runs this file with it
c.ServerApp.terminado_settings = {"shell_command": terminal.command()}
