"""Due instants become runs, runs become messages and dispatches: by the holder of the lanes, in bulk.

Every transaction here touches the lanes' documents with their tokens, so a holder that was overtaken stores nothing.
A crash between two transactions loses nothing: the next holder goes on at `planned_through`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from itertools import groupby, takewhile
from typing import Any, Final, TypeVar

import structlog

from mailroom.domain import planning
from mailroom.domain.audiences import Recipient
from mailroom.domain.content import CannotRender, Compiled, compile_content
from mailroom.domain.dispatches import NewDispatch
from mailroom.domain.errors import StaleToken, StoreRestored, Unavailable
from mailroom.domain.ids import (
    DispatchId,
    MessageId,
    ScheduleId,
    Token,
    digest_of_messages,
    dispatch_id,
    group_dispatch_id,
    message_id,
    schedule_lane,
)
from mailroom.domain.limits import CHUNK_BYTES, CHUNK_RECIPIENTS
from mailroom.domain.messages import Message, MessageState
from mailroom.domain.runs import Run
from mailroom.domain.schedules import Content, Schedule
from mailroom.services.deciding import runs_for
from mailroom.services.members import Member, Page, next_members, whole_groups
from mailroom.storage import cluster, contents, dispatches, lanes, messages, runs, schedules, suppressions, unreached
from mailroom.storage.database import Db, Session, in_transaction

log = structlog.get_logger()
SCHEDULES_A_STEP: Final = 500


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
    had reached this mark. Raises StaleToken, StoreRestored, Unavailable."""
    due = schedules.due_among(db, list(held), now=now, limit=SCHEDULES_A_STEP)
    if not due:
        return Progress()
    replay = cluster.replay(db)
    histories = contents.histories(db, [schedule.id for schedule in due])

    def store(batch: Sequence[Schedule]) -> None:
        decided = [
            (schedule, decisions) for schedule in batch if (decisions := planning.decide(schedule, now, replay=replay))
        ]

        def work(session: Session) -> None:
            cluster.require_mark(db, mark, session)
            lanes.touch(db, {schedule_lane(s.id): held[s.id] for s, _ in decided}, session)
            if not schedules.move_on(db, decided, now=now, session=session):
                raise _MovedMeanwhile
            runs.add_many(db, [r for s, d in decided for r in runs_for(s, d, histories[s.id], now)], session=session)

        if not decided:
            raise _MovedMeanwhile  # nothing is due after all: no progress that one could wait for
        in_transaction(db, work)

    return _all_or_each([(schedule.id, schedule) for schedule in due], store)


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next piece of a run: its messages, and the dispatches for those that are to be sent."""

    run: Run
    through: str
    is_last: bool
    messages: Sequence[Message]
    dispatches: Sequence[NewDispatch]
    numbers: int  # of dispatches that are used up, those with nobody to send to included
    missed: Sequence[Mapping[str, Any]]  # messages of another run that these are sent in the place of


def expand(db: Db, held: Mapping[ScheduleId, Token], *, batch_size: int, now: datetime) -> Progress:
    """Write the next messages of the held schedules' runs, about a thousand a transaction, and dispatches of up to
    `batch_size` of them.

    One step takes a batch of small runs and one chunk of one large run, so that neither waits for the other.
    Raises StaleToken, Unavailable.
    """

    def store(batch: Sequence[Run]) -> None:
        chunks = _next_chunks(db, batch, batch_size)

        def work(session: Session) -> None:
            lanes.touch(db, {schedule_lane(c.run.schedule_id): held[c.run.schedule_id] for c in chunks}, session)
            if not runs.advance(
                db, [(c.run, c.through, c.numbers, c.is_last) for c in chunks], now=now, session=session
            ):
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


def _next_chunks(db: Db, batch: Sequence[Run], batch_size: int) -> list[Chunk]:
    pages = next_members(db, batch)
    suppressed = suppressions.among(db, [m.recipient.key for page in pages.values() for m in page.members])
    written = contents.get_many(db, [(run.schedule_id, run.revision) for run in batch])
    return [_chunk(run, written[run.schedule_id, run.revision], pages[run.id], suppressed, batch_size) for run in batch]


def _chunk(run: Run, content: Content, page: Page, suppressed: Mapping[str, str], batch_size: int) -> Chunk:
    compiled, members = compile_content(content.subject, content.text, content.html), page.members
    made = [_message(run, member.recipient, compiled, suppressed) for member in members]
    made = made[: whole_groups(members, len(_fitting(made)))]
    members = members[: len(made)]
    is_last = not page.more and len(made) == len(page.members)
    through = members[-1].place if members else run.planned_through
    news: list[NewDispatch] = []
    carrier: dict[MessageId, DispatchId] = {}
    cut = list(_cut(run, members, made, batch_size))
    for number, (id_, some) in enumerate(cut, run.chunks):
        to_send = [message.id for message in some if message.state is MessageState.QUEUED]
        if to_send:
            news.append(_dispatch(run, id_, number, to_send))
            carrier |= dict.fromkeys(to_send, id_)
    messages_ = [replace(message, dispatch_id=carrier.get(message.id)) for message in made]
    missed = [member.missed for member in members if member.missed]
    return Chunk(run, through, is_last, messages_, news, len(cut), missed)


def _cut(
    run: Run, members: Sequence[Member], made: Sequence[Message], batch_size: int
) -> Iterator[tuple[DispatchId, Sequence[Message]]]:
    """Which messages go in which dispatch. Planned again after a restore, everybody is in the same one."""
    if run.source:
        by_group = groupby(zip(members, made, strict=True), key=lambda pair: pair[0].group)
        yield from ((group_dispatch_id(run.id, group), [m for _, m in pairs]) for group, pairs in by_group)
        return
    for number, start in enumerate(range(0, len(made), batch_size), run.chunks):
        yield dispatch_id(run.id, number), made[start : start + batch_size]  # by places, suppressed or not


def _dispatch(run: Run, id_: DispatchId, number: int, messages_: Sequence[MessageId]) -> NewDispatch:
    return NewDispatch(
        id=id_,
        run_id=run.id,
        schedule_id=run.schedule_id,
        lane=schedule_lane(run.schedule_id),
        chunk=number,
        revision=run.revision,
        messages=len(messages_),
        digest=digest_of_messages(messages_),
    )


def _message(run: Run, recipient: Recipient, compiled: Compiled, suppressed: Mapping[str, str]) -> Message:
    """One recipient's mail. A suppressed or unrenderable one is written with its reason, and never sinks the others."""
    state, reason, parts = MessageState.QUEUED, "", {}
    if recipient.key in suppressed:
        state, reason = MessageState.SUPPRESSED, suppressed[recipient.key]
    else:
        try:
            parts = compiled.parts_for(recipient.context())
        except CannotRender as error:
            state, reason = MessageState.FAILED, str(error)
    return Message(
        id=message_id(run.id, recipient.address),
        run_id=run.id,
        dispatch_id=None,
        address=recipient.address,
        name=recipient.name,
        parts=parts,
        state=state,
        reason=reason,
    )


def _fitting(made: Sequence[Message]) -> list[Message]:
    """As many as fit into one call by size; at least one."""
    size = 0

    def fits(message: Message) -> bool:
        nonlocal size
        size += sum(len(part) for part in message.parts.values())
        return size <= CHUNK_BYTES

    return list(takewhile(fits, made)) or list(made[:1])
