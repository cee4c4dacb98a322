"""The steps of an erasure, by its phase. Each looks for what is next, and says what a transaction is to do with it.

What cannot go yet is left, and looked at again at the end (`waits`): runs whose messages are still being written, and
calls of which nobody knows yet what became of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.erasures import Erasure, ErasurePhase
from mailroom.domain.ids import EmailId, RunId, is_email, run_of_email
from mailroom.services.persons import places
from mailroom.storage import consents, events, rejected_requests, subscription_requests, suppressions, topics
from mailroom.storage.database import Db, Session
from mailroom.storage.dispatches import erasing as dispatch_erasing
from mailroom.storage.dispatches import outcomes as dispatch_outcomes
from mailroom.storage.mails import erasing as mail_erasing
from mailroom.storage.messages import erasing as message_erasing
from mailroom.storage.messages.erasing import ErasableMessage
from mailroom.storage.schedules import run_erasing, runs

_RUNS: Final = 1_000  # of one step; an id lookup each
_MESSAGES: Final = 100
_MAILS: Final = 20
_ENTRIES: Final = 200  # of journals
_REFUSALS: Final = 500
_MAY_STILL_GO: Final = frozenset({DispatchState.PENDING, DispatchState.UNKNOWN})
_RESTS: Final = 200  # of what was left, looked at again

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ErasureOutcome:
    """`counts`: documents that were changed or removed, by kind. `waits`: what had to be left."""

    counts: Counts = field(default_factory=dict)
    waits: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ErasureStep:
    """`work`: what the transaction does. `after`: how far the phase has come by it. `is_last`: whether it is over."""

    work: Callable[[Session], ErasureOutcome]
    after: str = ""
    is_last: bool = False


def counted(**counts: int) -> Counts:
    return {kind: number for kind, number in counts.items() if number}


def _nothing(_: Session) -> ErasureOutcome:
    return ErasureOutcome()


def _of_lists(db: Db, erasure: Erasure, now: datetime) -> ErasureStep:
    """The next list that holds the address."""
    found = places.next_list(db, erasure.address, after=erasure.after)
    if found.audience is None:
        return ErasureStep(_nothing, found.through, is_last=found.is_last)
    audience = found.audience

    def work(session: Session) -> ErasureOutcome:
        return ErasureOutcome(counted(contacts=places.erase(db, audience, erasure.address, now=now, session=session)))

    return ErasureStep(work, audience)


def _of_runs(db: Db, erasure: Erasure, now: datetime) -> ErasureStep:
    """The next runs, so many that few of them have a message to the address."""
    ids = runs.ids_after(db, erasure.after, limit=_RUNS)
    mailed = message_erasing.mailed_by(db, erasure.address, ids)
    if len(mailed) > _MESSAGES:
        ids = [id_ for id_ in ids if id_ <= mailed[_MESSAGES - 1]]

    def work(session: Session) -> ErasureOutcome:
        return _erase_in_runs(db, erasure.address, ids, now, session)

    return ErasureStep(work, ids[-1] if ids else "", is_last=not ids)


def _of_mails(db: Db, erasure: Erasure, now: datetime) -> ErasureStep:
    """The newest single mails that are left, and those that repeat them for others."""
    key, but = erasure.address, [id_ for id_ in erasure.waits if is_email(RunId(id_))]
    found = mail_erasing.to_address(db, key, made_by=erasure.asked_at, but=but, limit=_MAILS)

    def work(session: Session) -> ErasureOutcome:
        return _erase_mails(db, key, found, now, session)

    return ErasureStep(work, is_last=not found)


def _of_journal(db: Db, erasure: Erasure, now: datetime) -> ErasureStep:
    """Entries of the journal of consent, and suppressions that came after the erasure was asked for."""
    key = erasure.address
    is_last = not consents.of_address(db, [key], limit=1)

    def work(session: Session) -> ErasureOutcome:
        entries = consents.erase(db, key, erasure.name, limit=_ENTRIES, session=session)
        hidden = suppressions.erase(db, key, now=now, session=session) if is_last else 0
        return ErasureOutcome(counted(consents=entries, suppressions=hidden))

    return ErasureStep(work, is_last=is_last)


def _of_requests(db: Db, erasure: Erasure, now: datetime) -> ErasureStep:
    """Forms that were posted, and events that belong to no message of ours."""
    key, known = erasure.address, topics.ids(db)
    is_last = len(events.strays_of(db, key)) <= _ENTRIES

    def work(session: Session) -> ErasureOutcome:
        asked = subscription_requests.erase(db, key, known, session=session)
        strays = events.erase_strays(db, key, limit=_ENTRIES, session=session)
        return ErasureOutcome(counted(subscription_requests=asked, events=strays))

    return ErasureStep(work, is_last=is_last)


def _of_refusals(db: Db, erasure: Erasure, now: datetime) -> ErasureStep:
    key = erasure.address
    looked = rejected_requests.look_through(db, key, after=erasure.after, limit=_REFUSALS)
    ids = list(looked.holding)

    def work(session: Session) -> ErasureOutcome:
        return ErasureOutcome(counted(refusals=rejected_requests.erase(db, ids, key, session=session)))

    return ErasureStep(work, looked.through, is_last=not looked.through)


def _of_rest(db: Db, erasure: Erasure, now: datetime) -> ErasureStep:
    """What was left, once more."""
    some, others = erasure.waits[:_RESTS], erasure.waits[_RESTS:]
    mails = [EmailId(id_) for id_ in some if is_email(RunId(id_))]
    of_runs = [RunId(id_) for id_ in some if not is_email(RunId(id_))]

    def work(session: Session) -> ErasureOutcome:
        done = _erase_mails(db, erasure.address, mails, now, session)
        whole = _added_up([done, _erase_in_runs(db, erasure.address, of_runs, now, session)])
        return ErasureOutcome(whole.counts, [*others, *whole.waits])

    return ErasureStep(work, is_last=True)


STEPS: Final[Mapping[ErasurePhase, Callable[[Db, Erasure, datetime], ErasureStep]]] = {
    ErasurePhase.LISTS: _of_lists,
    ErasurePhase.RUNS: _of_runs,
    ErasurePhase.MAILS: _of_mails,
    ErasurePhase.JOURNAL: _of_journal,
    ErasurePhase.REQUESTS: _of_requests,
    ErasurePhase.REFUSALS: _of_refusals,
    ErasurePhase.REST: _of_rest,
}


def _erase_in_runs(db: Db, key: str, ids: Sequence[RunId], now: datetime, session: Session) -> ErasureOutcome:
    """A run in planning is left: a message may have been made for the person that is not stored yet."""
    stored = run_erasing.looked_at(db, ids, session=session)
    planned, open_ = [one.id for one in stored if not one.is_open], [one.id for one in stored if one.is_open]
    run_erasing.forget_place(db, planned, key, session=session)
    messages = message_erasing.to_address(db, key, planned, session=session)
    done, left = _erase_messages(db, key, messages, now, session)
    return ErasureOutcome(done, [*open_, *(message.run_id for message in left)])


def _erase_messages(
    db: Db, key: str, messages: Sequence[ErasableMessage], now: datetime, session: Session
) -> tuple[Counts, Sequence[ErasableMessage]]:
    """Returns (the counts, the messages that were left: a call with them is under way, or in doubt)."""
    carriers = {dispatch for message in messages for dispatch in message.carriers}
    under_way = dispatch_erasing.under_way(db, carriers, session=session)
    left = [message for message in messages if message.carriers & under_way]
    gone = [message for message in messages if not message.carriers & under_way]
    ids = [message.id for message in gone]
    dispatches = {dispatch for message in gone for dispatch in message.carriers}
    dispatch_erasing.note_erasure(db, dispatches, key, now=now, session=session)
    told = events.erase(db, ids, session=session)
    return counted(messages=message_erasing.erase(db, ids, session=session), events=told), left


def _erase_mails(db: Db, key: str, ids: Sequence[EmailId], now: datetime, session: Session) -> ErasureOutcome:
    """These mails, and those that repeat them for others. One that is made meanwhile changes its source too (see
    services/resending/mails.py), so of it and the source's erasure one begins again."""
    repeats = [repeat for id_ in ids for repeat in mail_erasing.repeats_of(db, id_, session=session)]
    return _added_up([_erase_mail(db, key, id_, now, session) for id_ in dict.fromkeys([*ids, *repeats])])


def _erase_mail(db: Db, key: str, id_: EmailId, now: datetime, session: Session) -> ErasureOutcome:
    """A mail to the person alone that waits to be sent is cancelled. One to others too goes out to them: until then,
    and until a person has judged an unknown call of theirs, it is needed whole, and left."""
    mail = mail_erasing.get(db, id_, key, session=session)
    if mail is None:
        return ErasureOutcome()
    run = run_of_email(id_)
    states = dispatch_erasing.states_of(db, run, session=session)
    messages = message_erasing.to_address(db, key, [run], session=session)
    counts, _ = _erase_messages(db, key, messages, now, session)
    if any(dispatch_erasing.is_under_way(state) for state in states.values()):
        return ErasureOutcome(counts, [id_])
    may_still_go = [dispatch for dispatch, state in states.items() if state in _MAY_STILL_GO]
    if mail.others and message_erasing.is_anybody_left(db, may_still_go, session=session):
        return ErasureOutcome(counts, [id_])
    if DispatchState.PENDING in states.values():
        dispatch_outcomes.cancel(db, run, now=now, session=session)
    told = events.erase_of_mail(db, run, key, session=session)
    mails, bodies = mail_erasing.erase(db, id_, key, session=session)
    return _added_up([ErasureOutcome(counts), ErasureOutcome(counted(events=told, mails=mails, bodies=bodies))])


def _added_up(outcomes: Sequence[ErasureOutcome]) -> ErasureOutcome:
    kinds = dict.fromkeys(kind for one in outcomes for kind in one.counts)
    counts = {kind: sum(one.counts.get(kind, 0) for one in outcomes) for kind in kinds}
    return ErasureOutcome(counts, [wait for one in outcomes for wait in one.waits])
