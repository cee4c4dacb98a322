"""What only Mailgun can carry: refused where another provider may get it, when it is taken in and when the providers
change. What was taken in before is looked at once more when it is handed over (see preparing.py)."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.schedules import ScheduleState
from mailroom.domain.substitutions import in_content, of_mailgun
from mailroom.storage import contents, providers, schedules
from mailroom.storage.database import Db

_A_STEP: Final = 50
_MOST_NAMED: Final = 5


def check(db: Db, configured: Sequence[str], written: Mapping[str, str]) -> None:
    """Raises InvalidInput, with every field that holds a substitution of Mailgun's, unless Mailgun alone is enabled."""
    found = {field: word for field, text in written.items() if (word := of_mailgun((text,)))}
    if not found:
        return
    others = [one.name for one in providers.standings(db, configured) if one.enabled and one.name != "mailgun"]
    if others:
        words = f"is filled in by Mailgun alone, and {', '.join(others)} may send this: leave it out, or disable that"
        raise InvalidInput(*(Fault(field, f"{word} {words}") for field, word in found.items()))


def check_change(db: Db, configured: Sequence[str], enabled_after: Sequence[str], *, path: str) -> None:
    """Raises InvalidInput, naming them, where active schedules hold what another provider than Mailgun could get from
    now on. `enabled_after`: who will be enabled, in their order."""
    before = [one.name for one in providers.standings(db, configured) if one.enabled]
    if not set(enabled_after) - {"mailgun"} or enabled_after == before:
        return
    named = _schedules_for_mailgun(db)
    if named:
        words = f"Mailgun alone can send what these schedules say, for it holds %unsubscribe_url%: {', '.join(named)}"
        raise InvalidInput(Fault(path, words))


def _schedules_for_mailgun(db: Db) -> list[str]:
    """The first few; a rare question of an administrator's, asked of every active schedule."""
    rows = (one for one in schedules.everyone(db) if one.state in (ScheduleState.ACTIVE, ScheduleState.PAUSED))
    named: list[str] = []
    while len(named) < _MOST_NAMED and (some := list(islice(rows, _A_STEP))):
        written = contents.get_many(db, [(one.id, one.revision) for one in some])
        for one in some:
            content = written[one.id, one.revision]
            if in_content(content.subject, content.text, content.html):
                named.append(f"{one.name} ({one.id})")
    return named[:_MOST_NAMED]
