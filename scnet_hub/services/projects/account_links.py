"""Links (person, centre) to an account there: by the list of the centre's administrators, or by the person, who signs
in there to prove it.

A proof is a word that the person writes into a file in their home at the centre, by their own login; the federation
then reads the file as that account. So the federation never sees a person's password or key. Links are ended, never
changed.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from ...adapters.centre import Centre
from ...adapters.db.database import Database, Tx
from ...adapters.db.queries import accounts as account_rows
from ...adapters.db.queries.accounts import AccountRow, ProofRow
from ...domain import identifiers
from ...domain.sessions import start_file
from ...domain.standard.centre import CentreSpec
from ...errors import BadOption, Denied, NotFound, Refused, TooMany

PROOF_FILE = ".scnet-link"
PROOF_LIFE = timedelta(minutes=30)
MOST_PROOFS = 6  # proofs that one person may begin within PROOF_LIFE
CALM = timedelta(
    seconds=10
    # after a refused login: an sshd shuts out an address that fails often (PerSourcePenalties), with all its people
)


class Linking:
    """Handles a person's own links, through the centres themselves. Wrong accounts are tried a few at a time, so that
    no centre takes the federation for an attacker."""

    def __init__(self, db: Database, centre: Callable[[str], Centre], clock: Callable[[], datetime]) -> None:
        self.db, self.centre, self.clock = db, centre, clock
        self._begun: dict[str, list[datetime]] = {}  # by person
        self._calm: dict[str, datetime] = {}  # by centre, until when no account is tried there

    async def ask(self, person: str, centre: str, account: str) -> str:
        """Begins the proof that `account` at that centre is this person's. Returns the command to run there."""
        spec = self.centre(centre).spec
        self._check_few(person)
        word = await self.db.run(ask, spec, person, account, self.clock())
        self._begun.setdefault(person, []).append(self.clock())
        return f"umask 077; echo {word} > {_proof_file(spec, account)}"

    async def prove(self, person: str, centre: str) -> AccountRow:
        """Reads the word at the centre, as that account, and links the account. Raises Refused, CentreError."""
        live = self.centre(centre)
        proof = await self.db.run(asked, live.spec, person, self.clock())
        self._check_calm(live.spec)
        try:
            found = await live.tail(_proof_file(live.spec, proof.account), account=proof.account, size=200)
        except Denied:
            self._calm[live.spec.id] = self.clock() + CALM
            raise
        return await self.db.run(prove, live.spec, proof, found, self.clock())

    async def unlink(self, person: str, centre: str) -> AccountRow:
        return await self.db.run(unlink, self.centre(centre).spec, person, self.clock())

    def _check_few(self, person: str) -> None:
        now = self.clock()
        self._begun = {
            one: kept for one, begun in self._begun.items() if (kept := [at for at in begun if at > now - PROOF_LIFE])
        }
        begun = self._begun.get(person, [])
        if len(begun) >= MOST_PROOFS:
            raise _later(
                f"You began {len(begun)} proofs within {PROOF_LIFE.seconds // 60} minutes.", begun[0] + PROOF_LIFE - now
            )

    def _check_calm(self, spec: CentreSpec) -> None:
        if (left := self._calm.get(spec.id, self.clock()) - self.clock()) > timedelta():
            raise _later(f"{spec.name} has just refused a login for such a proof.", left)


def _later(words: str, left: timedelta) -> TooMany:
    seconds = math.ceil(left.total_seconds())
    return TooMany(words, hint=f"Try again in {seconds} s. Nothing was done.", details={"retry_after_s": seconds})


def _proof_file(spec: CentreSpec, account: str) -> str:
    """Returns the proof file. Over SSH it lies in the home that the centre's system knows: in the folder of sessions'
    homes, anyone may make a folder of that name."""
    home = "~" if spec.transport.kind == "ssh" else start_file.home(spec, account)
    return f"{home}/{PROOF_FILE}"


def apply(tx: Tx, specs: Iterable[CentreSpec], at: datetime) -> None:
    """Makes the links by list equal to those in the centres' pages. The administrator's list takes precedence over a
    link that a person proved."""
    for spec in specs:
        listed = spec.identity.accounts if linked_there(spec) else {}
        for row in account_rows.links(tx, centre=spec.id):
            if (row.how == "list" or row.person in listed or row.account in listed.values()) and listed.get(
                row.person
            ) != row.account:
                account_rows.end(tx, row, f"the page of {spec.id}", at)
        known = {row.person for row in account_rows.links(tx, centre=spec.id)}
        for person, account in listed.items():
            if person not in known:
                account_rows.link(tx, person, spec.id, account, "list", f"the page of {spec.id}", at)


def linked_there(spec: CentreSpec) -> bool:
    """Tells whether people have accounts of their own at this centre."""
    return spec.identity.mode != "shared"


def account_of(tx: Tx, spec: CentreSpec, person: str) -> str:
    """Returns the account under which this person's jobs run there; "" if none is linked."""
    if not linked_there(spec):
        return identifiers.account(person)
    return next((row.account for row in account_rows.links(tx, person=person, centre=spec.id)), "")


def refusals(tx: Tx, specs: Iterable[CentreSpec], person: str) -> Mapping[str, str]:
    """Returns, by centre, why this person cannot be placed there."""
    linked = {row.centre for row in account_rows.links(tx, person=person)}
    return {
        spec.id: f"you have no account linked at {spec.name}: see `scnet accounts`"
        for spec in specs
        if linked_there(spec) and spec.id not in linked
    }


def ask(tx: Tx, spec: CentreSpec, person: str, account: str, at: datetime) -> str:
    """Begins a proof. Returns the word that must be in PROOF_FILE at the centre."""
    if not linked_there(spec):
        raise Refused(f"{spec.name} runs everything under one account: there is nothing to link.", code="shared-centre")
    if account in spec.identity.reserved or account == getattr(spec.transport, "user", ""):
        raise BadOption(
            f"{account} at {spec.name} is not a person's account.", hint="Give the name of your own login there."
        )
    _check_free(tx, spec, person, account)
    word = secrets.token_urlsafe(18)
    account_rows.ask(
        tx, ProofRow(person=person, centre=spec.id, account=account, code=_hash(word), expires_at=at + PROOF_LIFE)
    )
    return word


def asked(tx: Tx, spec: CentreSpec, person: str, at: datetime) -> ProofRow:
    """Returns the proof under way. Raises NotFound if there is none, or if it is too old."""
    proof = account_rows.asked(tx, person, spec.id)
    if proof is None or proof.expires_at < at:
        raise NotFound(
            f"No proof for {spec.name} is under way.",
            hint=f"Begin one: `scnet accounts link {spec.id} YOUR-ACCOUNT`.",
            code="no-proof",
        )
    return proof


def prove(tx: Tx, spec: CentreSpec, proof: ProofRow, found: str, at: datetime) -> AccountRow:
    """Links the account if `found`, read at the centre as that account, is the word. Raises Refused."""
    if not hmac.compare_digest(_hash(found.strip()), proof.code):
        raise Refused(
            f"~/{PROOF_FILE} of {proof.account} at {spec.name} does not hold the "
            "word" + (" yet." if not found.strip() else "."),
            hint=f"Sign in there as {proof.account} and run the command that `scnet accounts link` "
            "showed.", code="not-proven",
        )  # fmt: skip
    _check_free(tx, spec, proof.person, proof.account)
    for row in account_rows.links(tx, person=proof.person, centre=spec.id):
        account_rows.end(tx, row, proof.person, at)
    account_rows.link(tx, proof.person, spec.id, proof.account, "proof", proof.person, at)
    account_rows.forget(tx, proof.person, spec.id)
    return account_rows.links(tx, person=proof.person, centre=spec.id)[0]


def unlink(tx: Tx, spec: CentreSpec, person: str, at: datetime) -> AccountRow:
    """Ends the person's link. Raises NotFound; Refused for a link by the centre's own list."""
    row = next(iter(account_rows.links(tx, person=person, centre=spec.id)), None)
    if row is None:
        raise NotFound(
            f"No account of yours is linked at {spec.name}.", hint="`scnet accounts` lists them.", code="not-linked"
        )
    if row.how == "list":
        raise Refused(
            f"This link to {row.account} was made by the administrators of {spec.name}.",
            hint=f"Ask {spec.contact or 'the centre'} to remove it.",
            code="listed",
        )
    account_rows.end(tx, row, person, at)
    return account_rows.links(tx, person=person, centre=spec.id, ended=True)[-1]


def _check_free(tx: Tx, spec: CentreSpec, person: str, account: str) -> None:
    if other := next(
        (row for row in account_rows.links(tx, centre=spec.id, account=account) if row.person != person), None
    ):
        raise Refused(
            f"{account} at {spec.name} has been linked to another person since {other.linked_at:%Y-%m-%d}.",
            hint=f"Ask {spec.contact or 'the centre'} if it is yours.", code="account-taken",
        )  # fmt: skip


def _hash(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()
