"""Who is in a selection: the contacts of its audiences as of their versions, filtered, without those that are left out.

The lists are read side by side in the order of the addresses, so any number of contacts takes little memory. An address
in several lists is there once, by the first list that holds it and whose filter finds it.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.domain.audience_versions import AudienceVersion, ListChoice, Selection
from mailroom.domain.audiences import Recipient
from mailroom.domain.contacts import Contact
from mailroom.domain.ids import short_digest
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.segments.matching import Facts, matches
from mailroom.domain.segments.model import looks_at_events
from mailroom.domain.segments.nodes import EventInDays, EventInRuns, parts_of
from mailroom.domain.segments.parsing import parse
from mailroom.services.audiences.happened import addresses_that, addresses_that_lately
from mailroom.storage.audiences import members, versions
from mailroom.storage.database import Db, in_snapshot, server_now

_MOST_STEPS: Final = 50  # of so many contacts of each list, in which those of a small segment are looked for
# Events are looked up for each contact and each run: a step of few contacts, and not for long, for other work waits.
_BY_EVENTS: Final = 200
_EVENTS_FOR_S: Final = 0.5
_SPARE: Final = 1.2  # times the contacts that are likely to be enough
_NEAR: Final = 100  # contacts of each list in one look for a neighbour
_LOOKS: Final = 50


@dataclass(frozen=True, slots=True)
class Selected:
    """The next recipients of a selection. `through`: the folded address up to which everybody was looked at; `more`:
    whether anybody is left to look at; `looked_at`: how many contacts of all lists were."""

    recipients: Sequence[Recipient]
    through: str
    more: bool
    looked_at: int = 0


def next_of(db: Db, selection: Selection, *, after: str, at: datetime) -> Selected:
    """The next recipients after a folded address, at most CHUNK_RECIPIENTS. There may be fewer, or none, and more
    beyond: one call looks at a bounded number of contacts, and for a bounded time where filters ask for events. `at`:
    the moment for which filters are applied."""
    found: list[Recipient] = []
    looked_at, more = 0, True
    most = _most_of_a_step(selection)
    until = time.monotonic() + _EVENTS_FOR_S if most == _BY_EVENTS else math.inf
    size = most
    for _ in range(_MOST_STEPS):
        step = _step(db, selection, after, at, size)
        found += step.recipients
        looked_at += step.looked_at
        after, more = step.through, step.more
        size = min(_size_of_next(found, looked_at), most)
        if len(found) > CHUNK_RECIPIENTS:
            found = found[:CHUNK_RECIPIENTS]
            return Selected(found, found[-1].key, True, looked_at)
        if not more or len(found) == CHUNK_RECIPIENTS or time.monotonic() >= until:
            break
    return Selected(found, after, more, looked_at)


def _most_of_a_step(selection: Selection) -> int:
    """The most contacts of each list that one step reads."""
    by_events = any(looks_at_events(one.only) for one in (*selection.lists, *selection.excluded))
    return _BY_EVENTS if by_events else CHUNK_RECIPIENTS


def rest_of(
    db: Db, selection: Selection, whole: Mapping[AudienceVersion, Sequence[Contact]], *, after: str, at: datetime
) -> Selected:
    """All recipients after a folded address, of small lists that are read already."""
    rest = [[one for one in whole[list_] if one.key > after] for list_ in selection.lists]
    through = max((one.key for list_ in rest for one in list_), default=after)
    return Selected(_selected(db, selection, rest, at), through, False)


def as_of_now(db: Db, lists: Sequence[ListChoice], excluded: Sequence[ListChoice] = ()) -> tuple[Selection, datetime]:
    """These lists as they stand now, and the moment. Raises Unavailable."""
    now = server_now(db)
    wanted = {(one.audience, now) for one in (*lists, *excluded)}
    known = in_snapshot(db, lambda session: versions.as_of(db, wanted, session=session))

    def as_of(choices: Sequence[ListChoice]) -> tuple[AudienceVersion, ...]:
        return tuple(one.as_of(known[one.audience, now].version.at) for one in choices)

    return Selection(as_of(lists), as_of(excluded)), now


def pages_of_now(db: Db, lists: Sequence[ListChoice], excluded: Sequence[ListChoice] = ()) -> Iterator[Selected]:
    """The recipients of these lists as they stand now, in the order of their addresses: at most CHUNK_RECIPIENTS of
    each list at a time. Raises Unavailable."""
    selection, now = as_of_now(db, lists, excluded)
    size = _most_of_a_step(selection)
    after, more = "", True
    while more:
        page = _step(db, selection, after, now, size)
        yield page
        after, more = page.through, page.more


def following(db: Db, selection: Selection, key: str, *, at: datetime) -> Recipient | None:
    """The first recipient after a folded address ('' for the first of all); None if none is found near it."""
    for _ in range(_LOOKS):
        step = _step(db, selection, key, at, _NEAR)
        if step.recipients:
            return step.recipients[0]
        if not step.more:
            break
        key = step.through
    return None


def preceding(db: Db, selection: Selection, key: str, *, at: datetime) -> Recipient | None:
    """The last recipient before a folded address; None if none is found near it."""
    for _ in range(_LOOKS):
        step = _step_back(db, selection, key, at)
        if step.recipients:
            return max(step.recipients, key=lambda recipient: recipient.key)
        if not step.more:
            break
        key = step.through
    return None


def _size_of_next(found: Sequence[Recipient], looked_at: int) -> int:
    """Of how many contacts the next step needs to be, by what was found so far, to find those that are still missing:
    one that is read and not taken is read again for the next chunk."""
    if not found:
        return CHUNK_RECIPIENTS
    wanted = (CHUNK_RECIPIENTS - len(found)) * looked_at / len(found) * _SPARE
    return int(min(max(wanted, _NEAR), CHUNK_RECIPIENTS))


def _step(db: Db, selection: Selection, after: str, at: datetime, size: int = CHUNK_RECIPIENTS) -> Selected:
    """Everybody up to the address to which all lists are read. `size`: contacts of each list."""
    read = [members.after(db, one, after, size + 1) for one in selection.lists]
    ends = [list_[size - 1].key for list_ in read if len(list_) > size]
    if not ends:
        through = max((list_[-1].key for list_ in read if list_), default=after)
        return Selected(_selected(db, selection, read, at), through, False, sum(map(len, read)))
    through = min(ends)
    known = [[one for one in list_ if one.key <= through] for list_ in read]
    return Selected(_selected(db, selection, known, at), through, True, sum(map(len, known)))


def _step_back(db: Db, selection: Selection, before: str, at: datetime) -> Selected:
    """As `_step`, in the other direction."""
    read = [members.before(db, one, before, _NEAR + 1) for one in selection.lists]
    ends = [list_[_NEAR - 1].key for list_ in read if len(list_) > _NEAR]
    if not ends:
        return Selected(_selected(db, selection, read, at), "", False, sum(map(len, read)))
    through = max(ends)
    known = [[one for one in list_ if one.key >= through] for list_ in read]
    return Selected(_selected(db, selection, known, at), through, True, sum(map(len, known)))


def _selected(db: Db, selection: Selection, lists: Sequence[Sequence[Contact]], at: datetime) -> Sequence[Recipient]:
    by_key: dict[str, Recipient] = {}
    for list_, contacts in zip(selection.lists, lists, strict=True):
        for contact in _found_by(db, list_, contacts, at):
            by_key.setdefault(contact.key, contact.recipient)
    keys = by_key if len(lists) == 1 else sorted(by_key)
    out = _left_out(db, selection.excluded, by_key, at)
    return [by_key[key] for key in keys if key not in out]


def _left_out(db: Db, excluded: Iterable[AudienceVersion], keys: Mapping[str, object], at: datetime) -> set[str]:
    """The folded addresses among these to which nothing goes."""
    out: set[str] = set()
    for list_ in excluded:
        rest = [key for key in keys if key not in out]
        contacts = members.among(db, list_, rest)
        out |= {contact.key for contact in _found_by(db, list_, contacts, at)}
    return out


def _found_by(db: Db, list_: AudienceVersion, contacts: Sequence[Contact], at: datetime) -> Iterator[Contact]:
    """The contacts that the list's filter finds."""
    if not list_.only:
        yield from contacts
        return
    node, digest = parse(list_.only), short_digest(list_.only)
    in_runs = {(part.event, part.runs) for part in parts_of(node) if isinstance(part, EventInRuns)}
    in_days = {(part.event, part.days) for part in parts_of(node) if isinstance(part, EventInDays)}
    keys = [one.key for one in contacts]
    facts = Facts(
        at,
        addresses_that(db, list_.audience, in_runs, keys, before=at),
        addresses_that_lately(db, list_.audience, in_days, keys, before=at),
    )
    # Of somebody who was erased it is known alone which filters had found them: nobody's position moves.
    yield from (
        one for one in contacts if (digest in one.found_by if one.recipient.erased else matches(node, one, facts))
    )
