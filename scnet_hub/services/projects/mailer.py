"""Sends mails: each is written in the transaction of the event that it reports, and sent later. A key is sent once,
whatever runs twice.

An outbox: a mail that cannot be sent now is tried again for three days, with growing pauses, and then given up; without
a `[mail]` host it is given up at once. The modules that write mails decide their content and time; this one knows
addresses and one SMTP server.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import smtplib
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from ...adapters.db.database import Database, Tx
from ...adapters.db.queries import mails as mail_rows
from ...adapters.db.queries.mails import MailRow
from ...adapters.secret_files import read_secret
from ...domain.identifiers import forgotten
from ...domain.standard.federation import DOMAIN, MailSpec
from ...errors import ScnetError, plain
from ..periodic import run_every

log = logging.getLogger(__name__)
OPERATORS = ""  # in place of a person
EVERY = 15.0  # seconds from one look at the outbox to the next
BATCH = 50  # mails that are sent over one connection
KEY = 200  # characters of a key
TIMEOUT = 20.0  # seconds that the server may take for each answer
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=6)  # before the second try, and before any
GIVEN_UP = timedelta(days=3)  # an older mail says nothing new
KEPT = timedelta(days=400)  # so that nothing yearly is sent twice
OFF = "Mail is off: the federation's page names no host."
_ADDRESS = re.compile(rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{DOMAIN}")


def write(tx: Tx, key: str, person: str, subject: str, body: str, now: datetime) -> bool:
    """Writes a mail to a person (or OPERATORS). Returns whether it is new. `key` names the news and its recipient: it
    is sent once."""
    row = MailRow(
        key=_key(key), person=person, subject=" ".join(plain(subject, 200).split()),
        body=plain(body, 20_000).strip() + "\n", written_at=now, sent_at=None, next_at=now, tries=0, trouble="",
    )  # fmt: skip
    return mail_rows.insert(tx, row)


def _key(whole: str) -> str:
    """Shortens a key to the space for it, differently for each key: the recipient is at its end."""
    return whole if len(whole) <= KEY else f"{whole[: KEY - 41]}/{hashlib.sha256(whole.encode()).hexdigest()[:40]}"


def addresses(spec: MailSpec, person: str) -> list[str]:
    """Returns the addresses for that person; none for a person without one."""
    if person == OPERATORS:
        return list(spec.operators)
    if forgotten(person):
        return []
    address = person if "@" in person or not spec.domain else f"{person}@{spec.domain}"
    return [address] if _ADDRESS.fullmatch(address) else []


def letter(spec: MailSpec, row: MailRow, to: Sequence[str]) -> EmailMessage:
    """Returns the mail itself. Its id follows from its key: a recipient who gets it twice, because an answer was lost,
    sees one mail."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = spec.sender, ", ".join(to), row.subject
    message["Date"] = format_datetime(row.written_at)
    message["Message-ID"] = f"<{hashlib.sha256(row.key.encode()).hexdigest()[:40]}@{spec.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic reply
    message.set_content(row.body)
    return message


class NoUse(Exception):
    """The mail cannot be sent, now or later."""


Troubles = dict[str, Exception]  # by key


class Mailer:
    """The outbox of a federation, and the server of its `[mail]`."""

    def __init__(self, db: Database, spec: MailSpec, clock: Callable[[], datetime]) -> None:
        self.db, self.spec, self.clock = db, spec, clock

    async def run(self) -> None:
        """Runs until cancelled."""
        await run_every(self.once, EVERY, what="sending mails")

    async def once(self) -> None:
        """Sends the mails that are due."""
        await self.db.run(mail_rows.forget, self.clock() - KEPT)
        while rows := await self.db.run(mail_rows.due, self.clock(), BATCH):
            send = deliver if self.spec.host else refuse
            await self.db.run(self._settle, rows, await asyncio.to_thread(send, self.spec, rows))

    def _settle(self, tx: Tx, rows: Sequence[MailRow], troubles: Troubles) -> None:
        now = self.clock()
        for row in rows:
            trouble = troubles.get(row.key)
            if trouble is None:
                mail_rows.update(tx, row.key, sent_at=now, next_at=None, tries=row.tries + 1, trouble="")
                continue
            next_at = None if isinstance(trouble, NoUse) else now + min(FIRST_PAUSE * 2**row.tries, LONGEST_PAUSE)
            if next_at and next_at > row.written_at + GIVEN_UP:
                next_at = None
            mail_rows.update(tx, row.key, next_at=next_at, tries=row.tries + 1, trouble=plain(str(trouble), 500))
            if self.spec.host:
                log.warning(
                    "mail %s %s: %s",
                    row.key,
                    "will be tried again" if next_at else "is given up",
                    plain(str(trouble), 500),
                )


def refuse(spec: MailSpec, rows: Sequence[MailRow]) -> Troubles:
    """Refuses all mails, where there is no server."""
    return {row.key: NoUse(OFF) for row in rows}


def deliver(spec: MailSpec, rows: Sequence[MailRow]) -> Troubles:
    """Sends the mails to the server over one connection. Returns the errors of the mails that it did not take, by key.
    Blocks."""
    found: Troubles = {}
    taken: set[str] = set()
    try:
        with smtplib.SMTP(spec.host, spec.port, timeout=TIMEOUT) as server:
            _enter(spec, server)
            for row in rows:
                try:
                    _hand_over(spec, server, row)
                    taken.add(row.key)
                except (NoUse, smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
                    found[row.key] = _judged(error)
    except (OSError, smtplib.SMTPException, ScnetError) as error:
        return {row.key: found.get(row.key, error) for row in rows if row.key not in taken}
    return found


def _enter(spec: MailSpec, server: smtplib.SMTP) -> None:
    """Greets the server, with TLS where the server offers it. A password is shown only to a server whose certificate is
    valid."""
    server.ehlo()
    if server.has_extn("starttls"):
        context = ssl.create_default_context()
        if not spec.user:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # any TLS is better than none (RFC 7435)
        server.starttls(context=context)
        server.ehlo()
    elif spec.user:
        raise smtplib.SMTPNotSupportedError(
            f"{spec.host} offers no STARTTLS: the password of {spec.user} is not sent in the clear"
        )
    if spec.user:
        server.login(spec.user, read_secret(Path(spec.password_file)))


def _hand_over(spec: MailSpec, server: smtplib.SMTP, row: MailRow) -> None:
    to = addresses(spec, row.person)
    if not to:
        who = f"{row.person} has" if row.person else "The operators have"
        raise NoUse(f"{who} no mail address: see `domain` and `operators` of [mail].")
    server.send_message(letter(spec, row, to), from_addr=spec.sender, to_addrs=to)


def _judged(error: Exception) -> Exception:
    """Returns the error to keep: a 5xx answer is final, a 4xx is not."""
    answers: list[tuple[int, bytes | str]] = []
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = [*error.recipients.values()]
    elif isinstance(error, smtplib.SMTPResponseException):
        answers = [(error.smtp_code, error.smtp_error)]
    if not answers:
        return error
    code, words = min(answers, key=lambda answer: answer[0])
    said = words.decode(errors="replace") if isinstance(words, bytes) else words
    return NoUse(f"{code} {said}") if code >= 500 else Exception(f"{code} {said}")
