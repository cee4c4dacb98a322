"""Look through the recipients of a selection for those that lack merge fields, for a bounded time."""

import time
from collections.abc import Sequence
from itertools import islice

from mailroom.domain.audience_versions import ListChoice
from mailroom.domain.audiences import Recipient
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.merge_fields import FieldTally
from mailroom.services.audiences.selecting import pages_of_now
from mailroom.storage.database import Db


def look_through_own(tally: FieldTally, recipients: Sequence[Recipient], *, within_s: float) -> bool:
    """As `look_through`, of recipients that are no audience yet."""
    until = time.monotonic() + within_s
    rest = iter(recipients)
    while time.monotonic() < until or not tally.looked_at:
        step = list(islice(rest, CHUNK_RECIPIENTS))
        tally.look_at(step)
        if tally.looked_at == len(recipients):
            return True
    return False


def look_through(
    db: Db, tally: FieldTally, lists: Sequence[ListChoice], excluded: Sequence[ListChoice], *, within_s: float
) -> bool:
    """Count the recipients as they stand now, in the order of their addresses. False if the time was over before all
    were looked at: then the first ones were, at least some thousands. Raises Unavailable."""
    until = time.monotonic() + within_s
    for page in pages_of_now(db, lists, excluded):
        tally.look_at(page.recipients)
        if page.more and time.monotonic() >= until:
            return False
    return True
