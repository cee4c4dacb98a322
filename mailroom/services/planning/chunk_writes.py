"""What becomes of composed chunks: their mails are stored, their runs move on, and claiming is told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from mailroom.domain.ids import RunId
from mailroom.domain.runs import Run
from mailroom.services.planning.chunks import Chunk
from mailroom.storage.database import Db, Session
from mailroom.storage.dispatches import document as dispatches
from mailroom.storage.messages import document as messages
from mailroom.watching import planning as metrics


def store_mails(db: Db, chunks: Sequence[Chunk], *, now: datetime, session: Session) -> None:
    """Write the messages of these chunks, and the dispatches that carry them."""
    messages.add_many(db, [m for c in chunks for m in c.messages], session=session)
    dispatches.add_many(db, [d for c in chunks for d in c.dispatches], now=now, session=session)


def count_planned(chunks: Sequence[Chunk]) -> None:
    """Count the mails of chunks that are stored, for the metrics."""
    for state, count in Counter(m.state for c in chunks for m in c.messages).items():
        metrics.planned(state, count)


def run_after(chunk: Chunk) -> Run:
    """The run as far as it is planned with this chunk, in the state that it had."""
    run = chunk.run
    return replace(
        run, planned_through=chunk.through, chunks=run.chunks + chunk.numbers, placed=run.placed + chunk.members
    )


def claimable_since_of(chunks: Sequence[Chunk], now: datetime) -> dict[RunId, datetime]:
    """The runs with dispatches in these chunks that may be claimed now, each with the earliest `not_before`."""
    since: dict[RunId, datetime] = {}
    for chunk in chunks:
        for new in chunk.dispatches:
            at = new.not_before or now
            if not new.held and at <= now:
                since[new.run_id] = min(at, since.get(new.run_id, at))
    return since
