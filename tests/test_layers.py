"""Imports go downwards only, each library is met in its own room, and decisions are pure: read from the source, run
nothing.

A new module needs a line in LAYERS; a library in a new place needs one in ROOMS. If that feels wrong, the seam is
wrong.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "scnet_hub"

# Who may import whom: a folder those of its own layer and below. Longest name first wins.
LAYERS: dict[str, int] = {
    **dict.fromkeys(("errors", "units", "retry", "display"), 0),
    **dict.fromkeys(("domain", "simulator"), 1),
    "adapters": 2,
    "services": 3,
    **dict.fromkeys(("hub", "broker"), 4),
    **dict.fromkeys(("demo", "conformance", "enrolment"), 5),  # they start or try out everything
}
# The same inside two layers, lowest first: a room may import those before it, and itself.
INNER: dict[str, tuple[tuple[str, ...], ...]] = {
    "domain": (
        ("addresses", "commands", "hosts", "identifiers", "jobs", "months", "paging"),
        ("dialects",),
        ("standard",),
        ("pricing",),
        ("placement", "usage"),
        ("centres", "ledger", "sessions"),
        ("settlement",),
    ),
    "services": (
        ("periodic", "signals", "tokens", "watchdog"),
        ("runtime",),
        ("accounting",),
        ("projects", "documents"),
        ("placement", "settlement"),
        ("reporting", "sessions"),
        ("federation",),
    ),
}
# Clients run on somebody's compute node: of ours they may know the words (layer 0) and each other.
CLIENTS = ("", "client", "cli")
# What runs before anything is installed, or on a node that has nothing: the standard library and itself.
ALONE = ("node", "setup")
MAY_ALSO = {
    # `scnet doctor` asks whether set-up is complete; `scnet demo` and `scnet centres add` are in rooms of their own
    "cli": ("setup", "demo", "enrolment"),
    "cli.operators.simulate": (
        "simulator",
    ),  # not a client: it computes, and asks a broker for no more than its decision log
    "cli.operators.replay": ("simulator",),
}

ROOMS: dict[str, tuple[str, ...]] = {
    "jupyterhub": ("hub", "node"),  # in a session only inside functions: see test_a_session_starts_bare
    "jupyterlab": ("node",),
    "jupyter_server": ("node",),
    "batchspawner": ("hub",),
    "traitlets": ("hub", "client.panels"),
    "tornado": ("hub", "node", "demo"),
    "jinja2": ("hub",),
    "markupsafe": ("hub",),
    "sqlalchemy": (
        "adapters.db",
        "hub.spawner",
        "hub.stopping",
    ),  # hub: only for its own database, whose session batchspawner commits
    "alembic": ("adapters.db",),
    "prometheus_client": ("services.reporting.metrics",),
    "asyncssh": ("adapters.transport",),
    "fastapi": ("broker",),
    "starlette": ("broker",),
    "uvicorn": ("broker",),
    "pydantic": ("domain.standard", "broker"),
    "httpx": ("client", "broker", "hub", "demo"),
    "click": ("cli", "demo", "enrolment"),
    "rich": ("cli", "demo"),
    "tomlkit": ("enrolment",),
    "psutil": ("demo",),
    "dask": ("client.clusters",),
    "distributed": ("client.clusters",),
    "dask_jobqueue": ("client.clusters",),
    "cryptography": ("client.clusters", "adapters.db.keys"),
    "bokeh": ("client.clusters",),
    "anywidget": ("client.panels",),
    "ipywidgets": ("client.panels",),
    "IPython": ("client.panels", "client.clusters"),
    "pytest_asyncio": ("conformance",),
    "pytest": ("conformance",),  # the suite is shipped: operators run it on their own centre
}

OUTSIDE = {
    "asyncio", "http", "io", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil", "socket", "sqlite3",
    "subprocess", "tempfile", "threading", "time", "urllib.request",
}  # fmt: skip
READS_CLOCK = {"now", "utcnow", "today"}
# The simulator draws from generators that it is given a seed for, and opens logs in one file; pauses are spread by
# chance.
PURE_BUT = {"simulator": {"random"}, "retry": {"random"}, "simulator.logs": {"random", "pathlib"}}


def module_name(path: Path) -> str:
    """`scnet_hub/services/accounting/books.py` → "services.accounting.books"; the package's own file → ""."""
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


def inner(module: str) -> int:
    """The place of a module in the order inside its layer; the layer's own `__init__` knows none of them."""
    room, _, rest = module.partition(".")
    return next((place for place, rooms in enumerate(INNER[room]) if within(rest, rooms)), -1)


def may_import(module: str, other: str) -> bool:
    """Whether one of our modules may import another one of ours."""
    if any(within(module, (room,)) and within(other, more) for room, more in MAY_ALSO.items()):
        return True
    if within(module, ALONE):
        return within(other, (module.split(".")[0],))
    if within(module, CLIENTS):
        return within(other, CLIENTS) or layer(other) == 0
    here, there = layer(module), layer(other)
    if (room := module.split(".")[0]) == other.split(".")[0] and room in INNER:
        return inner(module) >= inner(other)
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


def test_no_files_import_each_other_in_a_circle(trees: dict[Path, ast.Module]) -> None:
    """Imports inside functions and under TYPE_CHECKING count too: a circle that is hidden is one."""
    needs: dict[str, set[str]] = {file_name(path): set() for path in FILES}
    for path, tree in trees.items():
        ours = (
            name.removeprefix(PACKAGE).removeprefix(".")
            for name in imports(path, tree)
            if name.split(".")[0] == PACKAGE
        )
        needs[file_name(path)] |= {other for other in ours if other in needs and other != file_name(path)}
    assert circles(needs) == [], "files that import each other"


def file_name(path: Path) -> str:
    """As `module_name`, but a package's `__init__` and `__main__` are files of their own."""
    name = module_name(path)
    return f"{name}.__main__" if path.name == "__main__.py" else name


def circles(needs: dict[str, set[str]]) -> list[list[str]]:
    """Sets of names of which each needs all others, by way of one another (Tarjan)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for other in needs[name]:
            if other not in order:
                visit(other)
            if other in stack:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == order[name]:
            at = stack.index(name)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for name in needs:
        if name not in order:
            visit(name)
    return found


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
        if (top := name.split(".")[0]) != PACKAGE
        and top not in sys.stdlib_module_names
        and not within(FILES[path], ROOMS.get(top, ()))
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
    yield from (f"imports {name}" for name in imports(path, tree) if name in outside or name.split(".")[0] in outside)
    for node in ast.walk(tree):
        if isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith):
            yield f"{node.lineno} waits"
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in READS_CLOCK or (called in ("open", "print", "input") and isinstance(node.func, ast.Name)):
                yield f"{node.lineno} calls {called}()"


def test_a_session_starts_bare(trees: dict[Path, ast.Module]) -> None:
    """What runs first on the compute node imports the standard library only; JupyterHub comes inside a function,
    later."""
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
    assert not may_import("units", "domain.placement.rules")
    assert not may_import("domain.placement.rules", "adapters.db.queries.sessions")
    assert not may_import("domain.pricing.leases", "domain.settlement.netting")
    assert not may_import("services.accounting.books", "services.sessions.watcher")
    assert not may_import("hub.spawner", "broker.sessions")
    assert not may_import("client.panels.view", "services.federation")
    assert not may_import("node.start", "errors")
    assert may_import("services.federation", "domain.placement.placement")
    assert may_import("cli.commands.doctor", "setup.proxy") and may_import("demo.run", "hub.ports")
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    code = "import time\nfrom datetime import datetime\nasync def f():\n    await g(datetime.now())\n"
    assert len(list(impurities(ROOT / PACKAGE / "units.py", ast.parse(code)))) == 4


def test_every_room_of_the_two_inner_orders_is_there() -> None:
    rooms = {(layer, room) for layer in INNER for place in INNER[layer] for room in place}
    there = {tuple(module.split(".")[:2]) for module in MODULES if module.split(".")[0] in INNER and "." in module}
    assert rooms == there


def test_few_files_lie_at_the_top() -> None:
    """A module has a room. Here lie the notebook's names, and what every room uses."""
    assert sorted(path.name for path in (ROOT / PACKAGE).glob("*.py")) == [
        "__init__.py",
        "errors.py",
        "retry.py",
        "units.py",
    ]
