"""The person's own Python at a centre: a virtual environment in the person's home that sees the session's packages and
receives the packages that `pip` installs.

Kernels, terminals, batch jobs and Dask workers of the person run this Python, so a package that was installed once is
in all of them. The session's own environment stays unchanged, and JupyterLab runs on that environment alone: no
installed package can keep JupyterLab from starting. Standard library only; if the home is not writable, the session
uses its own environment.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Read by each start of the person's Python: the packages of the running session come after the person's own. A session
# keeps the environment that it began in, so the session names the folder, not this file.
PATH_FILE = "import os, site; site.addsitedir(os.environ.get('SCNET_SITE_PACKAGES') or {fallback!r})\n"
PIP = '#!/bin/sh\nexec "$(dirname -- "$(realpath -- "$0")")/python" -m pip "$@"\n'
KERNEL = Path("share") / "jupyter" / "kernels" / "python3"


def own_folder(home: Path) -> Path:
    """Returns the folder of the person's packages for this version of Python and this kind of processor."""
    return home / ".local" / "share" / "scnet" / f"python{_version()}-{platform.machine()}"


def own_environment(home: Path) -> Path | None:
    """Makes or repairs the person's environment and returns its folder; None, with a line on stderr, if the environment
    can't be written."""
    folder = own_folder(home)
    try:
        for name, text, mode in _files(folder):
            _make(folder / name, text, mode)
        _link(folder / "bin" / "python", Path(_base_python()))
        for alias in ("python3", f"python{_version()}"):
            _link(folder / "bin" / alias, Path("python"))
    except OSError as error:
        print(
            f"{error.filename or folder}: {error.strerror}. `pip install` does not work in this session.",
            file=sys.stderr,
        )
        return None
    return folder


def enter(home: Path) -> None:
    """Sets this process's environment variables, so that `python` and `pip` are the person's own and Jupyter starts
    kernels with them."""
    os.environ["SCNET_SITE_PACKAGES"] = sysconfig.get_path("purelib")
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    if own := own_environment(home):
        folders.insert(0, str(own / "bin"))
        os.environ["JUPYTER_PATH"] = os.pathsep.join(
            filter(None, [str(own / "share" / "jupyter"), os.environ.get("JUPYTER_PATH")])
        )
    os.environ["PATH"] = os.pathsep.join(folders)


def python(home: Path) -> str:
    """Returns the program that "python" means in a person's command."""
    own = own_folder(home) / "bin" / "python"
    return str(own) if os.access(own, os.X_OK) else sys.executable


def _files(folder: Path) -> Iterator[tuple[Path, str, int]]:
    """Yields (name, text, mode) of each file of the environment."""
    inside = Path("lib") / f"python{_version()}" / "site-packages"
    yield inside / "scnet.pth", PATH_FILE.format(fallback=sysconfig.get_path("purelib")), 0o644
    home = Path(_base_python()).parent
    yield (
        Path("pyvenv.cfg"),
        f"home = {home}\ninclude-system-site-packages = false\nversion = {platform.python_version()}\n",
        0o644,
    )
    for name in ("pip", "pip3"):
        yield Path("bin") / name, PIP, 0o755
    if kernel := _kernel(folder / "bin" / "python"):
        yield KERNEL / "kernel.json", kernel, 0o644


def _kernel(python: Path) -> str:
    """Returns the session environment's kernel specification, changed to start that Python; "" if there is none."""
    try:
        spec = json.loads((Path(sys.prefix) / KERNEL / "kernel.json").read_text())
    except (OSError, ValueError):
        return ""
    spec["argv"] = [str(python), *spec["argv"][1:]]
    return json.dumps(spec, indent=1) + "\n"


def _make(path: Path, text: str, mode: int) -> None:
    """Writes the file unless it has this text already; in one step, because other sessions of the person may do the
    same now."""
    try:
        if path.read_text() == text:
            return
    except (OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        os.fchmod(handle, mode)
        file.write(text)
    os.replace(part, path)


def _link(path: Path, target: Path) -> None:
    if path.is_symlink() and Path(os.readlink(path)) == target:
        return
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    part.symlink_to(target)
    os.replace(part, path)


def _base_python() -> str:
    """Returns the interpreter that the session's environment was made from."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def _version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"
