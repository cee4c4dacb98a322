"""How many a selection has today, and how many of them get nothing: before a segment or a schedule is saved."""

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from mailroom.domain.audience_versions import ListChoice
from mailroom.domain.schedules import Content
from mailroom.domain.topics import scopes_of_campaign
from mailroom.domain.words import counted
from mailroom.services.audiences.selecting import pages_of_now
from mailroom.storage import suppressions
from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db

MOST_LOOKED_AT: Final = 100_000  # contacts; from more of them the numbers are estimated
_MOST_S: Final = 3.0  # as from contacts that are not looked at in this time


class Numbers(NamedTuple):
    """`found`: recipients, those that are suppressed included. `exact`: False for an estimate from the first
    contacts."""

    found: int
    suppressed: int | None
    exact: bool

    def words(self, noun: str) -> str:
        """As `1 recipient`, `about 12,000 recipients`."""
        return f"{'' if self.exact else 'about '}{counted(self.found, noun)}"

    @property
    def said_of_suppressed(self) -> str:
        """A sentence; '' where none is. Of one whole audience they are not counted: `suppressed` is None."""
        if self.suppressed is None:
            return "Suppressed recipients are excluded."
        be = "is" if self.suppressed == 1 else "are"
        return f"{self.suppressed:,} of them {be} suppressed: they get nothing." if self.suppressed else ""


def count_of(db: Db, content: Content) -> Numbers:
    """Count who a run of this content would go to now. Raises Unavailable.

    The suppressed ones are counted only where the recipients are looked up: not of one whole audience.
    """
    if not content.is_composed:
        return Numbers(audiences.count(db, [content.audience]), None, True)
    return count(db, content.goes_to, content.excluded, topic=content.topic)


def count(db: Db, lists: Sequence[ListChoice], excluded: Sequence[ListChoice] = (), *, topic: str = "") -> Numbers:
    """Count who a schedule of this topic would go to now. Raises Unavailable."""
    found = suppressed = looked_at = 0
    more, until = False, time.monotonic() + _MOST_S
    for page in pages_of_now(db, lists, excluded):
        keys = [recipient.key for recipient in page.recipients]
        found += len(keys)
        suppressed += len(suppressions.among(db, keys, scopes_of_campaign(topic)))
        looked_at += page.looked_at
        more = page.more
        if looked_at >= MOST_LOOKED_AT or time.monotonic() >= until:
            break
    if not more:
        return Numbers(found, suppressed, True)
    whole = audiences.count(db, [one.audience for one in lists])
    scale = max(1.0, whole / max(looked_at, 1))
    return Numbers(round(found * scale), round(suppressed * scale), False)
