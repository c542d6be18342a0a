"""The tools that check and test the JavaScript: TypeScript, ESLint and a small DOM, pinned in
`extensions/javascript/package-lock.json`.

They are installed into `.venv/share/scnet/javascript` for the tests and for `make check` only: no user needs them. They
run on the same node as the proxy.
"""

from __future__ import annotations

from pathlib import Path

from .environment import Environment
from .proxy import FILES, REGISTRY, install_packages, node
from .steps import digest, noted, write_note

INSTALL = "Run `make tools` in the checkout."


class Tools:
    """The JavaScript tools that belong to `environment`, which must be made first."""

    title = "the JavaScript tools in .venv/share/scnet/javascript"

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.sources = environment.root / "extensions" / "javascript"
        self.folder = environment.folder / "share" / "scnet" / "javascript"
        self.packages = self.folder / "node_modules"
        self.note = self.folder / "installed.sha256"

    def wanted(self) -> str:
        return digest([self.sources / name for name in FILES])

    def done(self) -> bool:
        return self.packages.exists() and noted(self.note) == self.wanted()

    def make(self) -> None:
        """Installs the tools with the hashes of their lock checked, and records it. Raises Failed, which says what to
        try."""
        hint = f"{REGISTRY} `make tools` again."
        install_packages("the JavaScript tools", self.environment.folder, self.sources, self.folder, hint=hint)
        write_note(self.note, self.wanted())

    def node(self) -> Path | None:
        """Returns the node that runs the tools; None without one."""
        return node(self.environment.folder)
