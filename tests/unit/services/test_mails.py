"""Tests mails: sent once, by a real SMTP server's rules, retried while the server is away, given up in the end, and
never with a header too many."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import mails as mail_rows
from scnet_hub.adapters.db.queries.mails import MailRow
from scnet_hub.domain.standard.federation import MailSpec, parse_federation
from scnet_hub.errors import SpecError
from scnet_hub.services.projects import allocation_mails, allocations, mailer, projects
from scnet_hub.services.projects.allocations import Wish
from scnet_hub.services.projects.mailer import Mailer
from scnet_hub.units import credits
from tests.builders.postgres import undone

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAY = timedelta(days=1)
HOSTILE = "Tides\r\nBcc: eve@example.org\n\nBuy \x1b[31mnow"


class Post:
    """What an SMTP server got; it refuses whom `refuses` names, with that answer."""

    def __init__(self) -> None:
        self.got: list[tuple[list[str], EmailMessage]] = []
        self.refuses: dict[str, str] = {}

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.got.append((list(envelope.rcpt_tos), message))
        return "250 OK"


@pytest.fixture
def post() -> Iterator[tuple[Post, int]]:
    taken, port = Post(), free_port()
    server = Controller(taken, hostname="127.0.0.1", port=port)
    server.start()
    yield taken, port
    server.stop()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Outbox:
    """An outbox with a clock of its own."""

    def __init__(self, db: Database, **spec: Any) -> None:
        self.db, self.now = db, NOW
        self.mails = Mailer(
            db,
            MailSpec(**{"host": "127.0.0.1", "domain": "example.org", "operators": ["ops@example.org"], **spec}),
            self.clock,
        )

    def clock(self) -> datetime:
        return self.now

    def write(
        self, key: str = "k", person: str = "ada", subject: str = "Tides", body: str = "They come.\n\nAnd go: 潮."
    ) -> bool:
        return self.db.run_here(mailer.write, key, person, subject, body, self.now)

    async def after(self, time: timedelta = timedelta()) -> list[MailRow]:
        self.now += time
        await self.mails.once()
        return self.db.run_here(mail_rows.newest)


async def test_what_was_written_goes_out_once_to_the_persons_address(
    database: Database, post: tuple[Post, int]
) -> None:
    outbox = Outbox(database, port=post[1])
    assert outbox.write() and not outbox.write(body="Something else.")
    assert outbox.write("o", mailer.OPERATORS) and outbox.write("b", "bob@elsewhere.org")
    rows = await outbox.after()
    assert await outbox.after(DAY) == rows and all(row.sent_at == NOW and not row.trouble for row in rows)
    assert sorted(to for to, _ in post[0].got) == [["ada@example.org"], ["bob@elsewhere.org"], ["ops@example.org"]]
    told = next(message for to, message in post[0].got if to == ["ada@example.org"])
    assert (told["Subject"], told.get_content().replace("\r\n", "\n")) == ("Tides", "They come.\n\nAnd go: 潮.\n")
    assert told["Auto-Submitted"] == "auto-generated" and told["Message-ID"].endswith("@localhost>")


def test_whom_a_mail_is_for_tells_it_from_others_however_long_its_key_is(database: Database) -> None:
    with undone(database) as tx:
        told = [
            mailer.write(tx, f"{'lot/' * 60}{person}", person, "Tides", "They come.", NOW)
            for person in ("ada", "bob", "ada")
        ]
        assert told == [True, True, False]
        assert all(len(row.key) == mailer.KEY for row in mail_rows.newest(tx))


async def test_a_mail_whose_news_is_taken_back_was_never_written(database: Database, post: tuple[Post, int]) -> None:
    outbox = Outbox(database, port=post[1])

    def fails(tx: Any) -> None:
        mailer.write(tx, "k", "ada", "Tides", "They come.", NOW)
        raise KeyError

    with pytest.raises(KeyError):
        database.run_here(fails)
    assert await outbox.after() == [] and not post[0].got


async def test_nobodys_words_become_a_header_or_steer_a_terminal(database: Database, post: tuple[Post, int]) -> None:
    outbox = Outbox(database, port=post[1])
    outbox.write(subject=HOSTILE, body=HOSTILE)
    await outbox.after()
    [(to, message)] = post[0].got
    assert to == ["ada@example.org"] and message["Bcc"] is None
    assert message["Subject"] == "Tides Bcc: eve@example.org Buy [31mnow" and "\x1b" not in message.get_content()


@pytest.mark.parametrize("person", ["a\r\nDATA", "ada, eve", "<eve@example.org>", "eve@example.org\nx: y", "潮", "a b"])
async def test_a_name_that_makes_no_address_gets_no_mail_and_is_not_tried_again(
    database: Database, post: tuple[Post, int], person: str
) -> None:
    outbox = Outbox(database, port=post[1])
    outbox.write(person=person)
    [row] = await outbox.after()
    assert not post[0].got and row.next_at is None and "no mail address" in row.trouble


async def test_while_the_server_is_away_it_is_tried_ever_more_seldom_and_given_up_after_three_days(
    database: Database,
) -> None:
    outbox = Outbox(database, port=free_port())
    outbox.write()
    [row] = await outbox.after()
    pauses = []
    while row.next_at:
        pauses.append(row.next_at - outbox.now)
        [row] = await outbox.after(pauses[-1])
    assert pauses[0] == timedelta(minutes=1) and max(pauses) == timedelta(hours=6) and pauses == sorted(pauses)
    assert row.sent_at is None and row.trouble and NOW + 2 * DAY < outbox.now <= NOW + 3 * DAY


async def test_when_the_server_is_back_what_waited_goes_out(database: Database, post: tuple[Post, int]) -> None:
    away = Outbox(database, port=free_port())
    away.write()
    await away.after()
    back = Outbox(database, port=post[1])
    [row] = await back.after(timedelta(minutes=1))
    assert row.sent_at and row.tries == 2 and len(post[0].got) == 1


@pytest.mark.parametrize(("answer", "again"), [("450 try later", True), ("550 nobody of that name", False)])
async def test_one_that_is_refused_holds_up_no_other(
    database: Database, post: tuple[Post, int], answer: str, again: bool
) -> None:
    outbox = Outbox(database, port=post[1])
    post[0].refuses["ada@example.org"] = answer
    outbox.write("a"), outbox.write("b", "bob")
    rows = {row.key: row for row in await outbox.after()}
    assert rows["b"].sent_at and not rows["a"].sent_at
    assert bool(rows["a"].next_at) is again and answer in rows["a"].trouble


async def test_without_a_host_nothing_waits(database: Database) -> None:
    outbox = Outbox(database, host="")
    outbox.write()
    [row] = await outbox.after()
    assert row.next_at is None and row.trouble == mailer.OFF
    assert await outbox.after(401 * DAY) == []


async def test_a_password_is_not_shown_to_a_server_without_tls(database: Database, tmp_path: Path) -> None:
    asked = []

    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        asked.append(mechanism)
        return AuthResult(success=True)

    secret, port = tmp_path / "password", free_port()
    secret.write_text("hush")
    secret.chmod(0o600)
    server = Controller(Post(), hostname="127.0.0.1", port=port, authenticator=check, auth_require_tls=False)
    server.start()
    try:
        outbox = Outbox(database, port=port, user="hub", password_file=str(secret))
        outbox.write()
        [row] = await outbox.after()
    finally:
        await asyncio.to_thread(server.stop)
    assert not asked and "no STARTTLS" in row.trouble and row.next_at


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A server's, with a certificate that nobody signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), NOW - 999 * DAY, NOW + 9999 * DAY
    )
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    plain = serialization.NoEncryption()
    pem += key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (tmp_path / "tls.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem")
    return context


@pytest.mark.parametrize("user", ["", "hub"])
async def test_it_goes_in_tls_where_that_is_offered_but_no_password_to_a_certificate_that_is_not_right(
    database: Database, tls: ssl.SSLContext, tmp_path: Path, user: str
) -> None:
    taken, port, secret = Post(), free_port(), tmp_path / "password"
    secret.write_text("hush")
    secret.chmod(0o600)
    server = Controller(taken, hostname="127.0.0.1", port=port, tls_context=tls, require_starttls=True)
    server.start()
    try:
        outbox = Outbox(database, port=port, user=user, password_file=str(secret) if user else "")
        outbox.write()
        [row] = await outbox.after()
    finally:
        await asyncio.to_thread(server.stop)
    assert bool(row.sent_at) == bool(taken.got) == (not user)
    assert not user or "certificate" in row.trouble.lower()


@pytest.mark.parametrize(
    "line", ['sender = "a b"', 'operators = ["x\\ny@z"]', 'domain = "a@b"', 'password_file = "here"']
)
def test_a_page_whose_mail_section_makes_no_sense_says_where(line: str) -> None:
    with pytest.raises(SpecError, match="mail"):
        parse_federation(f'centres = ["a"]\n[mail]\n{line}\n', source="x")


SEA = """
centres = ["a"]
[[project]]
id = "sea"
pi = "prof"
managers = ["tutor"]
members = ["ada", "tutor"]
grants = { first = { amount = 5, until = 2026-12-20T00:00:00+00:00 } }
"""


def told(tx: Tx) -> list[tuple[str, str]]:
    return sorted((row.person, row.subject) for row in mail_rows.newest(tx))


def test_the_operators_hear_of_a_request_and_who_asked_and_leads_of_the_answer(database: Database) -> None:
    with undone(database) as tx:
        projects.apply(tx, parse_federation(SEA, source="x").project, NOW)
        wish = Wish(
            project="sea", amount=credits(100), begins_at=NOW + DAY, ends_at=NOW + 300 * DAY, words="tides\nand waves"
        )
        allocations.ask(tx, "one", wish, "tutor", NOW, centres=["a"])
        [asked] = mail_rows.newest(tx)
        assert (asked.person, asked.subject) == (mailer.OPERATORS, "Project sea asks for 100.00 credits")
        assert "tides\nand waves" in asked.body and "scnet allocations approve one" in asked.body
        allocations.approve(tx, "one", "olga", "with pleasure", NOW, grantor="ministry", amount=credits(80))
        granted = "Project sea: 80.00 credits granted"
        assert told(tx)[1:] == [("prof", granted), ("tutor", granted)]
        allocations.renew(tx, NOW + DAY)
        allocations.renew(tx, NOW + DAY)
        assert told(tx)[1:3] == [("prof", "Project sea: 80.00 credits begin"), ("prof", granted)] and len(told(tx)) == 5
        allocations.ask(tx, "two", wish, "prof", NOW, centres=["a"])
        allocations.decline(tx, "two", "olga", "not twice", NOW)
        declined = next(row for row in mail_rows.newest(tx, person="tutor") if "declined" in row.subject)
        assert declined.body.endswith("not twice\n")


def test_who_leads_a_project_is_warned_30_7_and_1_days_before_its_credits_end(database: Database) -> None:
    with undone(database) as tx:
        projects.apply(tx, parse_federation(SEA, source="x").project, NOW)
        end = datetime(2026, 12, 20, tzinfo=UTC)
        new = [
            allocation_mails.endings(tx, end - before)
            for before in (31 * DAY, 30 * DAY, 29 * DAY, 7 * DAY, 6 * DAY, DAY, DAY / 2, -DAY)
        ]
        assert new == [0, 2, 0, 2, 0, 2, 0, 0]
        assert [row.subject for row in mail_rows.newest(tx, person="prof")] == [
            "Project sea: 5.00 credits end tomorrow", "Project sea: 5.00 credits end in 7 days", "Project sea: 5.00 "
            "credits end in 30 days",
        ]  # fmt: skip
        assert (
            not mail_rows.newest(tx, person="ada")
            and "credits not spent by then are lost" in mail_rows.newest(tx, person="tutor")[0].body
        )


def test_nobody_is_warned_of_credits_that_go_on(database: Database) -> None:
    with undone(database) as tx:
        projects.apply(tx, parse_federation(SEA.replace("grants", "# "), source="x").project, NOW)
        first = Wish(project="sea", amount=credits(9), begins_at=NOW, ends_at=NOW + 20 * DAY, words="")
        allocations.ask(tx, "one", first, "prof", NOW, centres=["a"])
        allocations.approve(tx, "one", "olga", "", NOW, grantor="ministry")
        further = replace(first, begins_at=NOW + 19 * DAY, ends_at=NOW + 90 * DAY, renews="one")
        allocations.ask(tx, "two", further, "prof", NOW, centres=["a"])
        allocations.approve(tx, "two", "olga", "", NOW, grantor="ministry")
        assert allocation_mails.endings(tx, NOW + DAY) == 0
