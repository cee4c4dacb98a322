"""Small runs, written whole in the transaction that decides them: each document once, as it is to stand.

Written by a second transaction, a small run would cost MongoDB half as much again: of a thousand schedules that are due
together, the last mail would go out so much later.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.runs import MOVES, Run, RunState, RunTrigger
from mailroom.services.common.run_values import ValuesOfRuns
from mailroom.services.planning.chunk_writes import run_after, store_mails
from mailroom.services.planning.chunks import Chunk, Cut, next_chunks
from mailroom.services.planning.windows import Windows
from mailroom.storage.database import Db, Session
from mailroom.storage.schedules import runs


def small_ones(of: Iterable[Run]) -> list[Run]:
    """The first small runs, a chunk of them."""
    small: list[Run] = []
    total = 0
    for run in of:
        if total + run.recipients <= CHUNK_RECIPIENTS:
            small.append(run)
            total += run.recipients
    return small


def add(db: Db, decided: Sequence[Run], cut: Cut, *, now: datetime, session: Session) -> list[Chunk]:
    """Add runs and records in the transaction that decides them; of the first small runs with their mails. Returns the
    chunks of these. The mails of other runs are still to be written (see expanding.py).

    For a MongoDB that was never restored from an older copy: calls that such a copy has lost are not looked up."""
    new = runs.new_among(db, decided, session=session)
    small = small_ones(run for run in new if _can_be_written(run))
    chunks = (
        next_chunks(db, small, cut, remembers=False, run_values=ValuesOfRuns(db), windows=Windows(db)) if small else []
    )
    written = {chunk.run.id: _written(chunk, now) for chunk in chunks}
    runs.insert(db, [written.get(run.id, run) for run in new], session=session)
    store_mails(db, chunks, now=now, session=session)
    return chunks


def _can_be_written(run: Run) -> bool:
    """True for a run whose mails need nothing that is found out after its decision, and that goes out at once."""
    return run.state is RunState.PLANNING and not (run.awaits_feed or run.recipient_time or run.source)


def _written(chunk: Chunk, now: datetime) -> Run:
    run = run_after(chunk)
    if not chunk.is_last:  # its mails were too large for one chunk
        return run
    recipients = run.placed if chunk.counts else run.recipients
    return replace(run, state=MOVES[RunTrigger.PLANNED][1], planned_at=now, recipients=recipients)
