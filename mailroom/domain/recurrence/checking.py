"""Check the fields of a user: the result is a Recurrence that can be computed, or a Fault for each wrong field."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.instants import to_instant
from mailroom.domain.limits import MAX_EXPRESSION, MAX_INTERVAL_S, MAX_RUNS
from mailroom.domain.recurrence import cron, parts, wallclock, zones
from mailroom.domain.recurrence.model import Kind, Recurrence, RuleRefused
from mailroom.domain.recurrence.upcoming import next_after

_FIRST_YEAR, _LAST_YEAR = 1970, 2200


def check_recurrence(
    *,
    kind: str,
    time_zone: str,
    now: datetime,
    expression: str | None = None,
    at: datetime | None = None,
    seconds: int | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    max_runs: int | None = None,
    path: str = "recurrence",
) -> Recurrence:
    """A recurrence that fires at least once after `now`. Naive values of `at`, `starts_at` and `ends_at` are local
    times of the zone. Raises InvalidInput with paths below `path`."""
    zone = zones.find(time_zone)
    out_of_range = _faults_of_years(at, starts_at, ends_at, path)
    faults = [*out_of_range]
    if max_runs is not None and not 1 <= max_runs <= MAX_RUNS:
        faults.append(Fault(f"{path}.max_runs", f"a whole number from 1 to {MAX_RUNS:,}"))
    if zone is None:
        faults.append(Fault(f"{path}.time_zone", zones.unknown(time_zone)))
    if kind not in list(Kind):
        raise InvalidInput(Fault(f"{path}.kind", f"one of {', '.join(Kind)}"), *faults)
    checked_kind = Kind(kind)
    faults += _faults_of_kind(checked_kind, expression, at, seconds, path)
    faults += _surplus(checked_kind, expression, at, seconds, path)
    start, end = (_bound(moment, zone) if zone and not out_of_range else None for moment in (starts_at, ends_at))
    if start and end and end < start:
        faults.append(Fault(f"{path}.ends_at", "lies before starts_at"))
    if faults:
        raise InvalidInput(*faults)
    rule = read_recurrence(
        kind=kind,
        time_zone=time_zone,
        now=now,
        expression=expression,
        at=at,
        seconds=seconds,
        starts_at=starts_at,
        ends_at=ends_at,
        max_runs=max_runs,
    )
    _require_that_it_fires(rule, now, path)
    return rule


def read_recurrence(
    *,
    kind: str,
    time_zone: str,
    now: datetime,
    expression: str | None = None,
    at: datetime | None = None,
    seconds: int | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    max_runs: int | None = None,
) -> Recurrence:
    """The recurrence of these fields in its normal form, without a check. `kind` and `time_zone` must be valid."""
    zone = ZoneInfo(time_zone)
    start = _bound(starts_at, zone)
    return Recurrence(
        kind=Kind(kind),
        time_zone=time_zone,
        anchor=(start or to_instant(now)).replace(microsecond=0),
        expression=_tidy(Kind(kind), expression),
        at=_local(at, zone),
        seconds=seconds or 0,
        starts_at=start,
        ends_at=_bound(ends_at, zone),
        max_runs=max_runs,
    )


def _require_that_it_fires(rule: Recurrence, now: datetime, path: str) -> None:
    """Raises InvalidInput."""
    where = {Kind.ONCE: "at", Kind.EVERY: "ends_at"}.get(rule.kind, "expression")
    try:
        first = next_after(rule, now - timedelta(milliseconds=1))
    except RuleRefused as error:
        raise InvalidInput(Fault(f"{path}.{where}", str(error))) from None
    if first is not None:
        return
    bounded = rule.starts_at or rule.ends_at or "COUNT" in rule.expression or "UNTIL" in rule.expression
    why = "never fires between now and its end" if bounded else "this rule never fires"
    if rule.kind is Kind.ONCE:
        past = f"lies in the past: in {rule.time_zone} it is {now.astimezone(rule.zone):%Y-%m-%d %H:%M} now"
        why = "lies outside starts_at and ends_at" if rule.starts_at or rule.ends_at else past
    raise InvalidInput(Fault(f"{path}.{where}", why))


def _faults_of_years(
    at: datetime | None, starts_at: datetime | None, ends_at: datetime | None, path: str
) -> list[Fault]:
    return [
        Fault(f"{path}.{name}", f"a year from {_FIRST_YEAR} to {_LAST_YEAR}")
        for name, moment in (("at", at), ("starts_at", starts_at), ("ends_at", ends_at))
        if moment is not None and not _FIRST_YEAR <= moment.year <= _LAST_YEAR
    ]


def _faults_of_kind(
    kind: Kind, expression: str | None, at: datetime | None, seconds: int | None, path: str
) -> list[Fault]:
    if kind is Kind.ONCE:
        return [] if at else [Fault(f"{path}.at", "a date and time is needed, such as 2026-12-01T09:00:00")]
    if kind is Kind.EVERY:
        fits = seconds is not None and 1 <= seconds <= MAX_INTERVAL_S
        return [] if fits else [Fault(f"{path}.seconds", f"a whole number of seconds from 1 to {MAX_INTERVAL_S:,}")]
    if not expression or not expression.strip():
        example = "0 9 * * 1-5" if kind is Kind.CRON else "FREQ=WEEKLY;BYDAY=MO"
        return [Fault(f"{path}.expression", f"an expression is needed, such as {example}")]
    if len(expression) > MAX_EXPRESSION:
        return [Fault(f"{path}.expression", f"at most {MAX_EXPRESSION} characters")]
    try:
        (cron if kind is Kind.CRON else parts).check(expression)
    except RuleRefused as error:
        return [Fault(f"{path}.expression", str(error))]
    return []


def _surplus(kind: Kind, expression: str | None, at: datetime | None, seconds: int | None, path: str) -> list[Fault]:
    """Faults of fields that belong to another kind. They show a misunderstanding, so they are not ignored."""
    mine = {Kind.ONCE: "at", Kind.EVERY: "seconds"}.get(kind, "expression")
    given = {"expression": expression or None, "at": at, "seconds": seconds}
    return [
        Fault(f"{path}.{name}", f"does not go with the kind '{kind}'")
        for name, value in given.items()
        if value is not None and name != mine
    ]


def _tidy(kind: Kind, expression: str | None) -> str:
    text = " ".join((expression or "").split())
    return text.upper().removeprefix("RRULE:").strip(";") if kind is Kind.RRULE else text


def _bound(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    if moment is None:
        return None
    return to_instant(moment if moment.tzinfo else wallclock.to_instant(moment, zone))


def _local(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    if moment is None or moment.tzinfo is None:
        return moment
    return moment.astimezone(zone).replace(tzinfo=None)
