"""What joining a topic lifts: the reader's own unsubscribes, and nothing else."""

from collections.abc import Collection, Sequence
from datetime import datetime

from mailroom.domain.events import SuppressionReason
from mailroom.domain.suppressions import CAMPAIGNS, Entry
from mailroom.storage import suppressions
from mailroom.storage.database import Db, Session


def unsubscribes_of(entries: Sequence[Entry], topic: str) -> dict[str, Entry]:
    """By scope: those among the entries of an address by which its reader has left the topic, or all campaigns."""
    return {
        entry.scope: entry
        for entry in entries
        if entry.scope in (topic, CAMPAIGNS) and entry.reason == SuppressionReason.UNSUBSCRIBED
    }


def lift(
    db: Db, key: str, topic: str, left: dict[str, Entry], *, known: Collection[str], at: datetime, session: Session
) -> None:
    """End these unsubscribes of a folded address, from before `at`, in the transaction. Who had left all campaigns
    stays away from every other topic there is. `known`: the ids of all topics."""
    if from_all := left.get(CAMPAIGNS):
        others = sorted({*known} - {topic})
        kept = [Entry(other, from_all.reason, from_all.since, "", from_all.told_by) for other in others]
        suppressions.add_many(db, [(key, entry) for entry in kept], session=session, asked_now=True)
    suppressions.take_back(db, [(key, at)], scopes=left.keys(), session=session)
