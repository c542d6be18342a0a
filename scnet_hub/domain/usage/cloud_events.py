"""Exchanges usage: each segment of a run as a CloudEvent with the names of OGF's Usage Record, and back again without
loss.

The document is `standard/usage.py`. An event that contradicts itself (an identity, or a quantity that isn't amount
times length) is refused with a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from fractions import Fraction

from ...errors import SpecError
from ..jobs import Ending
from ..months import ZONE
from ..pricing.rates import Quantity
from ..standard import usage as standard
from .runs import Usage
from .segments import Segment, meters, segments

RUNNING = "running"


def events(
    usage: Usage, *, zone: str = ZONE, cuts: Iterable[datetime] = (), project: str = "", person: str = ""
) -> Iterator[standard.UsageEvent]:
    """Yields an event for each segment of a run; one without a segment for a run that never started. `person` must be a
    pseudonym."""
    parts = segments(usage, zone, cuts)
    yield from (event(usage, part, project=project, person=person) for part in parts or (None,))


def event(usage: Usage, segment: Segment | None, *, project: str = "", person: str = "") -> standard.UsageEvent:
    part = None
    if segment is not None:
        part = standard.SegmentOf(number=segment.number, start_time=segment.start, end_time=segment.end)
    readings = meters(segment) if segment is not None else {}
    data = standard.UsageData(
        record_id=_record_id(usage, segment), create_time=usage.seen_at, revision=usage.revision, final=usage.final,
        site=usage.centre, birth=usage.birth, queue=usage.partition, host=usage.node, local_job_id=usage.job_id,
        global_job_id=str(usage.identity), job_name=usage.name, session_id=usage.session, copy_number=usage.copy,
        project_name=project, global_user_id=person, restart=usage.restart, submit_time=usage.submitted_at,
        start_time=usage.start, end_time=usage.end, segment=part,
        status=usage.ending.value if usage.ending else RUNNING, state_raw=usage.state_raw, ended_by=usage.ended_by,
        exit_status=usage.exit_code, processors=usage.cores, gpus=dict(usage.gpus), memory=usage.memory,
        wall_duration=usage.elapsed, cpu_duration=usage.cpu,
        meters=[standard.MeterReading(meter=meter, quantity=decimal(amount)) for meter, amount in readings.items()],
    )  # fmt: skip
    return standard.UsageEvent(source=_source(usage), id=_event_id(usage, segment), time=usage.seen_at, data=data)


def text(one: standard.UsageEvent) -> str:
    """Returns the event as one line of JSON; unknown fields are left out."""
    return one.model_dump_json(by_alias=True, exclude_none=True)


def parse(line: str | bytes, *, source: str) -> tuple[Usage, Segment | None]:
    """Returns the run of an event, and its segment (None: the run never started). Raises SpecError naming `source` and
    the error."""
    found = standard.parse_event(line, source=source)
    usage = _usage(found.data)
    part = found.data.segment
    segment = None
    if part is not None:
        segment = Segment(
            usage=usage, number=part.number, start=part.start_time.astimezone(UTC), end=part.end_time.astimezone(UTC)
        )
    if wrong := _contradiction(found, usage, segment):
        raise SpecError(
            f"{source}: {wrong}.", hint="The event contradicts itself: the centre's exporter must be corrected."
        )
    return usage, segment


def _usage(data: standard.UsageData) -> Usage:
    return Usage(
        centre=data.site, birth=data.birth, job_id=data.local_job_id, submitted_at=data.submit_time,
        restart=data.restart, revision=data.revision, name=data.job_name, session=data.session_id,
        copy=data.copy_number, partition=data.queue, cores=data.processors, gpus=tuple(sorted(data.gpus.items())),
        memory=data.memory, start=data.start_time, end=data.end_time, elapsed=data.wall_duration, cpu=data.cpu_duration,
        node=data.host, ending=None if data.status == RUNNING else Ending(data.status), ended_by=data.ended_by,
        state_raw=data.state_raw, exit_code=data.exit_status, seen_at=data.create_time,
    )  # fmt: skip


def _contradiction(found: standard.UsageEvent, usage: Usage, segment: Segment | None) -> str:
    data = found.data
    said = {"source": found.source, "id": found.id, "RecordId": data.record_id, "GlobalJobId": data.global_job_id}
    ought = {
        "source": _source(usage), "id": _event_id(usage, segment), "RecordId": _record_id(usage, segment),
        "GlobalJobId": str(usage.identity),
    }  # fmt: skip
    for name, value in ought.items():
        if said[name] != value:
            return f"its {name} is {said[name][:120]!r}, but its fields give {value!r}"
    if data.final != usage.final:
        return f"Final is {str(data.final).lower()}, but its Status is {data.status!r}"
    if (segment is None) != (usage.start is None):
        return "it has a segment, but no start" if segment else "it started, but has no segment"
    if segment is None or usage.start is None or usage.through is None:
        return ""
    if not usage.start <= segment.start <= segment.end <= usage.through:
        return f"segment {segment.number} is not within its run"
    readings = {one.meter: one.quantity for one in data.meters}
    quantities = {meter: decimal(amount) for meter, amount in meters(segment).items()}
    if readings != quantities or len(data.meters) != len(readings):
        return f"its Meters are {readings}, but amounts times length are {quantities}"
    return ""


def _source(usage: Usage) -> str:
    return f"urn:scnet:cluster:{usage.centre}:{''.join(map(_plain, usage.birth))}"


def _plain(character: str) -> str:
    """Encodes a character for a URN (RFC 3986)."""
    if character.isascii() and (character.isalnum() or character in "-._~"):
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _record_id(usage: Usage, segment: Segment | None) -> str:
    return f"{usage.identity}/{segment.number if segment else 0}/{usage.revision}"


def _event_id(usage: Usage, segment: Segment | None) -> str:
    """Returns the identity without the parts that `source` contains."""
    return _record_id(usage, segment).removeprefix(f"{usage.centre}/{usage.birth}/")


def decimal(quantity: Quantity) -> str:
    """Formats a quantity exactly, in digits. Seconds are decimal and memory is binary, so finitely many digits are
    enough."""
    exact = Fraction(quantity)
    with localcontext() as context:
        context.prec = 100
        number = Decimal(exact.numerator) / Decimal(exact.denominator)
    return f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"
