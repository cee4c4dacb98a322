"""Push our suppressions to Mailgun's own lists, a thousand in a call, by one process at a time.

At first all that are stored, in the order of their addresses; then each that is added. A call may be repeated: Mailgun
writes a record that is there again. No mail waits for it: our own suppressions hold in any case.
"""

import time
from collections.abc import Sequence
from typing import Final

import structlog

from mailroom.domain.mailgun_lists import lists_of
from mailroom.domain.suppressions import Entry
from mailroom.providers.mailgun.suppression_lists import (
    MOST_A_CALL,
    ListedAddress,
    MailgunList,
    MailgunLists,
    RecordsRefused,
)
from mailroom.storage import suppressions
from mailroom.storage.cluster import mailgun_pushes
from mailroom.storage.cluster.mailgun_pushes import PushTurn
from mailroom.storage.database import Db

log = structlog.get_logger()
_TURN_S: Final = 120.0  # after a fault the next try comes when the turn has ended
_WORK_S: Final = 40.0
_AGAIN_S: Final = 10.0


def push(db: Db, lists: MailgunLists, pushes: str) -> int:
    """Push what is not there yet, for a bounded time. `pushes`: which suppressions, a word of the setting. Returns how
    many addresses were looked at. Raises Unavailable: what was not pushed is tried again later."""
    name = f"{lists.domain}/{pushes}"
    turn = mailgun_pushes.take_turn(db, name, for_s=_TURN_S)
    if turn is None:
        return 0
    deadline, pushed = time.monotonic() + _WORK_S, 0
    while time.monotonic() < deadline:
        if turn.walked_to is not None:
            turn, step = _walk_on(db, lists, pushes, name, turn.walked_to)
        elif not (step := _push_new(db, lists, pushes)):
            break
        pushed += step
    mailgun_pushes.end_turn(db, name, again_in_s=_AGAIN_S)
    if pushed:
        log.info("suppressions_pushed", provider="mailgun", addresses=pushed)
    return pushed


def _walk_on(db: Db, lists: MailgunLists, pushes: str, name: str, after: str) -> tuple[PushTurn, int]:
    """Push the next addresses of the first walk. Returns where it goes on, and how many addresses these were."""
    page = suppressions.by_address(db, after=after, limit=MOST_A_CALL)
    _send(lists, pushes, page)
    last = page[-1][0] if page else None
    mailgun_pushes.note_walked(db, name, last)
    return PushTurn(last), len(page)


def _push_new(db: Db, lists: MailgunLists, pushes: str) -> int:
    new = suppressions.unpushed(db, limit=MOST_A_CALL)
    _send(lists, pushes, [(one.key, one.entries) for one in new])
    suppressions.note_pushed(db, new)
    return len(new)


def _send(lists: MailgunLists, pushes: str, addresses: Sequence[tuple[str, Sequence[Entry]]]) -> None:
    """Raises Unavailable."""
    by_list: dict[str, dict[str, ListedAddress]] = {}
    for key, entries in addresses:
        for of, entry in lists_of(entries, pushes):
            by_list.setdefault(of, {})[key] = ListedAddress(key, entry.since, words=entry.note or entry.reason)
    for of, records in by_list.items():
        _add(lists, MailgunList(of), list(records.values()))


def _add(lists: MailgunLists, of: MailgunList, records: Sequence[ListedAddress]) -> None:
    """Add the records. One that Mailgun refuses is found by halving, and left out."""
    try:
        lists.add(of, records)
    except RecordsRefused as error:
        if len(records) == 1:
            log.warning("suppression_not_pushed", provider="mailgun", list=of, error=_without(error, records[0]))
            return
        middle = len(records) // 2
        _add(lists, of, records[:middle])
        _add(lists, of, records[middle:])


def _without(error: RecordsRefused, record: ListedAddress) -> str:
    """The words of a refusal without the address."""
    return str(error).replace(record.address, "***")[:200]
