"""Composes the chunks of runs: reads who comes next, and renders their mails.

While a chunk of a large run is being stored, the next one may be composed already: storing waits for MongoDB, and
composing needs this process' processor.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Final

from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.runs import Run
from mailroom.services.common.run_values import ValuesOfRuns
from mailroom.services.planning.chunks import Chunk, Cut, next_chunks
from mailroom.services.planning.windows import Windows
from mailroom.storage.database import Db

_FRESH_S: Final = 2.0  # an older chunk ahead is composed anew, with what is suppressed by now


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A chunk of a run that is being composed, or was, for the run as it will be read once its last chunk is stored."""

    run: Run
    cut: Cut
    begun_at: float  # monotonic
    chunks: Future[list[Chunk]]

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() - self.begun_at < _FRESH_S

    def fits(self, batch: Sequence[Run], cut: Cut) -> bool:
        """True if just this run was read, everything in it is as it was foreseen, and the chunk is there."""
        return self.is_fresh and list(batch) == [self.run] and cut == self.cut and self.chunks.exception() is None


class ChunkComposer:
    """For one thread. What the chunks of a run have in common is read once."""

    def __init__(self, db: Db, *, ahead: Executor | None = None) -> None:
        """`ahead`: where chunks are composed ahead, one at a time; without it none is."""
        self._db, self._executor = db, ahead
        self._values, self._windows = ValuesOfRuns(db), Windows(db)
        self._ahead: _Ahead | None = None

    def next_chunks(self, batch: Sequence[Run], cut: Cut, *, remembers: bool) -> list[Chunk]:
        """The next chunk of each run. Raises Unavailable.

        `remembers`: MongoDB was restored from an older copy once; calls made since that copy are looked up. Nothing is
        composed ahead then: what is looked up is to be of this moment.
        """
        if self._ahead:
            self._ahead.chunks.exception()  # waits: two threads never use what the chunks have in common
        chunks = self._taken(batch, cut) if not remembers else None
        if chunks is None:
            chunks = self._composed(batch, cut, remembers=remembers)
        if self._executor and not remembers and _is_followed(chunks) and not self._is_another_ahead():
            self._ahead = self._begun(self._executor, chunks[0], cut)
        return chunks

    def _taken(self, batch: Sequence[Run], cut: Cut) -> list[Chunk] | None:
        """What was composed ahead for this run; None if nothing was, or if it does not fit any more."""
        ahead = self._ahead
        if ahead is None or ahead.run.id not in [run.id for run in batch]:
            return None
        self._ahead = None
        return ahead.chunks.result() if ahead.fits(batch, cut) else None

    def _is_another_ahead(self) -> bool:
        """True if a chunk of another run is there, that will be used soon."""
        return self._ahead is not None and self._ahead.is_fresh

    def _begun(self, executor: Executor, chunk: Chunk, cut: Cut) -> _Ahead:
        run = _after(chunk)
        return _Ahead(run, cut, time.monotonic(), executor.submit(self._composed, [run], cut, remembers=False))

    def _composed(self, batch: Sequence[Run], cut: Cut, *, remembers: bool) -> list[Chunk]:
        return next_chunks(self._db, batch, cut, remembers=remembers, run_values=self._values, windows=self._windows)


def _is_followed(chunks: Sequence[Chunk]) -> bool:
    """True for a chunk of a large run that is not its last one. Small runs are composed many together."""
    chunk = chunks[0]
    return len(chunks) == 1 and chunk.run.recipients > CHUNK_RECIPIENTS and not (chunk.is_last or chunk.run.source)


def _after(chunk: Chunk) -> Run:
    """The run as it will be read once this chunk is stored (see `run_planning.advance`)."""
    run = chunk.run
    return replace(
        run, planned_through=chunk.through, chunks=run.chunks + chunk.numbers, placed=run.placed + chunk.members
    )
