"""An erased person leaves every list. A place stays in earlier versions, so that nobody else's position moves."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from mailroom.domain.audience_versions import AudienceVersion, next_version
from mailroom.domain.contacts import Contact, leaving, tally
from mailroom.domain.errors import AudienceNotFound
from mailroom.domain.ids import AudienceId, short_digest
from mailroom.domain.segments.matching import Facts, matches
from mailroom.domain.segments.model import looks_at_events
from mailroom.domain.segments.parsing import parse
from mailroom.storage.audiences import contacts, erasing, members, versions
from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db, Session

_LISTS: Final = 1_000  # looked through at once
_MOST_NAMES: Final = 100_000


class NextList(NamedTuple):
    """`audience`: the next list that holds an address, and whose merge fields are counted; None if none of those
    `through` which was looked does. `is_last`: no list is left."""

    audience: AudienceId | None
    through: str
    is_last: bool


def next_list(db: Db, key: str, *, after: str) -> NextList:
    ids = audiences.kept_after(db, after, limit=_LISTS)
    holding = erasing.holding(db, ids, key)
    found = next((id_ for id_ in ids if id_ in holding), None)
    if found is not None:
        audiences.count_names(db, found, most=_MOST_NAMES)
    return NextList(found, ids[-1] if ids else after, not ids)


def erase(db: Db, audience: AudienceId, key: str, *, now: datetime, session: Session) -> int:
    """The contact of this folded address leaves, with a version of its own, and of its earlier data places are left.
    Returns how many documents were changed. A list that is gone has nobody."""
    try:
        before, _ = audiences.changing(db, audience, session=session, listed=False)
    except AudienceNotFound:
        return 0
    stored = members.documents_of(db, audience, [key], session=session)
    if stored:
        version = next_version(before.version, now=now)
        changes = leaving({key: members.contact_of(stored[key])}, [key])
        contacts.write(db, audience, changes, stored, version=version, session=session)
        by = tally(changes)
        audiences.changed(db, before, by, version=version, session=session)
        versions.note(db, AudienceVersion(audience, version), before.count + by.contacts, session=session)
    filters = _filters(db, audience, session)

    def found_by(contact: Contact) -> list[str]:
        return [short_digest(text) for text, at in filters.items() if matches(parse(text), contact, Facts(at))]

    return erasing.leave_places(db, audience, key, found_by, session=session)


def _filters(db: Db, audience: AudienceId, session: Session) -> Mapping[str, datetime]:
    """The filters of runs in planning. Those by events are left out: a list that is filtered so equals no other,
    however its positions are counted."""
    filters = erasing.filters_in_planning(db, audience, session=session)
    return {text: at for text, at in filters.items() if not looks_at_events(text)}
