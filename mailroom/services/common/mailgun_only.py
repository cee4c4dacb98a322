"""Refuse content with Mailgun's own substitutions while another provider may get it: at acceptance, and when providers
are enabled or reordered. Content accepted earlier is checked again at the call (see dispatching/requests.py)."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.mailgun_substitutions import in_content, of_mailgun
from mailroom.domain.schedules import ScheduleState
from mailroom.storage import providers
from mailroom.storage.database import Db
from mailroom.storage.schedules import contents, schedules

_A_STEP: Final = 50
_MOST_NAMED: Final = 5


def check(db: Db, configured: Sequence[str], written: Mapping[str, str]) -> None:
    """Raises InvalidInput with a fault for each field that holds a substitution of Mailgun's, unless only Mailgun is
    enabled."""
    substitutions = {field: word for field, text in written.items() if (word := of_mailgun((text,)))}
    if not substitutions:
        return
    others = [p.name for p in providers.standings(db, configured) if p.enabled and p.name != "mailgun"]
    if others:
        words = f"is filled in by Mailgun alone, and {', '.join(others)} may send this: leave it out, or disable that"
        raise InvalidInput(*(Fault(field, f"{word} {words}") for field, word in substitutions.items()))


def check_change(db: Db, configured: Sequence[str], enabled_after: Sequence[str], *, path: str) -> None:
    """Raises InvalidInput, with the schedules' names, if active or paused schedules hold substitutions of Mailgun's and
    another provider would be enabled. `enabled_after`: the providers that will be enabled, in order."""
    before = [provider.name for provider in providers.standings(db, configured) if provider.enabled]
    if not set(enabled_after) - {"mailgun"} or enabled_after == before:
        return
    named = _schedules_for_mailgun(db)
    if named:
        words = f"Mailgun alone can send what these schedules say, for it holds %unsubscribe_url%: {', '.join(named)}"
        raise InvalidInput(Fault(path, words))


def _schedules_for_mailgun(db: Db) -> list[str]:
    """The first few schedules with a substitution of Mailgun's. Reads every schedule; administrators ask seldom."""
    rows = (s for s in schedules.everyone(db) if s.state in (ScheduleState.ACTIVE, ScheduleState.PAUSED))
    named: list[str] = []
    while len(named) < _MOST_NAMED and (batch := list(islice(rows, _A_STEP))):
        written = contents.get_many(db, [(schedule.id, schedule.revision) for schedule in batch])
        for schedule in batch:
            content = written[schedule.id, schedule.revision]
            headers = dict(content.headers).values()
            if in_content(content.subject, content.text, content.html) or of_mailgun(headers):
                named.append(f"{schedule.name} ({schedule.id})")
    return named[:_MOST_NAMED]
