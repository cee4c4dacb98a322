"""Five-field cron expressions, by cronsim; clock changes as in Debian's cron (docs/adr/0005-recurrence.md).

cronsim gets only naive local times: on aware times it loses a wildcard's runs where clocks change by half an hour
(Lord Howe) or at midnight (Cairo). A fixed wall-clock time (neither the minute nor the hour field begins with `*`)
runs once a day; a wildcard runs whenever clocks show its time.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError

from mailroom.domain.recurrence import cron_fields, wallclock
from mailroom.domain.recurrence.model import Recurrence, RuleRefused


def is_fixed(expression: str) -> bool:
    """True if the expression names wall-clock times rather than an interval."""
    minute, hour = expression.split()[:2]
    return not minute.startswith("*") and not hour.startswith("*")


def check(expression: str) -> None:
    """Raise RuleRefused, with words for a user, unless this is a five-field expression that fires some day."""
    cron_fields.check(expression)
    try:
        next(CronSim(expression, datetime(2024, 1, 1)))  # noqa: DTZ001 - naive on purpose: only the pattern is checked
    except CronSimError as error:
        raise RuleRefused(f"{str(error)[0].lower()}{str(error)[1:]} in '{expression}'") from None
    except (StopIteration, RuntimeError):
        raise RuleRefused(f"'{expression}' never fires") from None


def explain(expression: str) -> str:
    """The expression in English words; unchanged if it is not valid."""
    try:
        return CronSim(expression, datetime(2024, 1, 1)).explain()  # noqa: DTZ001
    except CronSimError:
        return expression


def instants(rule: Recurrence, after: datetime) -> Iterator[datetime]:
    """The due instants strictly after `after`, in order, without bounds. cronsim ends a walk after 50 years.

    Raises RuleRefused.
    """
    start = wallclock.search_start(after, rule.zone) - timedelta(minutes=1)
    expand = wallclock.once_each if is_fixed(rule.expression) else wallclock.at_every_pass
    try:
        locals_ = CronSim(rule.expression, start)
    except CronSimError as error:
        raise RuleRefused(f"{error} in '{rule.expression}'") from None
    return expand(locals_, rule.zone, after)


def skipped_times(rule: Recurrence, gap: tuple[datetime, datetime]) -> list[datetime]:
    """The local times of the rule that lie in a gap [from, to) of the clocks."""
    start, end = gap
    times = []
    for local in CronSim(rule.expression, start - timedelta(minutes=1)):
        if local >= end:
            break
        times.append(local)
    return times
