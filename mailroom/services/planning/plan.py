"""Due instants become runs, runs become messages and dispatches: by the holder of the lanes, in bulk.

Every transaction here touches the lanes' documents with their tokens, so a holder that was overtaken stores nothing.
A crash between two transactions loses nothing: the next holder goes on at `planned_through`.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Final, TypeVar

import structlog

from mailroom.domain import planning
from mailroom.domain.errors import StaleToken, StoreRestored, Unavailable
from mailroom.domain.holds import EVERYTHING
from mailroom.domain.ids import (
    ScheduleId,
    Token,
    schedule_lane,
)
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.planning import Decisions
from mailroom.domain.recurrence.model import RuleRefused
from mailroom.domain.runs import Run
from mailroom.domain.schedules import Schedule
from mailroom.services.planning.chunks import next_chunks
from mailroom.services.planning.decisions import runs_for
from mailroom.storage import holds, lanes
from mailroom.storage.cluster import restore_mark
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.dispatches import document as dispatches
from mailroom.storage.messages import document as messages
from mailroom.storage.messages import unreached
from mailroom.storage.schedules import contents, runs, schedules

log = structlog.get_logger()
SCHEDULES_A_STEP: Final = 500
_DECIDE_S: Final = 1.0  # of one step; schedules that it does not reach in this time are due in the next step


class _MovedMeanwhile(Exception):
    """A document is not as it was read: give the transaction up and look again."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What one step did: schedules that moved on, and those that could not, by a fault of their own."""

    moved: frozenset[ScheduleId] = frozenset()
    broken: frozenset[ScheduleId] = frozenset()

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(self.moved | other.moved, self.broken | other.broken)


T = TypeVar("T")


def _all_or_each(items: Sequence[tuple[ScheduleId, T]], store: Callable[[Sequence[T]], None]) -> Progress:
    """Store all in one transaction; if that cannot be, each in its own, so that one schedule holds up no other.

    Raises StaleToken, Unavailable.
    """
    if not items:
        return Progress()
    try:
        store([item for _, item in items])
    except (StaleToken, StoreRestored, Unavailable):
        raise
    except _MovedMeanwhile:
        if len(items) == 1:
            return Progress()  # edited or cancelled in this moment: look again
    except Exception:
        if len(items) == 1:
            log.exception("schedule_cannot_be_planned", schedule_id=items[0][0])
            return Progress(broken=frozenset({items[0][0]}))
    else:
        return Progress(moved=frozenset(id_ for id_, _ in items))
    return reduce(Progress.__add__, (_all_or_each([one], store) for one in items))


def plan_due(db: Db, held: Mapping[ScheduleId, Token], *, mark: int, now: datetime) -> Progress:
    """Decide the due instants of some of the held schedules, provided that MongoDB is not an older copy than one that
    had reached this mark; none while all sending is stopped. Raises StaleToken, StoreRestored, Unavailable."""
    due = schedules.due_among(db, list(held), now=now, limit=SCHEDULES_A_STEP)
    if not due or holds.get(db, EVERYTHING).held:
        return Progress()  # when sending starts again, the misfire rule decides about the instants that were missed
    replay = restore_mark.replay(db)
    histories = contents.histories(db, [schedule.id for schedule in due])

    decided: list[tuple[ScheduleId, tuple[Schedule, Decisions]]] = []
    aside: list[tuple[ScheduleId, tuple[Schedule, str]]] = []
    broken: set[ScheduleId] = set()
    began = time.monotonic()
    for schedule in due:
        try:
            if decisions := planning.decide(schedule, now, replay=replay):
                decided.append((schedule.id, (schedule, decisions)))
        except RuleRefused as error:
            aside.append((schedule.id, (schedule, str(error))))
        except Exception:  # one schedule's fault, such as a zone that tzdata has dropped, stops no other schedule
            log.exception("schedule_cannot_be_planned", schedule_id=schedule.id)
            broken.add(schedule.id)
        if time.monotonic() - began > _DECIDE_S:
            break

    def store(batch: Sequence[tuple[Schedule, Decisions]]) -> None:
        def work(session: Session) -> None:
            restore_mark.require_mark(db, mark, session)
            with lanes.under(db, {schedule_lane(s.id): held[s.id] for s, _ in batch}, session) as guard:
                if not schedules.move_on(db, batch, now=now, guard=guard):
                    raise _MovedMeanwhile
                runs.add_many(db, [r for s, d in batch for r in runs_for(s, d, histories[s.id], now)], session=session)

        in_transaction(db, work)

    def set_aside(batch: Sequence[tuple[Schedule, str]]) -> None:
        def work(session: Session) -> None:
            restore_mark.require_mark(db, mark, session)
            with lanes.under(db, {schedule_lane(s.id): held[s.id] for s, _ in batch}, session) as guard:
                if not all(schedules.set_aside(db, s, why, now=now, guard=guard) for s, why in batch):
                    raise _MovedMeanwhile

        in_transaction(db, work)
        for schedule, why in batch:
            log.error("schedule_set_aside", schedule_id=schedule.id, reason=why)

    return _all_or_each(decided, store) + _all_or_each(aside, set_aside) + Progress(broken=frozenset(broken))


def expand(
    db: Db, held: Mapping[ScheduleId, Token], *, batch_size: int, now: datetime, remembers: bool = False
) -> Progress:
    """Write the next messages of the held schedules' runs, about a thousand a transaction, and dispatches of up to
    `batch_size` of them.

    `remembers`: MongoDB was put back to an older copy once; what was called since the copy is looked up.

    One step takes a batch of small runs and one chunk of one large run, so that neither waits for the other.
    Raises StaleToken, Unavailable.
    """

    def store(batch: Sequence[Run]) -> None:
        chunks = next_chunks(db, batch, batch_size, remembers=remembers)

        def work(session: Session) -> None:
            tokens = {schedule_lane(c.run.schedule_id): held[c.run.schedule_id] for c in chunks}
            steps = [runs.Step(c.run, c.through, c.members, c.numbers, c.is_last) for c in chunks]
            with lanes.under(db, tokens, session) as guard:
                if not runs.advance(db, steps, now=now, guard=guard):
                    raise _MovedMeanwhile
                if not all(unreached.take(db, c.missed, c.run.id, session=session) for c in chunks if c.missed):
                    raise _MovedMeanwhile
                messages.add_many(db, [m for c in chunks for m in c.messages], session=session)
                dispatches.add_many(db, [d for c in chunks for d in c.dispatches], now=now, session=session)

        in_transaction(db, work)

    planning_runs = runs.in_planning(db, list(held), limit=SCHEDULES_A_STEP)
    stored = (_all_or_each([(run.schedule_id, run) for run in batch], store) for batch in _batches(planning_runs))
    return reduce(Progress.__add__, stored, Progress())


def _batches(planning_runs: Sequence[Run]) -> Iterator[list[Run]]:
    """`planning_runs` has one run a schedule."""
    small: list[Run] = []
    total = 0
    for run in planning_runs:
        if total + run.recipients <= CHUNK_RECIPIENTS:
            small.append(run)
            total += run.recipients
    if small:
        yield small
    large = next((run for run in planning_runs if run.recipients > CHUNK_RECIPIENTS), None)
    if large:
        yield [large]
