"""Content with Mailgun's own substitutions is refused while another provider may get it: at acceptance, and when
providers are enabled or reordered. Content that was accepted before is checked again at the call
(see dispatching/requests.py)."""

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
    found = {field: word for field, text in written.items() if (word := of_mailgun((text,)))}
    if not found:
        return
    others = [one.name for one in providers.standings(db, configured) if one.enabled and one.name != "mailgun"]
    if others:
        words = f"is filled in by Mailgun alone, and {', '.join(others)} may send this: leave it out, or disable that"
        raise InvalidInput(*(Fault(field, f"{word} {words}") for field, word in found.items()))


def check_change(db: Db, configured: Sequence[str], enabled_after: Sequence[str], *, path: str) -> None:
    """Raises InvalidInput, which names them, if active or paused schedules hold substitutions of Mailgun's and another
    provider would be enabled. `enabled_after`: the providers that will be enabled, in order."""
    before = [one.name for one in providers.standings(db, configured) if one.enabled]
    if not set(enabled_after) - {"mailgun"} or enabled_after == before:
        return
    named = _schedules_for_mailgun(db)
    if named:
        words = f"Mailgun alone can send what these schedules say, for it holds %unsubscribe_url%: {', '.join(named)}"
        raise InvalidInput(Fault(path, words))


def _schedules_for_mailgun(db: Db) -> list[str]:
    """The first few of them. It reads every active or paused schedule: administrators ask it seldom."""
    rows = (one for one in schedules.everyone(db) if one.state in (ScheduleState.ACTIVE, ScheduleState.PAUSED))
    named: list[str] = []
    while len(named) < _MOST_NAMED and (some := list(islice(rows, _A_STEP))):
        written = contents.get_many(db, [(one.id, one.revision) for one in some])
        for one in some:
            content = written[one.id, one.revision]
            if in_content(content.subject, content.text, content.html):
                named.append(f"{one.name} ({one.id})")
    return named[:_MOST_NAMED]
