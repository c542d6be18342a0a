"""Tests who is who at which centre: lists, proofs by a word left at the centre, history, and misuse of both."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scnet_hub.adapters.db.database import Database
from scnet_hub.adapters.db.queries import accounts as account_rows
from scnet_hub.domain import identifiers
from scnet_hub.domain.standard.centre import CentreSpec, parse_centre
from scnet_hub.errors import BadOption, Denied, NotFound, Refused, TooMany
from scnet_hub.services.projects import account_links

AT = datetime(2026, 11, 23, 4, tzinfo=UTC)


def page(listed: str = "", mode: str = "certificate") -> CentreSpec:
    text = f"""
        id = "b"
        name = "Beta"
        contact = "hpc@beta.example"
        [transport]
        kind = "ssh"
        hosts = ["b.example"]
        host_keys = ["ssh-ed25519 AAAA"]
        [identity]
        mode = "{mode}"
        accounts = {{ {listed} }}
        [session]
        python = "/p"
        directory = "/home/{{account}}/.scnet"
        [[partition]]
        name = "batch"
        cores = 4
    """
    return parse_centre(text, source="b.toml")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite'}")
    database.open()
    yield database
    database.close()


async def test_the_centres_list_makes_and_ends_links_and_history_stays(db: Database) -> None:
    await db.run(account_links.apply, [page('ada = "u1", grace = "u2"')], AT)
    assert await db.run(account_links.account_of, page(), "ada") == "u1"
    await db.run(account_links.apply, [page('ada = "u9"')], AT + timedelta(days=1))
    assert await db.run(account_links.account_of, page(), "ada") == "u9"
    assert await db.run(account_links.account_of, page(), "grace") == ""
    history = await db.run(account_rows.links, centre="b", ended=True)
    assert [(row.person, row.account, row.ended_at is None) for row in history] == [
        ("ada", "u1", False), ("grace", "u2", False), ("ada", "u9", True),
    ]  # fmt: skip
    await db.run(account_links.apply, [page('ada = "u9"')], AT + timedelta(days=2))
    assert len(await db.run(account_rows.links, centre="b", ended=True)) == 3


async def test_a_list_may_swap_two_accounts(db: Database) -> None:
    await db.run(account_links.apply, [page('ada = "u1", grace = "u2"')], AT)
    await db.run(account_links.apply, [page('ada = "u2", grace = "u1"')], AT)
    assert [await db.run(account_links.account_of, page(), person) for person in ("ada", "grace")] == ["u2", "u1"]


async def test_a_person_proves_an_account_by_the_word_they_left_there(db: Database) -> None:
    word = await db.run(account_links.ask, page(), "ada", "u1", AT)
    proof = await db.run(account_links.asked, page(), "ada", AT)
    assert word not in repr(proof)
    for found in ("", "something else", word[:-1]):
        with pytest.raises(Refused, match="does not hold the word"):
            await db.run(account_links.prove, page(), proof, found, AT)
    row = await db.run(account_links.prove, page(), proof, f"{word}\n", AT)
    assert (row.person, row.account, row.how) == ("ada", "u1", "proof")
    with pytest.raises(NotFound):  # a word counts once
        await db.run(account_links.asked, page(), "ada", AT)
    await db.run(account_links.apply, [page()], AT)
    assert await db.run(account_links.account_of, page(), "ada") == "u1"


class Closed:
    """A centre that lets no account in."""

    def __init__(self) -> None:
        self.spec, self.tried = page(), list[str]()

    async def tail(self, path: str, *, account: str, size: int) -> str:
        self.tried.append(account)
        raise Denied(f"{account} is not let in")


async def test_a_person_tries_few_accounts_and_none_right_after_one_that_was_refused(db: Database) -> None:
    """A centre's sshd would shut the federation's address out."""
    now, centre = AT, Closed()
    linking = account_links.Linking(db, lambda name: centre, lambda: now)  # type: ignore[arg-type,return-value]
    await linking.ask("eve", "b", "u0")
    await linking.ask("ada", "b", "u1")
    with pytest.raises(Denied):
        await linking.prove("ada", "b")
    for person in ("ada", "eve"):
        with pytest.raises(TooMany, match="just refused a login") as said:
            await linking.prove(person, "b")
        assert said.value.details == {"retry_after_s": 10}
    assert centre.tried == ["u1"]
    now += account_links.CALM
    for number in range(2, account_links.MOST_PROOFS + 1):
        await linking.ask("ada", "b", f"u{number}")
    with pytest.raises(Denied):
        await linking.prove("ada", "b")
    with pytest.raises(TooMany, match="began 6 proofs within 30 minutes"):
        await linking.ask("ada", "b", "u9")
    assert centre.tried == ["u1", "u6"]
    now += account_links.PROOF_LIFE
    await linking.ask("ada", "b", "u9")


async def test_a_proof_grows_old(db: Database) -> None:
    await db.run(account_links.ask, page(), "ada", "u1", AT)
    with pytest.raises(NotFound, match="No proof"):
        await db.run(account_links.asked, page(), "ada", AT + account_links.PROOF_LIFE + timedelta(seconds=1))


@pytest.mark.parametrize("account", ["root", "scnet"])
async def test_accounts_of_nobody_can_not_be_linked(db: Database, account: str) -> None:
    with pytest.raises(BadOption, match="not a person's account"):
        await db.run(account_links.ask, page(), "ada", account, AT)


@pytest.mark.parametrize(
    "account", ["", "-oProxyCommand=x", "a b", "../ada", "Ada", "x" * 33, "a\nb", "ünï", "a;id", "$(id)"]
)
def test_what_can_not_be_a_login_is_refused_at_the_door(account: str) -> None:
    with pytest.raises(BadOption, match="is not a valid login"):
        identifiers.login(account)


async def test_one_account_belongs_to_one_person(db: Database) -> None:
    await db.run(account_links.apply, [page('grace = "u2"')], AT)
    with pytest.raises(Refused, match="linked to another person"):
        await db.run(account_links.ask, page(), "ada", "u2", AT)


async def test_a_listed_account_is_the_centres_to_end_a_proven_one_the_persons(db: Database) -> None:
    await db.run(account_links.apply, [page('grace = "u2"')], AT)
    with pytest.raises(Refused, match="administrators of Beta"):
        await db.run(account_links.unlink, page(), "grace", AT)
    with pytest.raises(NotFound):
        await db.run(account_links.unlink, page(), "ada", AT)
    word = await db.run(account_links.ask, page(), "ada", "u1", AT)
    await db.run(account_links.prove, page(), await db.run(account_links.asked, page(), "ada", AT), word, AT)
    ended = await db.run(account_links.unlink, page(), "ada", AT)
    assert (ended.account, ended.ended_by, ended.ended_at) == ("u1", "ada", AT)
    assert await db.run(account_links.account_of, page(), "ada") == ""


async def test_who_has_no_account_is_told_so_and_a_shared_centre_needs_none(db: Database) -> None:
    assert await db.run(account_links.refusals, [page()], "ada") == {
        "b": "you have no account linked at Beta: see `scnet accounts`"
    }
    shared = page(mode="shared")
    assert await db.run(account_links.refusals, [shared], "Ada/x") == {}
    assert await db.run(account_links.account_of, shared, "Ada/x") == "=41da=2fx"
    with pytest.raises(Refused, match="nothing to link"):
        await db.run(account_links.ask, shared, "ada", "u1", AT)


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("10.1.2.3", True),
        ("10.2.0.1", False),
        ("127.0.0.1", False),
        ("a1", False),
        ("10.1.2.3:80", False),
        ("::1", False),
        ("", False),
    ],
)
def test_a_session_may_only_listen_in_its_centres_networks(host: str, inside: bool) -> None:
    assert identifiers.lies_in(host, ["10.1.0.0/16"]) is inside
