"""The next piece of a run: its messages, and the dispatches that carry them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from typing import Any

from mailroom.domain.audiences import Recipient
from mailroom.domain.content import CannotRender, Compiled, compile_content
from mailroom.domain.dispatches.model import NewDispatch
from mailroom.domain.ids import (
    DispatchId,
    MessageId,
    digest_of_messages,
    dispatch_id,
    group_dispatch_id,
    message_id,
    schedule_lane,
)
from mailroom.domain.limits import CHUNK_BYTES
from mailroom.domain.messages import Message, MessageState
from mailroom.domain.runs import Run
from mailroom.domain.schedules import Content
from mailroom.domain.spans import Calls, Group, span_of, spans_of_groups
from mailroom.domain.suppressions import OF_CAMPAIGNS
from mailroom.services.planning.members import Member, Page, next_members, whole_groups
from mailroom.storage import suppressions
from mailroom.storage.cluster import restored_fences
from mailroom.storage.database import Db
from mailroom.storage.schedules import contents


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one transaction writes of a run: messages, and the dispatches for those that are to be sent."""

    run: Run
    through: str
    is_last: bool
    members: int  # of the audience that this comes to, whoever of them gets a mail
    messages: Sequence[Message]
    dispatches: Sequence[NewDispatch]
    numbers: int  # of dispatches that are used up, those with nobody to send to included
    missed: Sequence[Mapping[str, Any]]  # messages of another run that these are sent in the place of


def next_chunks(db: Db, batch: Sequence[Run], batch_size: int, *, remembers: bool) -> list[Chunk]:
    """For each run the next piece, with dispatches of up to `batch_size` messages. `remembers`: the database was put
    back to an older copy once, and keeps what fences knew."""
    pages = next_members(db, batch)
    keys = [member.recipient.key for page in pages.values() for member in page.members]
    suppressed = suppressions.among(db, keys, OF_CAMPAIGNS)
    written = contents.get_many(db, [(run.schedule_id, run.revision) for run in batch])
    called = {run.id: Calls(_called(db, run) if remembers else {}) for run in batch}
    return [
        _chunk(run, written[run.schedule_id, run.revision], pages[run.id], suppressed, batch_size, called[run.id])
        for run in batch
    ]


def _chunk(
    run: Run,
    content: Content,
    page: Page,
    suppressed: Mapping[str, str],
    batch_size: int,
    called: Calls,
) -> Chunk:
    compiled, members = compile_content(content.subject, content.text, content.html), page.members
    made = [_message(run, member.recipient, compiled, suppressed) for member in members]
    made = made[: whole_groups(members, len(_fitting(made)))]
    members = members[: len(made)]
    is_last = not page.more and len(made) == len(page.members)
    through = members[-1].place if members else run.planned_through
    news: list[NewDispatch] = []
    carrier: dict[MessageId, DispatchId] = {}
    cut = list(_cut(run, members, made, batch_size))
    for number, (id_, some, span) in enumerate(cut, run.chunks):
        to_send = [message.id for message in some if message.state is MessageState.QUEUED]
        if to_send:
            news.append(_dispatch(run, id_, number, to_send, span, called))
            carrier |= dict.fromkeys(to_send, id_)
    messages_ = [replace(message, dispatch_id=carrier.get(message.id)) for message in made]
    missed = [member.missed for member in members if member.missed]
    return Chunk(run, through, is_last, len(members), messages_, news, len(cut), missed)


def _cut(
    run: Run, members: Sequence[Member], made: Sequence[Message], batch_size: int
) -> Iterator[tuple[DispatchId, Sequence[Message], str]]:
    """Which messages go in which dispatch, with its span. Planned again after a restore, everybody is in the same one;
    where they are not, because of another batch size or another list, the spans tell."""
    if run.source or run.audience is None:
        for group, pairs in groupby(zip(members, made, strict=True), key=lambda pair: pair[0].group):
            name, span = (group.name, group.span) if isinstance(group, Group) else (str(group), "")
            yield group_dispatch_id(run.id, name), [message for _, message in pairs], span
        return
    for number, start in enumerate(range(0, len(made), batch_size), run.chunks):
        some = made[start : start + batch_size]  # by places, suppressed or not
        first = run.placed + start
        yield dispatch_id(run.id, number), some, span_of(run.audience, first, first + len(some))


def _dispatch(
    run: Run,
    id_: DispatchId,
    number: int,
    messages_: Sequence[MessageId],
    span: str,
    called: Calls,
) -> NewDispatch:
    return NewDispatch(
        id=id_,
        run_id=run.id,
        schedule_id=run.schedule_id,
        lane=schedule_lane(run.schedule_id),
        chunk=number,
        revision=run.revision,
        messages=len(messages_),
        digest=digest_of_messages(messages_),
        span=span,
        held=_why_held(id_, span, called),
    )


def _called(db: Db, run: Run) -> Mapping[DispatchId, str]:
    """The calls of the run that fences remember and a restored MongoDB does not, each with its span."""
    called = restored_fences.called_of_run(db, run.id)
    return spans_of_groups(run.id, run.groups, called) if run.groups else called


def _why_held(id_: DispatchId, span: str, called: Calls) -> str:
    """Why nobody can know whether this may be sent: a call that the database has forgotten went to some of the same
    people, and was not this one's or its parts'. '' where there was none."""
    other = called.sharing(id_, span)
    return f"before MongoDB was put back, the run was cut otherwise: some of these may be in {other}" if other else ""


def _message(run: Run, recipient: Recipient, compiled: Compiled, suppressed: Mapping[str, str]) -> Message:
    """One recipient's mail. A suppressed or unrenderable one is written with its reason, and never sinks the others."""
    state, reason, parts = MessageState.QUEUED, "", {}
    if recipient.key in suppressed:
        state, reason = MessageState.SUPPRESSED, suppressed[recipient.key]
    elif run.unwritten:
        state = MessageState.CANCELLED
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
