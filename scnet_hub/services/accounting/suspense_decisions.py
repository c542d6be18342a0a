"""Carries out operators' decisions on usage records in suspense: dropped, or believed and charged."""

from __future__ import annotations

from datetime import datetime

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...adapters.db.queries import usage as usage_rows
from ...adapters.db.queries.usage import UsageRow
from ...domain.usage import serialisation
from ...domain.usage.runs import NO_TIME
from ...domain.usage.verdicts import BELIEVE, DROP, SUSPENSE
from ...errors import BadOption, NotFound, Refused, plain
from . import charging
from .charging import PriceSource


def decide(tx: Tx, number: int, decision: str, words: str, by: str, pages: PriceSource, now: datetime) -> UsageRow:
    """Drops a record in suspense, or believes it; its session is charged accordingly. Raises NotFound, BadOption,
    Refused."""
    row = usage_rows.get(tx, number)
    if row is None:
        raise NotFound(
            f"There is no usage record {number}.",
            hint="`scnet suspense` lists the records that wait.",
            code="unknown-record",
        )
    if decision not in (DROP, BELIEVE):
        raise BadOption(f"Unknown decision {plain(decision, 40)!r}.", hint=f"Use {DROP} or {BELIEVE}.")
    if not words.strip():
        raise BadOption(
            "Give a reason for the decision.", hint="The reason stays with the record.", details={"field": "words"}
        )
    if row.state != SUSPENSE or row.decision:
        raise Refused(
            f"Usage record {number} is not in suspense: it is "
            f"{row.state}{f' ({row.decision})' if row.decision else ''}.",
            hint="Only records in suspense can be decided.", code="decided",
        )  # fmt: skip
    if decision == BELIEVE and (why := _incredible(tx, row)):
        raise Refused(
            f"Usage record {number} cannot be believed: {why}.",
            hint="Drop it, or have its centre correct it.",
            code="no-usage",
        )
    usage_rows.decide(tx, number, f"{decision}: {plain(words, 1000)}", by, now)
    if row.session:
        session_rows.add_event(
            tx,
            row.session,
            now,
            f"An operator {'dropped' if decision == DROP else 'believed'} a usage record: {plain(words, 500)}",
        )
        charging.recharge(tx, row.session, pages, now, f"an operator decided so ({plain(words, 300)})")
    elif decision == DROP:
        usage_rows.update(tx, number, state=usage_rows.DROPPED)
    done = usage_rows.get(tx, number)
    assert done is not None
    return done


def _incredible(tx: Tx, row: UsageRow) -> str:
    if not row.session:
        return "there is no session to which it could be charged"
    usage = serialisation.usage_from(row.record)
    if row.record.get("doubt") and not row.record.get("late") and usage.start is None:
        return "it could not be read"
    times = [one for one in (usage.submitted_at, usage.start, usage.end) if one is not None]
    numbers = (usage.cores, usage.memory, usage.restart, usage.revision, *(count for _, count in usage.gpus))
    if any(type(one) is not int or one < 0 for one in numbers) or usage.elapsed < NO_TIME:
        return "its amounts are not valid numbers"
    if any(one.tzinfo is None for one in times):
        return "its times have no zone"
    others = usage_rows.of_identity(tx, row.identity)
    if any(one.revision == row.revision and one.decision.startswith(BELIEVE) for one in others):
        return "another record of the same run has been believed"
    return ""
