"""The session environment for a centre: the packages of the lock that fit the centre's Python and system, built and
packed here.

Two archives: the packages, which change only with the lock, and our own small package. The environment is relocatable
and holds no Python: the centre's Python is linked in when the environment is unpacked there (`scripts/install.sh`).
Archives are kept in `environments/` of the state folder, under a name derived from all inputs.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..errors import ScnetError
from .findings import Problem

Say = Callable[[str], None]
Version = tuple[int, int]
OLDEST = (3, 11)
EXTRAS = ("notebook", "session", "science")
GLIBC = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)  # minors for which uv chooses wheels
PROCESSORS = ("x86_64", "aarch64")
# Files that a session never opens: tests, source maps for browsers' debuggers, headers, pages that only a hub serves.
NEVER_OPENED = (
    "**/tests",
    "**/*.map",
    "lib/*/site-packages/pyarrow/include",
    "lib/*/site-packages/jupyterlab/galata",
    "share/jupyterhub/static",
)
KEPT = 6  # archives of each kind
UV = str(Path(sys.executable).with_name("uv"))
SOME_DAY = 1_577_836_800  # the date of all files: tar warns about 1970
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """An interpreter at a centre: `libc` is glibc's version, (0, 0) for another C library."""

    version: tuple[int, int]
    machine: str
    libc: tuple[int, int]
    path: str

    @classmethod
    def read(cls, words: str) -> Python | None:
        """Reads one line of `scripts/pythons.sh`; None if the interpreter did not run."""
        match = re.fullmatch(
            r"(\d{1,3}) (\d{1,3}) (\S+) (?:(\d{1,4})\.(\d{1,4})\S*|\S+) (\S.*)", words.strip(), re.ASCII
        )
        if not match:
            return None
        major, minor, machine, libc_major, libc_minor, path = match.groups()
        return cls(
            version=(int(major), int(minor)),
            machine=machine,
            libc=(int(libc_major or 0), int(libc_minor or 0)),
            path=path,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All inputs of an environment. `platform` is in uv's notation; `lock` holds pins and hashes; `sources` is a hash
    of our sources; `path` is the path of the centre's Python."""

    python: Version
    platform: str
    lock: str
    sources: str
    path: str

    @property
    def packages(self) -> str:
        """Returns twelve letters that change with any change of the packages."""
        return _key(self.python, self.platform, self.lock, NEVER_OPENED)

    @property
    def key(self) -> str:
        """Returns twelve letters that change with any change of the whole environment."""
        return _key(self.packages, self.sources, self.path)


def _key(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


# ---- decisions


def choose(there: Sequence[Python], here: Mapping[Version, str], contact: str) -> Python:
    """Returns the newest Python of the centre that this machine has in the same version. Raises Problem if there is
    none."""
    for python in there:
        if python.version >= OLDEST and python.version in here:
            return python
    has = ", ".join(_dotted(python.version) for python in there) or "none"
    able = [python for python in there if python.version >= OLDEST]
    if not able:
        raise Problem(
            f"a session needs Python 3.11 or newer; the login node has {has}",
            hint=f"Ask {contact} to install one, on the nodes too; then give it with --python if it is not on the "
            "PATH.",
        )
    raise Problem(
        f"the centre has Python {has}, this machine {', '.join(map(_dotted, sorted(here)))}: an environment "
        "needs the same version on both",
        hint=f"Install Python {_dotted(able[0].version)} on this machine, or have {_dotted(max(here))} installed at "
        "the centre.",
    )


def platform(python: Python) -> str:
    """Returns uv's name of the centre's system, so that the chosen packages run with its C library. Raises Problem."""
    if python.machine not in PROCESSORS:
        raise Problem(
            f"{python.machine} processors are not supported",
            hint=f"Packages are available for {' and '.join(PROCESSORS)}.",
        )
    fit = [minor for minor in GLIBC if (2, minor) <= python.libc]
    if not fit:
        libc = f"glibc {_dotted(python.libc)}" if any(python.libc) else "a C library that is not glibc"
        raise Problem(f"the centre has {libc}", hint="Ready-made packages need glibc 2.17 or newer.")
    return f"{python.machine}-manylinux_2_{fit[-1]}"


def subset(lock: str, project: str, extras: Sequence[str] = EXTRAS) -> str:
    """Returns the pins and hashes of requirements.lock that the project and its `extras` need. Raises Problem."""
    entries = _entries(lock)
    wanted = set(_roots(project, extras))
    if unknown := wanted - set(entries):
        raise Problem(
            f"requirements.lock does not pin {', '.join(sorted(unknown))}",
            hint="Run `make lock` to pin pyproject.toml again.",
        )
    while True:
        more = {name for name, texts in entries.items() if name not in wanted and _parents(texts) & wanted}
        if not more:
            return re.sub(
                r"^    #.*\n",
                "",
                "".join(text for name in sorted(wanted) for text in entries[name]),
                flags=re.MULTILINE,
            )
        wanted |= more


def _entries(lock: str) -> dict[str, list[str]]:
    """Returns by package its pins (several if they depend on the Python), hashes and reasons."""
    entries: dict[str, list[str]] = {}
    for text in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE):
        if match := re.match(r"([a-z0-9._-]+)==", text):
            entries.setdefault(match[1], []).append(text)
    return entries


def _roots(project: str, extras: Sequence[str]) -> Iterator[str]:
    facts = tomllib.loads(project)["project"]
    for need in [*facts["dependencies"], *(need for extra in extras for need in facts["optional-dependencies"][extra])]:
        yield re.sub(r"[._-]+", "-", re.split(r"[^A-Za-z0-9._-]", need)[0]).lower()


def _parents(texts: Sequence[str]) -> set[str]:
    """Returns the packages that need this package, from the comments after "via"."""
    return {name for text in texts for name in re.findall(r"^    #(?: via)?\s+([a-z0-9._-]+)", text, re.MULTILINE)} - {
        "scnet-hub",
        "via",
    }


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


# ---- what this machine has


def pythons_here() -> dict[Version, str]:
    """Returns the Pythons of this machine that can build an environment."""
    found = {(3, minor): path for minor in range(OLDEST[1], 17) if (path := shutil.which(f"python3.{minor}"))}
    return {(sys.version_info[0], sys.version_info[1]): sys.executable, **found} | {
        sys.version_info[:2]: sys.executable
    }


def recipe(python: Python, root: Path = ROOT) -> Recipe:
    """Returns the recipe for that Python from the current sources. Raises Problem if `root` is not a checkout."""
    lock = root / "requirements.lock"
    if not lock.exists():
        raise Problem(
            f"{root} is not a checkout of SCNet Hub: requirements.lock is missing",
            hint="Run this from a checkout, after `make setup`.",
        )
    return Recipe(
        python=python.version,
        path=python.path,
        platform=platform(python),
        lock=subset(lock.read_text(), (root / "pyproject.toml").read_text()),
        sources=sources(root),
    )


def sources(root: Path = ROOT) -> str:
    """Returns a hash of the files of our package that a session may read; "" if `root` is not a checkout."""
    project = root / "pyproject.toml"
    if not project.exists():
        return ""
    folders = tomllib.loads(project.read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    seen = hashlib.sha256()
    for path in sorted(path for folder in folders for path in (root / folder).rglob("*") if path.is_file()):
        if "__pycache__" not in path.parts:
            seen.update(f"{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return seen.hexdigest()


# ---- building


def packages(wanted: Recipe, folder: Path, say: Say) -> Path:
    """Returns the archive of the packages in `folder`; builds it if it is missing. Raises ScnetError with the end of a
    tool's output."""

    def fill(place: Path) -> list[Path]:
        share = place / "share" / "scnet"
        share.mkdir(parents=True)
        (share / "requirements.lock").write_text(wanted.lock)
        say("installing the packages of requirements.lock")
        pinned = ("--python-platform", wanted.platform, "--require-hashes", "-r", str(share / "requirements.lock"))
        run(*_installing(place), *pinned)
        for pattern in NEVER_OPENED:
            for path in list(place.glob(pattern)):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        say("compiling and packing them")
        return [path for path in place.iterdir() if path.is_dir()]

    return _archived(folder / f"packages-{wanted.packages}.tar.gz", wanted, fill, say)


def ours(wanted: Recipe, folder: Path, say: Say, root: Path = ROOT) -> Path:
    """Returns the archive of scnet_hub itself, its command, and the note that describes the environment."""

    def fill(place: Path) -> list[Path]:
        wheels = place / "wheels"
        run(
            UV,
            "build",
            "-q",
            "--wheel",
            "--no-build-isolation",
            "--python",
            sys.executable,
            "--out-dir",
            str(wheels),
            str(root),
        )
        run(*_installing(place), str(next(wheels.glob("*.whl"))))
        note = place / "share" / "scnet" / "environment.json"
        note.parent.mkdir(parents=True)
        note.write_text(
            json.dumps(
                {"key": wanted.key, "packages": wanted.packages, "sources": wanted.sources, "scnet_hub": __version__}
            )
        )
        return [*place.glob("lib/python3.*/site-packages/scnet_hub*"), place / "bin" / "scnet", note]

    return _archived(folder / f"scnet-hub-{wanted.key}.tar.gz", wanted, fill, say)


def _archived(path: Path, wanted: Recipe, fill: Callable[[Path], list[Path]], say: Say) -> Path:
    """Makes a fresh environment of this machine's Python, fills and byte-compiles it, and packs the paths that `fill`
    returns as `path`."""
    if path.exists():
        path.touch()
        return path
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        run(UV, "venv", "-q", "--relocatable", "--no-project", "--python", pythons_here()[wanted.python], str(place))
        chosen = fill(place)
        # by hash, not by time: an archive keeps only whole seconds. Some packages hold files for other Pythons: those
        # stay as they are.
        compiling = ("-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", str(place / "lib"))
        run(str(place / "bin" / "python"), *compiling, may_fail=True)
        pack(place, chosen, path)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    _keep_newest(path.parent, path.name.rpartition("-")[0])
    say(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    return path


def _installing(place: Path) -> tuple[str, ...]:
    return (UV, "pip", "install", "-q", "--python", str(place / "bin" / "python"), "--no-deps", "--link-mode", "copy")


def _keep_newest(folder: Path, name: str) -> None:
    """Removes old archives. Centres differ in Python and system, so a few archives of each kind are in use."""
    for old in sorted(folder.glob(f"{name}-*.tar.gz"), key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
        old.unlink(missing_ok=True)


def pack(place: Path, chosen: Sequence[Path], path: Path) -> None:
    """Packs the files without owners and times, so that the same environment gives the same archive; readable by all
    users, as at the centre."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    files = {one for top in chosen for one in (top, *(top.rglob("*") if top.is_dir() and not top.is_symlink() else ()))}
    with (
        new.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=4, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for one in sorted(files):
            tar.add(one, str(one.relative_to(place)), recursive=False, filter=_anonymous)
    os.replace(new, path)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid, entry.gid, entry.mtime = 0, 0, SOME_DAY
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


def run(*argv: str, may_fail: bool = False) -> None:
    """Runs a command. Raises ScnetError with the end of its output."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX")
    env = {name: value for name, value in os.environ.items() if name not in dropped}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode and not may_fail:
        words = " ".join((done.stderr or done.stdout).split())[-400:]
        raise ScnetError(
            f"{Path(argv[0]).name} {argv[1]} failed: {words}",
            hint="Check that this machine reaches a package index, or has the packages in uv's cache.",
        )
