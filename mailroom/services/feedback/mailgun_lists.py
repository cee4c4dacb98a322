"""Take Mailgun's own lists over as suppressions, page by page. It can be cut off at any page and go on there, and what
is stored already stays as it is."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from mailroom.domain.addresses import InvalidAddress, check_address, fold
from mailroom.domain.consent import ConsentAct, ConsentEntry
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.events import SuppressionReason
from mailroom.domain.mailgun_lists import LISTS, entries_of_record
from mailroom.domain.suppressions import ALL, Entry
from mailroom.providers.mailgun.suppression_lists import ListedAddress, MailgunList, MailgunLists
from mailroom.storage import consents, suppressions, topics
from mailroom.storage.database import Db, server_now

log = structlog.get_logger()
MOST_CURSOR: Final = 400  # characters
_MOST_PAGES: Final = 10  # of one call
_MOST_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class TakenOver:
    """`added`, `unchanged`: entries that are new, or were stored already. `left_out`: records that mean no suppression
    here, or hold no address. `next_cursor`: where the next call goes on; None at the end of the last list."""

    added: int
    unchanged: int
    left_out: int
    next_cursor: str | None


def take_over(db: Db, lists: MailgunLists, *, cursor: str | None, by: str) -> TakenOver:
    """Take over some pages of the lists. `cursor`: of the call before; None begins with the first list. Raises
    InvalidInput for a cursor that is none, Unavailable: what was taken over until then is stored, and the same call may
    be repeated."""
    of, after = _place(cursor)
    known, deadline = topics.ids(db), time.monotonic() + _MOST_S
    added = unchanged = left_out = 0
    place: str | None = None
    for _ in range(_MOST_PAGES):
        page = lists.page(MailgunList(of), after=after)
        entries = _entries(of, page.records, known, server_now(db))
        new = _store(db, entries, by=by)
        added, unchanged = added + new, unchanged + len(entries) - new
        left_out += page.unread + len(page.records) - len({key for key, _ in entries})
        place = f"{of}:{page.last}" if page.last is not None else _following(of)
        if place is None or time.monotonic() > deadline:
            break
        of, after = _place(place)
    log.info("mailgun_lists_taken_over", added=added, unchanged=unchanged, left_out=left_out, by=by)
    return TakenOver(added, unchanged, left_out, place)


def _place(cursor: str | None) -> tuple[str, str]:
    """The list, and the address after which it goes on. Raises InvalidInput."""
    of, mark, after = (cursor or f"{LISTS[0]}:").partition(":")
    if of not in LISTS or not mark or len(after) > MOST_CURSOR:
        raise InvalidInput(Fault("cursor", "none that an earlier call gave"))
    return of, after


def _following(of: str) -> str | None:
    position = LISTS.index(of) + 1
    return f"{LISTS[position]}:" if position < len(LISTS) else None


def _entries(
    of: str, records: Sequence[ListedAddress], known: Collection[str], now: datetime
) -> list[tuple[str, Entry]]:
    """The entries, each with its folded address; one for each scope of an address."""
    found: dict[tuple[str, str], Entry] = {}
    for record in records:
        try:
            key = fold(check_address(record.address))
        except InvalidAddress:
            continue
        at = min(record.at or now, now)
        for entry in entries_of_record(of, at=at, code=record.code, words=record.words, tags=record.tags, topics=known):
            found[key, entry.scope] = entry
    return [(key, entry) for (key, _), entry in found.items()]


def _store(db: Db, entries: Sequence[tuple[str, Entry]], *, by: str) -> int:
    """Store the entries, and journal those that are new. Returns their number. An unsubscribe that is older than the
    reader's return is not stored."""
    before = _stored(db, entries)
    suppressions.add(db, [(key, entry) for key, entry in entries if (key, entry.scope) not in before])
    added = _stored(db, entries) - before
    new = [(key, entry) for key, entry in entries if (key, entry.scope) in added]
    consents.add(db, [_journaled(key, entry, by) for key, entry in new if entry.scope != ALL])
    return len(new)


def _stored(db: Db, entries: Sequence[tuple[str, Entry]]) -> set[tuple[str, str]]:
    found = suppressions.entries_among(db, list({key for key, _ in entries}))
    return {(key, entry.scope) for key, of_address in found for entry in of_address}


def _journaled(key: str, entry: Entry, by: str) -> ConsentEntry:
    act = ConsentAct.COMPLAINED if entry.reason == SuppressionReason.COMPLAINED else ConsentAct.LEFT
    return ConsentEntry(key, act, entry.scope, entry.since, by, None)
