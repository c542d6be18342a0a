"""`scnet centres deploy`: installs the session environment where the centre's page says, and puts it into use only
after a session ran in it.

The environment is built here, sent in parts (an interrupted transfer resumes where it ended), unpacked beside its name,
and tried by a job that starts a real Lab; then the link is switched to it in one step. Safe to repeat: finished steps
are not repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath

from ..domain.jobs import JobSpec, JobState
from ..domain.standard.centre import CentreSpec
from ..errors import CentreError, Garbled, Unreachable
from ..units import format_memory
from . import answers, environment
from .environment import Python, Recipe
from .environment_hops import pythons
from .findings import Problem
from .visit import Json, Visit, last_line, said, visiting

Say = Callable[[str], None]
# Appends standard input to a file of the given length, and prints the new length. One line: a login shell may be csh.
APPEND = (
    'umask 077; [ -e "$2" ] || : >"$2"; if [ "$(wc -c <"$2")" -eq "$3" ]; then cat >>"$2" || exit 1; fi; '
    'printf "\\n%s size %s\\n" "$1" "$(wc -c <"$2")"'
)
PART = 8 * 2**20  # bytes: one command for each part, so that each part has a timeout of its own
TRIES = 5  # tries to send a part over a bad line
NEEDED = 2 * 2**30  # bytes: the archive, the environment, and the environment before it
UNPACKING = 1800.0  # seconds: 25,000 files on a slow parallel file system
TRIAL = timedelta(minutes=10)
TRIAL_MEMORY = 2 * 2**30
PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the environment goes: `link` is the name on the page, `target` the folder of this exact environment beside
    the link."""

    link: PurePosixPath
    target: PurePosixPath


async def deploy(
    spec: CentreSpec,
    home: Path,
    say: Say,
    *,
    account: str = "",
    named: str = "",
    dry: bool = False,
    patience: float = 600,
) -> Json:
    """Deploys the environment. Raises ScnetError if that fails; the old environment is untouched until the new
    environment has been tried."""
    began = time.monotonic()
    async with visiting(home, spec, account=account, patience=patience) as visit:
        link = link_of(spec)
        room = await _room(visit, link)
        python = environment.choose(await pythons(visit, named=named), environment.pythons_here(), visit.contact)
        wanted = environment.recipe(python)
        place = Place(link, link.with_name(f"{link.name}-{wanted.key}"))
        document = {
            "centre": spec.id,
            "environment": wanted.key,
            "python": python.path,
            "path": str(place.target),
            "link": str(link),
        }
        say(
            f"Python {'.'.join(map(str, python.version))} of the centre ({python.path}), {wanted.platform}: "
            f"environment {wanted.key}"
        )
        if room.get("leads_to") == place.target.name and not dry:
            say(f"{link} points to it already: only trying it again")
        if dry:
            return {**document, "done": False}
        size = await _put(visit, home, wanted, python, place, say)
        tried = await try_out(visit, place, say)
        await _switch(visit, place)
        say(f"{link} points to {place.target.name} now")
        return {**document, "done": True, "size": size, "tried": tried, "seconds": round(time.monotonic() - began, 1)}


def link_of(spec: CentreSpec) -> PurePosixPath:
    """Returns the link of the environment that `session.python` names. Raises Problem if our environment can't have
    that path."""
    python = PurePosixPath(spec.session.python)
    if not python.is_absolute() or python.parts[-2:-1] != ("bin",) or python.name != "python" or len(python.parts) < 5:
        raise Problem(
            f"session.python is {python}", hint="To deploy there, the path must be like /opt/scnet/session/bin/python."
        )
    return python.parents[1]


async def _room(visit: Visit, link: PurePosixPath) -> Json:
    """Returns the state of the place. Raises Problem with the one command for the centre's admin."""
    facts = await visit.facts_of("room.sh", str(link.parent), link.name)
    me = facts.get("me") or visit.resident
    if "there" not in facts or "writable" not in facts:
        raise Problem(
            f"{me} can't write in {link.parent}" if "there" in facts else f"{link.parent} does not exist",
            hint=f"On a file system that login node and nodes share, its admin runs: sudo install -d -o {me} "
            f"{link.parent}",
        )
    if "in_the_way" in facts:
        raise Problem(
            f"{link} exists, and was not made by SCNet Hub",
            hint="Move it away, or give another path in session.python.",
        )
    blocks = answers.whole_number(facts.get("free", ""))
    free = NEEDED if blocks is None else blocks * 1024
    if free < NEEDED:
        raise Problem(
            f"{link.parent}: {format_memory(free)} free there",
            hint="2 GiB are needed: free some space, or remove old environments.",
        )
    return facts


async def _put(visit: Visit, home: Path, wanted: Recipe, python: Python, place: Place, say: Say) -> int:
    """Installs the environment at `place.target`; returns the bytes that were sent."""
    facts = await visit.facts_of("kin.sh", str(place.link), wanted.key, wanted.packages)
    if facts.get("same") == str(place.target):
        say(f"{place.target} exists already")
        return 0
    kin, packages = facts.get("kin", ""), ("", "")
    folder, sent = home / "environments", 0
    if not kin:
        packed = await asyncio.to_thread(environment.packages, wanted, folder, say)
        packages = await send(visit, packed, str(place.link.with_name(packed.name)), say)
        sent += packed.stat().st_size
    own = await asyncio.to_thread(environment.ours, wanted, folder, say)
    ours = await send(visit, own, str(place.link.with_name(own.name)), say)
    say(f"unpacking it there{f', with the packages of {PurePosixPath(kin).name}' if kin else ''}")
    version = ".".join(map(str, python.version))
    facts = await visit.facts_of(
        "install.sh", str(place.target), python.path, version, *ours, kin, *packages, timeout=UNPACKING
    )
    if "done" not in facts:
        raise Problem(
            "the files that arrived differ from the files that were sent", hint="Try again: the files are sent again."
        )
    return sent + own.stat().st_size


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def send(visit: Visit, file: Path, path: str, say: Say) -> tuple[str, str]:
    """Sends the file to `path` at the centre; returns the path and the file's SHA256. Parts that an earlier try sent
    are not sent again."""
    total, began = file.stat().st_size, time.monotonic()
    sent = await _append(visit, path, 0, b"")
    if sent > total:
        await visit.ask("rm", "-f", "--", path)
        sent = 0
    first, told = sent, 0
    with file.open("rb") as source:
        while sent < total:
            source.seek(sent)
            sent = await _append(visit, path, sent, source.read(PART))
            if (tenths := sent * 10 // total) > told:
                told = tenths
                say(
                    f"sent {sent / 1e6:.0f} of {total / 1e6:.0f} MB "
                    f"({(sent - first) / 1e6 / (time.monotonic() - began):.0f} MB/s)"
                )
    return path, await asyncio.to_thread(_digest, file)


async def _append(visit: Visit, path: str, size: int, data: bytes) -> int:
    """Returns the length of the file afterwards, whether this part arrived or not."""
    for attempt in range(TRIES):
        try:
            done = await visit.ask("sh", "-c", APPEND, "sh", visit.word, path, str(size), stdin=data, timeout=300)
        except Unreachable:
            if attempt == TRIES - 1:
                raise
            await asyncio.sleep(PAUSE * 2**attempt)
            continue
        there = answers.whole_number(said(done.stdout, visit.word).get("size", ""))
        if done.code or there is None:
            raise Problem(
                f"{path} can't be written: {last_line(done.stderr) or f'exit code {done.code}'}",
                hint="Is its file system full?",
            )
        return there
    raise AssertionError("unreachable")


async def try_out(visit: Visit, place: Place, say: Say) -> Json:
    """Runs a job under the person's account that starts a JupyterLab in that environment, on a node. Returns its
    report. Raises Problem with the job's message."""
    if visit.spec.identity.mode != "shared" and not visit.account:
        raise Problem("the page lists no account of a person to try it with", hint="Give an account with --account.")
    say("trying it: a job starts a JupyterLab in it")
    await visit.transport.put(f"{visit.folder}/.here", b"", account=visit.account)
    visit.left_files = True
    argv = (f"{place.target}/bin/python", "-P", "-m", "scnet_hub.node.trial", visit.folder, visit.word)
    job = JobSpec(
        name=visit.word,
        partition=visit.spec.partition[0].name,
        argv=argv,
        memory=TRIAL_MEMORY,
        walltime=TRIAL,
        output=f"{visit.folder}/log",
        directory=visit.folder,
    )
    visit.job_id = await visit.centre.submit(job, account=visit.account)
    await _until_ended(visit)
    text = await _output(visit)
    try:
        found = answers.trial(said_last(text, visit.word))
    except Garbled as error:
        raise Problem(
            f"the trial job gave no report: {last_line(text)[:200]!r}",
            hint="Do the nodes see that folder and that Python?",
        ) from error
    if found["error"]:
        raise Problem(
            f"a JupyterLab in it does not work on {found['node']}: {found['error']}",
            hint="The old environment is still in use.",
        )
    visit.job_let_go = True
    say(
        f"on {found['node']}: JupyterLab listened after {found['listened']} s, a kernel had computed after "
        f"{found['kernel']} s"
    )
    return found


async def _until_ended(visit: Visit) -> None:
    deadline = time.monotonic() + visit.patience
    while not (status := (await visit.centre.statuses([visit.job_id]))[visit.job_id]).state.ended:
        if status.state is JobState.RUNNING:
            deadline = max(deadline, time.monotonic() + 1)
        if status.hopeless or time.monotonic() > deadline:
            raise Problem(
                f"the trial job did not start: {status.reason or status.state.value}",
                hint="--patience 1h waits longer.",
            )
        await asyncio.sleep(PAUSE)


async def _output(visit: Visit) -> str:
    """Returns the job's output, as soon as the login node sees it."""
    for _ in range(20):
        text = await visit.transport.tail(f"{visit.folder}/log", account=visit.account)
        if said_last(text, visit.word):
            break
        await asyncio.sleep(PAUSE)
    return text


def said_last(text: str, word: str) -> str:
    return next(
        (line.removeprefix(f"{word} ") for line in reversed(text.splitlines()) if line.startswith(f"{word} ")), ""
    )


async def _switch(visit: Visit, place: Place) -> None:
    """Switches the link to the environment. An old environment is removed when no session can use it."""
    longest = max(offered.max_walltime for offered in visit.spec.partition)
    facts = await visit.facts_of(
        "switch.sh", str(place.link), str(place.target), str(int(longest.total_seconds() // 60) + 60), timeout=600
    )
    if "done" not in facts:
        raise CentreError(f"{place.link} could not be switched to {place.target}.")
