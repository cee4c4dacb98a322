"""The next chunk of a run: its messages, and the dispatches that carry them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, takewhile

from mailroom.domain import run_content
from mailroom.domain.attached_files import size_of
from mailroom.domain.dispatches.model import NewDispatch
from mailroom.domain.dispatches.spans import Calls, Group, of_part, span_of, spans_of_groups
from mailroom.domain.ids import (
    DispatchId,
    MessageId,
    RunId,
    digest_of_messages,
    dispatch_id,
    domain_dispatch_id,
    group_dispatch_id,
    slice_dispatch_id,
)
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.limits import CHUNK_BYTES
from mailroom.domain.messages.model import Message
from mailroom.domain.messages.queued_or_suppressed import planned_message
from mailroom.domain.messages.states import MessageState
from mailroom.domain.run_values import NO_RUN_VALUES, RunValues
from mailroom.domain.runs import Run
from mailroom.domain.schedules import Content
from mailroom.domain.segments.model import looks_at_events
from mailroom.domain.shares import Shares
from mailroom.domain.slice_places import whole_batches
from mailroom.domain.topics import scopes_of_campaign
from mailroom.services.common.run_values import ValuesOfRuns
from mailroom.services.planning.members import Member, Page, next_members, whole_groups
from mailroom.services.planning.windows import Windows
from mailroom.storage import suppressions
from mailroom.storage.cluster import restored_fences
from mailroom.storage.database import Db
from mailroom.storage.schedules import contents


@dataclass(frozen=True, slots=True)
class Chunk:
    """The part of a run that a transaction writes: messages, and the dispatches that carry those to be sent."""

    run: Run
    through: str
    is_last: bool
    counts: bool  # only now it is known how many members the run has
    members: int  # members of the run in this chunk, whether they get a mail or not
    messages: Sequence[Message]
    dispatches: Sequence[NewDispatch]
    numbers: int  # dispatch numbers used, those of batches without a recipient included
    missed: Sequence[MessageId]  # messages of another run that these messages replace


@dataclass(frozen=True, slots=True)
class Cut:
    """How runs are cut into dispatches: the most messages of one, and the shares between providers. Recipients of a
    domain with shares of its own get dispatches of their own."""

    batch_size: int
    shares: Shares


def next_chunks(
    db: Db, batch: Sequence[Run], cut: Cut, *, remembers: bool, run_values: ValuesOfRuns, windows: Windows
) -> list[Chunk]:
    """The next chunk of each run. `remembers`: the database was restored from an older copy once, and stores the
    fences' records of that time."""
    pages = next_members(db, batch, windows)
    keys = [member.recipient.key for page in pages.values() for member in page.members]
    entries = suppressions.entries_among(db, keys)
    written = contents.get_many(db, [(run.schedule_id, run.revision) for run in batch])
    topics = {content.topic for content in written.values()}
    suppressed = {topic: suppressions.reasons(entries, scopes_of_campaign(topic)) for topic in topics}
    called = {run.id: Calls(_called(db, run) if remembers else {}) for run in batch}
    of_runs = [(run, written[run.schedule_id, run.revision]) for run in batch]
    values = run_values.of({run.id: content for run, content in of_runs})
    return [
        _chunk(
            run,
            content,
            pages[run.id],
            suppressed[content.topic],
            cut,
            called[run.id],
            values.get(run.id, NO_RUN_VALUES),
        )
        for run, content in of_runs
    ]


def claimable_since_of(chunks: Sequence[Chunk], now: datetime) -> dict[RunId, datetime]:
    """The runs with dispatches in these chunks that may be claimed now, each with the earliest `not_before`."""
    since: dict[RunId, datetime] = {}
    for chunk in chunks:
        for new in chunk.dispatches:
            at = new.not_before or now
            if not new.held and at <= now:
                since[new.run_id] = min(at, since.get(new.run_id, at))
    return since


def _chunk(
    run: Run,
    content: Content,
    page: Page,
    suppressed: Mapping[str, str],
    cut: Cut,
    called: Calls,
    values: RunValues,
) -> Chunk:
    compiled, members = run_content.compiled(content, values), _whole(run, page, cut.batch_size)
    mails = [planned_message(run, member.recipient, compiled, suppressed) for member in members]
    mails = mails[: whole_groups(members, len(_fitting(mails)))]
    members = members[: len(mails)]
    is_whole = len(mails) == len(page.members)
    through = page.through if is_whole else members[-1].place
    news: list[NewDispatch] = []
    carrier: dict[MessageId, DispatchId] = {}
    batches = list(_cut(run, members, mails, cut.batch_size))
    for number, batch in enumerate(batches, run.chunks):
        for part in _by_domain(batch, cut.shares):
            news.append(_dispatch(run, content, number, batch.slice, part, called))
            carrier |= dict.fromkeys(part.messages, part.id)
    messages_ = [message.carried_by(carrier.get(message.id)) for message in mails]
    missed = [member.missed for member in members if member.missed]
    is_last, counts = is_whole and not page.more, run.is_composed
    return Chunk(run, through, is_last, counts, len(members), messages_, news, len(batches), missed)


def _whole(run: Run, page: Page, batch_size: int) -> Sequence[Member]:
    """The members of the page; of one of slices, those that fill whole batches: the others come with the next chunk."""
    if not run.recipient_time:
        return page.members
    return page.members[: whole_batches([one.slice for one in page.members], batch_size, goes_on=page.goes_on)]


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one dispatch carries, or with shares of domains several; `slice`: None for a run that goes out at once."""

    id: DispatchId
    messages: Sequence[Message]
    span: str
    slice: datetime | None = None


def _cut(run: Run, members: Sequence[Member], mails: Sequence[Message], batch_size: int) -> Iterator[_Batch]:
    """Cut the messages into batches. Replanning after a restore puts each recipient into the same dispatch. After a
    change of the batch size or of the list it may not; the spans then show overlaps."""
    if run.source:
        for group, pairs in groupby(zip(members, mails, strict=True), key=lambda pair: pair[0].group):
            name, span = (group.name, group.span) if isinstance(group, Group) else (str(group), "")
            yield _Batch(group_dispatch_id(run.id, name), [message for _, message in pairs], span)
        return
    list_, number, first = _list_name(run), run.chunks, run.placed
    for slice_, pairs in groupby(zip(members, mails, strict=True), key=lambda pair: pair[0].slice):
        of_slice = [message for _, message in pairs]
        for start in range(0, len(of_slice), batch_size):
            batch = of_slice[start : start + batch_size]  # by position in the list, suppressed or not
            id_ = slice_dispatch_id(run.id, number, slice_) if slice_ else dispatch_id(run.id, number)
            yield _Batch(id_, batch, span_of(list_, first, first + len(batch)), slice_)
            number, first = number + 1, first + len(batch)


def _list_name(run: Run) -> str:
    """The name of the list that the run goes to, and of its order. What readers did may be known otherwise when the run
    is planned again: so a list that is filtered by events equals no other."""
    name = run.goes_to.name
    lists = [*run.goes_to.lists, *run.goes_to.excluded]
    if any(looks_at_events(one.only) for one in lists):
        name = f"{name}!{run.created_at.timestamp():.0f}"
    return f"{name}/{run.recipient_time.division}" if run.recipient_time else name


@dataclass(frozen=True, slots=True)
class _DomainPart:
    """The messages of a batch that one dispatch carries: of recipients of `domain`, or with '' of all others."""

    id: DispatchId
    domain: str
    messages: Sequence[MessageId]
    span: str


def _by_domain(batch: _Batch, shares: Shares) -> list[_DomainPart]:
    """The messages to send, by the domains that have shares of their own. Usually one part has all."""
    to_send: dict[str, list[MessageId]] = {}
    for message in batch.messages:
        if message.state is MessageState.QUEUED:
            to_send.setdefault(shares.domain_of(message.address), []).append(message.id)
    return [
        _DomainPart(
            domain_dispatch_id(batch.id, domain) if domain else batch.id,
            domain,
            ids,
            of_part(batch.span, shares.by_domain, domain),
        )
        for domain, ids in to_send.items()
    ]


def _dispatch(
    run: Run, content: Content, number: int, slice_: datetime | None, part: _DomainPart, called: Calls
) -> NewDispatch:
    return NewDispatch(
        id=part.id,
        run_id=run.id,
        schedule_id=run.schedule_id,
        lane=schedule_lane(run.schedule_id),
        chunk=number,
        revision=run.revision,
        messages=len(part.messages),
        digest=digest_of_messages(part.messages),
        size=size_of(content.files),
        span=part.span,
        domain=part.domain,
        held=_why_held(part.id, part.span, called),
        due_at=slice_ or run.due_at,
        not_before=slice_,
    )


def _called(db: Db, run: Run) -> Mapping[DispatchId, str]:
    """The calls of the run that fences have recorded and a restored MongoDB has lost, each with its span."""
    called = restored_fences.called_of_run(db, run.id)
    return spans_of_groups(run.id, run.groups, called) if run.groups else called


def _why_held(id_: DispatchId, span: str, called: Calls) -> str:
    """The reason to hold a dispatch: another call, which the restored database has lost, may have gone to recipients of
    this dispatch, and is neither a call of this dispatch nor of its parts. '' without such a call."""
    other = called.sharing(id_, span)
    return f"before MongoDB was put back, the run was cut otherwise: some of these may be in {other}" if other else ""


def _fitting(mails: Sequence[Message]) -> list[Message]:
    """The prefix of `mails` that fits into one chunk by size; at least one mail."""
    size = 0

    def fits(message: Message) -> bool:
        nonlocal size
        size += sum(len(part) for part in message.parts.values())
        return size <= CHUNK_BYTES

    return list(takewhile(fits, mails)) or list(mails[:1])
