"""What was sent to a person: campaigns and single mails in one list. Used by the API and the pages.

An address is found by ids alone: single mails have an index of their recipients, and a message of a run is named by run
and address. So runs are looked through from the latest one on, a bounded number for each page. The start of an address
is first replaced by the addresses that begin with it: of single mails, and of the audiences of the latest runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.domain.addresses import InvalidAddress, check_address, fold, trimmed
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import DispatchId, EmailId, MessageId, RunId, ScheduleId, run_of_email
from mailroom.domain.messages.states import MessageState
from mailroom.domain.runs import Run
from mailroom.domain.searches import RunOrder, RunSearch
from mailroom.storage.audiences import members
from mailroom.storage.database import Db
from mailroom.storage.mails import email_lists
from mailroom.storage.mails.email_lists import EmailRow
from mailroom.storage.messages import people
from mailroom.storage.messages.people import FoundMessage
from mailroom.storage.paging import Place
from mailroom.storage.schedules import run_lists, schedules, subjects

MOST_LOOKS: Final = 2_000  # messages of campaigns that are looked up for one page
MOST_ADDRESSES: Final = 10  # that begin with the term
MOST_AUDIENCES: Final = 50  # audiences in which addresses are looked for by their start
MIN_TERM: Final = 3  # characters of an address
_RUNS_A_STEP: Final = MOST_LOOKS // MOST_ADDRESSES


@dataclass(frozen=True, slots=True)
class SentMessage:
    """One mail to a person. `at`: when its run was due, or the single mail was accepted. Of a single mail `run_id` and
    `schedule_id` are None and `schedule_name` is ''; of a campaign `email_id` is None. The subject of a campaign stands
    as it was written, with its variables."""

    at: datetime
    id: MessageId
    address: str
    state: MessageState
    subject: str
    dispatch_id: DispatchId | None
    run_id: RunId | None = None
    schedule_id: ScheduleId | None = None
    schedule_name: str = ""
    email_id: EmailId | None = None


@dataclass(frozen=True, slots=True)
class PersonPage:
    """Mails to a person, newest first. A page may be short, or empty, while `next_place` says where to look on.

    `addresses`: those that were looked for. `all_addresses` is False if more begin with the term.
    """

    items: Sequence[SentMessage]
    addresses: Sequence[str]
    all_addresses: bool
    next_place: Place | None


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A piece of the list, newest first, that is looked at whole. `end`: its last row; None: the list ends here."""

    runs: Sequence[Run]
    emails: Sequence[EmailRow]
    end: Place | None


def find(db: Db, term: str, *, before: Place | None = None, limit: int) -> PersonPage:
    """The mails to a whole address, or to the first MOST_ADDRESSES that begin with the term. `before` is the
    `next_place` of the page before.

    A page looks up at most MOST_LOOKS messages of campaigns. All mails of one run or one single mail stand on one page,
    so it may have a few more than `limit`. Raises InvalidInput: fewer than MIN_TERM characters.
    """
    addresses, all_of_them = _addresses(db, term)
    messages: list[SentMessage] = []
    place = before
    steps = MOST_LOOKS // (_RUNS_A_STEP * len(addresses)) if addresses else 0
    for _ in range(steps):
        stretch = _next(db, addresses, before=place, limit=limit)
        for group in _groups(db, stretch, addresses):
            messages += group
            if len(messages) >= limit:
                return PersonPage(messages, addresses, all_of_them, _place(group[-1]))
        place = stretch.end
        if place is None:
            break
    return PersonPage(messages, addresses, all_of_them, place if addresses else None)


def _addresses(db: Db, term: str) -> tuple[list[str], bool]:
    """The folded addresses to look for, and whether these are all that begin with the term."""
    start = fold(trimmed(term))
    try:
        return [fold(check_address(start))], True
    except InvalidAddress:
        pass
    if len(start) < MIN_TERM:
        raise InvalidInput(Fault("recipient", f"type at least {MIN_TERM} characters of an address"))
    most = MOST_ADDRESSES + 1
    addresses = set(email_lists.addresses_from(db, start, limit=most))
    for audience in run_lists.latest_audiences(db, runs=MOST_LOOKS)[:MOST_AUDIENCES]:
        addresses |= set(members.addresses_from(db, audience, start, limit=most))
    return sorted(addresses)[:MOST_ADDRESSES], len(addresses) < most


def _next(db: Db, addresses: Sequence[str], *, before: Place | None, limit: int) -> _Stretch:
    """The next runs, and the single mails among them by time."""
    runs_ = run_lists.page(db, RunSearch(), None, RunOrder.LATEST_DUE, after=before, limit=_RUNS_A_STEP)
    end: Place | None = (runs_[-1].due_at, runs_[-1].id) if len(runs_) == _RUNS_A_STEP else None
    emails: dict[EmailId, EmailRow] = {}
    for address in addresses:
        rows = email_lists.to(db, address, before=before, limit=limit)
        emails |= {row.id: row for row in rows}
        if len(rows) == limit:  # this address has more: what lies beyond them is not looked at yet
            last: Place = (rows[-1].created_at, rows[-1].id)
            end = last if end is None else max(end, last)
    if end is None:
        return _Stretch(runs_, list(emails.values()), None)
    return _Stretch(
        [run for run in runs_ if (run.due_at, run.id) >= end],
        [row for row in emails.values() if (row.created_at, row.id) >= end],
        end,
    )


def _groups(db: Db, stretch: _Stretch, addresses: Sequence[str]) -> Iterator[list[SentMessage]]:
    """The mails of each run and each single mail that went to these addresses, newest first."""
    of: list[RunId] = [run.id for run in stretch.runs] + [run_of_email(row.id) for row in stretch.emails]
    by_run: dict[RunId, list[FoundMessage]] = {}
    for message in people.to(db, addresses, of=of):
        by_run.setdefault(message.run_id, []).append(message)
    mailed = [run for run in stretch.runs if run.id in by_run]
    names = schedules.names(db, list({run.schedule_id for run in mailed}))
    about = subjects.of_revisions(db, {(run.schedule_id, run.revision) for run in mailed})
    groups = [[_of_run(run, message, about, names) for message in by_run[run.id]] for run in mailed]
    single = [(row, by_run.get(run_of_email(row.id))) for row in stretch.emails]
    groups += [[_of_email(row, message) for message in messages] for row, messages in single if messages]
    return iter(sorted(groups, key=lambda group: _place(group[0]), reverse=True))


def _of_run(
    run: Run,
    message: FoundMessage,
    about: Mapping[tuple[ScheduleId, int], str],
    names: Mapping[ScheduleId, str],
) -> SentMessage:
    return SentMessage(
        at=run.due_at,
        id=message.id,
        address=message.address,
        state=message.state,
        subject=about.get((run.schedule_id, run.revision), ""),
        dispatch_id=message.dispatch_id,
        run_id=run.id,
        schedule_id=run.schedule_id,
        schedule_name=names.get(run.schedule_id, ""),
    )


def _of_email(row: EmailRow, message: FoundMessage) -> SentMessage:
    return SentMessage(
        at=row.created_at,
        id=message.id,
        address=message.address,
        state=message.state,
        subject=row.subject,
        dispatch_id=message.dispatch_id,
        email_id=row.id,
    )


def _place(message: SentMessage) -> tuple[datetime, str]:
    return message.at, message.run_id or message.email_id or ""
