"""A person's data: everything that is stored about an address, as one JSON document, read a piece at a time.

It is looked for where an erasure looks: by ids, and by the addresses of single mails. What is not stored under the
address any more, because it was erased, is not in it, but for what its name stands for: suppressions and the journal.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from mailroom.domain.erasures import key_of_person
from mailroom.domain.ids import run_of_email
from mailroom.storage import consents, erasures, events, rejected_requests, subscription_requests, suppressions, topics
from mailroom.storage.audiences import document as audiences
from mailroom.storage.audiences import erasing as list_erasing
from mailroom.storage.database import Db, server_now
from mailroom.storage.mails import erasing as mail_erasing
from mailroom.storage.messages import erasing as message_erasing
from mailroom.storage.messages.erasing import MessageFields
from mailroom.storage.schedules import runs

_LISTS: Final = 1_000
_RUNS: Final = 1_000
_MAILS: Final = 50
_REFUSALS: Final = 1_000
_ENTRIES: Final = 100_000

Row = Mapping[str, object]


def pieces_of(db: Db, address: str) -> Iterator[str]:
    """The document, in pieces. Raises InvalidInput before the first one; Unavailable."""
    key = key_of_person(address)
    return _pieces(key, server_now(db), {name: read(db, key) for name, read in _SECTIONS.items()})


def _pieces(key: str, now: datetime, sections: Mapping[str, Iterable[Row]]) -> Iterator[str]:
    yield f'{{"address": {_json(key)}, "exported_at": {_json(now)}'
    for name, rows in sections.items():
        yield f', "{name}": ['
        for number, row in enumerate(rows):
            yield f"{', ' if number else ''}{_json(row)}"
        yield "]"
    yield "}"


def _suppressions(db: Db, key: str) -> Iterator[Row]:
    found = suppressions.get(db, key)
    for entry in found.entries if found else ():
        yield {"scope": entry.scope, "reason": entry.reason, "since": entry.since, "note": entry.note}


def _contacts(db: Db, key: str) -> Iterator[Row]:
    """In each list, what is known of the contact, and what was before."""
    after = ""
    while ids := audiences.kept_after(db, after, limit=_LISTS):
        for audience in sorted(list_erasing.holding(db, ids, key)):
            name = audiences.get(db, audience).name
            for row in list_erasing.stored_of(db, audience, key):
                yield {"audience": audience, "audience_name": name, **row}
        after = ids[-1]


def _consent(db: Db, key: str) -> Iterator[Row]:
    keys = [key, *suppressions.names_of(db, [key]).values()]
    for entry in consents.of_address(db, keys, limit=_ENTRIES):
        fields = {"act": entry.act, "scope": entry.scope, "at": entry.at, "by": entry.by, "run": entry.run}
        yield {**fields, "asked_at": entry.asked_at, "name": entry.name or None}


def _subscription_requests(db: Db, key: str) -> Iterator[Row]:
    yield from subscription_requests.stored_of(db, key, topics.ids(db))


def _campaign_mails(db: Db, key: str) -> Iterator[Row]:
    """Each with the events about it. `parts` are what was written for this recipient alone."""
    after = ""
    while ids := runs.ids_after(db, after, limit=_RUNS):
        yield from _with_events(db, message_erasing.stored_of(db, key, ids))
        after = ids[-1]


def _mails(db: Db, key: str) -> Iterator[Row]:
    before: tuple[datetime, str] | None = None
    while page := mail_erasing.stored_of(db, key, before=before, limit=_MAILS):
        messages = message_erasing.stored_of(db, key, [run_of_email(mail.id) for mail in page])
        delivery = {one.run_id: row for one, row in zip(messages, _with_events(db, messages), strict=True)}
        for mail in page:
            yield {"id": mail.id, **mail.fields, "delivery": delivery.get(run_of_email(mail.id))}
        before = (page[-1].created_at, page[-1].id)


def _with_events(db: Db, messages: Sequence[MessageFields]) -> Sequence[Row]:
    told = events.stored_of(db, [message.id for message in messages])
    return [{"id": message.id, **message.fields, "events": told[message.id]} for message in messages]


def _other_events(db: Db, key: str) -> Iterator[Row]:
    yield from events.strays_of(db, key)


def _refusals(db: Db, key: str) -> Iterator[Row]:
    after = ""
    while (looked := rejected_requests.look_through(db, key, after=after, limit=_REFUSALS)).through:
        yield from looked.holding.values()
        after = looked.through


def _erasures(db: Db, key: str) -> Iterator[Row]:
    names = suppressions.names_of(db, [key])
    for one in erasures.of_name(db, names[key], limit=_ENTRIES) if names else ():
        yield {"id": one.id, "state": one.state, "asked_at": one.asked_at, "asked_by": one.asked_by}


_SECTIONS: Final[Mapping[str, Callable[[Db, str], Iterable[Row]]]] = {
    "suppressions": _suppressions,
    "audiences": _contacts,
    "consent": _consent,
    "subscription_requests": _subscription_requests,
    "campaign_mails": _campaign_mails,
    "mails": _mails,
    "other_events": _other_events,
    "refused_requests": _refusals,
    "erasures": _erasures,
}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_as_text)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
