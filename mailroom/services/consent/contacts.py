"""View a contact: what an address gets, why not, which audiences it is in, and what its reader left and joined."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailroom.domain.addresses import fold
from mailroom.domain.audiences import Audience
from mailroom.domain.consent import ConsentEntry, TopicChoice
from mailroom.domain.suppressions import Suppression
from mailroom.services.consent import membership
from mailroom.storage import consents, suppressions
from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db

_MOST_ENTRIES: Final = 200


@dataclass(frozen=True, slots=True)
class ContactView:
    """`topics`: the first hundred by their ids. `audiences`: those among the newest thousand listed ones that hold the
    address. `consent`: the newest two hundred entries of the journal, newest first."""

    address: str
    topics: Sequence[TopicChoice]
    suppression: Suppression | None
    audiences: Sequence[Audience]
    consent: Sequence[ConsentEntry]


def view(db: Db, address: str) -> ContactView:
    """An address that nothing is known of is a contact too: all topics go to it."""
    key = fold(address)
    return ContactView(
        key,
        membership.choices(db, address),
        suppressions.get(db, address),
        audiences.listed_with(db, key),
        consents.of_address(db, [key, *suppressions.names_of(db, [key]).values()], limit=_MOST_ENTRIES),
    )
