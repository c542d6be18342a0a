"""Tests the options of a start, by form, by JupyterHub's REST and in a link: each is honoured, or refused with a
sentence before anything starts."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.adapters.secret_files import read_secret
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.domain.sessions import records
from scnet_hub.errors import BadOption
from scnet_hub.hub import user_options

from .together import Together

PROFILES = """
[[profile]]
id = "two"
title = "Two cores"
cores = 2
walltime = "30m"
"""
TWO = {"id": "two", "cores": 2, "memory": 0, "gpus": 0, "walltime_s": 1800.0}
REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"argv": ["id"]}, "argv: a Lab session runs "
    "JupyterLab"), ({"env": {"A": "b"}}, "env: a Lab session"), ({"files": {}}, "files: a Lab"),
    ({"kind": "batch"}, "kind: "), ({"name": "other"}, "must be this server"), ({"profile": "gpu"}, "no profile 'gpu'"),
    ({"profile": 5}, "profile: must be text"), ({"profile": "two\n"}, "profile: "), ({"cores": "1\n"}, "cores: "),
    ({"cores": "1_0"}, "cores: "),
    ({"cores": "\u0661"}, "cores: "), ({"cores": True}, "cores: "), ({"walltime": "1h\n"}, "walltime: "),
    ({"memory": "4G\n"}, "memory: "), ({"memory": "\n4G"}, "memory: "),
    ({"exec_prefix": "id"}, "Unknown option 'exec_prefix'"), ({"cores": 10**400}, "cores: "),
    ({"walltime": float("nan")}, "walltime: "), ({"cores": 1e400}, "cores: "),
)  # fmt: skip


async def listed() -> list[dict[str, Any]]:
    return [TWO]


@pytest.mark.parametrize(("wanted", "words"), REFUSED, ids=lambda one: ascii(one)[:30])
async def test_what_can_not_be_honoured_is_refused_by_name(wanted: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOption) as refused:
        await user_options.resolved(user_options.checked(wanted, "ada", ""), listed)
    assert words in str(refused.value)


async def test_a_profile_fills_in_what_is_not_said() -> None:
    wanted = {"profile": "two", "cores": 3, "kind": "lab", "name": "x", "nodes": 1, "app": "r"}
    found = await user_options.resolved(user_options.checked(wanted, "ada", "x"), listed)
    assert found == {"cores": 3, "memory": "", "gpus": 0, "walltime": 1800.0, "nodes": 1, "app": "r"}
    assert await user_options.resolved(user_options.checked({}, "ada", ""), listed) == {}


def test_a_link_fills_in_the_fields_of_the_form_alone() -> None:
    query = {"cores": ["2"], "_xsrf": ["t"], "argv": ["id"], "memory": [""], "centre": ["x" * 500]}
    assert user_options.linked(query) == {"profile": "own", "cores": "2", "centre": "x" * 200}
    assert user_options.linked({"profile": ["two"]}) == {"profile": "two"}


# ---- on a hub


@pytest.fixture(scope="module")
def together() -> Iterator[Together]:
    made = Together(Path(tempfile.mkdtemp(prefix="sc-")), PROFILES, "c.JupyterHub.allow_named_servers = True\n")
    made.start()
    yield made
    made.stop()
    shutil.rmtree(made.home, ignore_errors=True)


def ask(client: httpx.Client, method: str, path: str, body: object = None) -> httpx.Response:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return client.request(
        method, f"api/users/ada/{path}", content=content, headers={"X-XSRFToken": client.cookies["_xsrf"]}
    )


def live(together: Together) -> list[records.SessionCopy]:
    return together.db.run_here(session_rows.live, person="ada")


def test_rest_refuses_before_anything_begins(together: Together) -> None:
    with closing(together.log_in("ada")) as ada:
        sent: list[tuple[object, str]] = [(wanted, words) for wanted, words in REFUSED if wanted != {"name": "other"}]
        sent += [({"user_options": wanted}, words) for wanted, words in REFUSED[:6]]
        sent += [
            ({"user_options": {}, "profile": "gpu"}, "Unknown field 'profile'"),
            ({"display_name": "x", "cores": 2}, "Unknown field 'cores'"),
        ]
        sent += [
            ('{"cores": 2}'.encode("utf-16"), "UTF-8"),
            (b'{"cores": "\xff"}', "UTF-8"),
            ([1], "must be a JSON object"),
        ]
        for body, words in sent:
            answer = ask(ada, "POST", "server", body)
            assert answer.status_code == 400 and words in answer.json()["message"], (body, answer.text)
        for method, wanted in (("PATCH", {"env": {}}), ("PATCH", {"cores": "1\n"})):
            answer = ask(ada, method, "server", {"user_options": wanted})
            assert answer.status_code == 400 and next(iter(wanted)) in answer.json()["message"], answer.text
    assert live(together) == []


LONG, NUL, TURNED = "z" * 300, "a\x00b", "a\u202eb"


@pytest.mark.parametrize(
    ("method", "body", "words"),
    [
        ("PATCH", {"foo": 1}, "Unknown field 'foo'"), ("PATCH", {"name": 5}, "name: must be text"),
        ("PATCH", "x", "must be a JSON object"), ("PATCH", [1], "must be a JSON object"),
        ("PATCH", {}, "at least one field"), ("PATCH", {"user_options": []}, "user_options"),
        ("DELETE", [1], "must be a JSON object"), ("DELETE", 7, "must be a JSON object"),
        ("PUT", [1], "must be a JSON object"),
        *((one, {"display_name": name}, "display_name: ") for one in ("PATCH", "POST", "PUT") for name in (LONG, NUL,
        TURNED, "a\nb", 5)),
    ],
)  # fmt: skip
def test_rest_refuses_what_jupyterhub_would_break_at_or_keep(
    together: Together, method: str, body: object, words: str
) -> None:
    with closing(together.log_in("ada")) as ada:
        ask(ada, "PUT", "servers/kept", {"display_name": "Kept"})
        answer = ask(ada, method, "servers/new" if method == "PUT" else "servers/kept", body)
        assert answer.status_code == 400 and words in answer.json()["message"], (body, answer.text)
        assert ask(ada, "GET", "servers/new").status_code == 404
        assert ask(ada, "GET", "servers/kept").json()["display_name"] == "Kept"


def test_a_start_whose_fields_are_no_text_is_refused(together: Together) -> None:
    with closing(together.log_in("ada")) as ada:
        for answer in (
            ada.get("spawn?cores=%FF"),
            ada.post("spawn?x=%FE", data={"_xsrf": ada.cookies["_xsrf"]}),
            ada.post("spawn", content=b"cores=%FF&_xsrf=" + ada.cookies["_xsrf"].encode(), headers=FORM),
        ):
            assert answer.status_code == 400 and "not UTF-8 text" in answer.text


FORM = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}


def test_a_link_never_starts_a_session(together: Together) -> None:
    with closing(together.log_in("ada")) as ada:
        for headers in (
            {},
            {"Sec-Fetch-Site": "none"},
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            for query in ("opt-profile=two", "profile=own&cores=3&centre=delta", "opt-cores=3", "_xsrf=x"):
                page = ada.get(f"spawn?{query}", headers=headers)
                assert page.status_code == 200 and "/hub/spawn?" in str(page.url) and 'name="cores"' in page.text, (
                    headers,
                    query,
                )
        assert 'value="3"' in ada.get("spawn?cores=3").text
        assert ada.post("spawn", data={"profile": "two"}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert live(together) == []


def test_rest_honours_a_profile(together: Together) -> None:
    """No centre answers here, so the start is refused; the decision says what was asked for."""
    with closing(together.log_in("ada")) as ada:
        answer = ask(ada, "POST", "server", {"profile": "two", "centre": "delta"})
        assert answer.status_code == 202, answer.text
    headers = {
        "Authorization": f"token {read_secret(together.home / 'secrets' / 'hub.token')}",
        "X-SCNet-Operator": "yes",
    }
    with httpx.Client(
        base_url=f"http://127.0.0.1:{together.ports['broker']}{PREFIX}/", headers=headers, trust_env=False
    ) as broker:
        together.until(lambda: broker.get("decisions").json()["decisions"])
        (decision,) = broker.get("decisions").json()["decisions"]
        asked = broker.get(f"decisions/{decision['id']}").json()["request"]
    assert (asked["cores"], asked["walltime_s"], asked["centre"]) == (2, 1800.0, "delta")
