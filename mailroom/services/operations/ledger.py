"""The ledger: it balances every due instant, every mail and every acceptance across MongoDB, Redis and the provider's
log.

It only reads, and reports each imbalance with the ids to follow it up; an empty list is the proof. Recent work is still
in progress, so only work older than a few minutes is checked.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from mailroom.coordination.fences import Fences
from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.fences import FenceState
from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.erasures import ERASED
from mailroom.domain.ids import DispatchId, RunId, run_of_email
from mailroom.domain.messages.states import MessageState
from mailroom.domain.recurrence.model import RuleRefused
from mailroom.domain.recurrence.upcoming import upcoming
from mailroom.domain.runs import RunState
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.providers.base import Adapter
from mailroom.services.reports.elsewhere import went_twice_of
from mailroom.storage.cluster import ledger_runs
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.mails import emails
from mailroom.storage.messages import counts as message_counts
from mailroom.storage.messages import document as messages
from mailroom.storage.schedules import decided_instants, runs, schedules

YOUNG: Final = timedelta(minutes=2)
_MOST_INSTANTS: Final = 10_000  # of a schedule; older instants were in an earlier ledger
_MOST_LISTED: Final = 1_000
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Imbalance:
    """An imbalance: its kind, the id of the object, and its description."""

    kind: str
    id: str
    words: str


@dataclass(slots=True)
class Ledger:
    """The counts, and the imbalances: the first thousand are listed, `more` counts the others."""

    since: datetime
    at: datetime
    counted: Counter[str] = field(default_factory=Counter)
    imbalances: list[Imbalance] = field(default_factory=list)
    more: int = 0
    until: datetime | None = None  # work after this is not checked
    logs_until: datetime | None = None  # entries of providers' logs after this are not read; None: no log was read

    def add(self, kind: str, id_: str, words: str) -> None:
        if len(self.imbalances) < _MOST_LISTED:
            self.imbalances.append(Imbalance(kind, id_, words))
        else:
            self.more += 1

    @property
    def wrong(self) -> int:
        return len(self.imbalances) + self.more


def check(
    db: Db,
    *,
    since: datetime,
    fences: Fences | None = None,
    adapters: Sequence[Adapter] = (),
    settle: timedelta = timedelta(),
    young: timedelta = YOUNG,
    advance: Advance = lambda _: None,
) -> Ledger:
    """Balance everything since a moment; with `fences` across Redis too, with `adapters` (askable ones) across the
    providers' logs too.

    `settle`: the time until a provider's log is complete. `young`: the age below which work is not checked.
    `advance` is called after each piece of the work, with the number of schedules, and then of mails, that were checked
    since; what it raises ends the check. Raises Unavailable.
    """
    ledger = Ledger(since, server_now(db))
    until = ledger.until = ledger.at - young
    _due_instants(db, ledger, until, advance)
    _runs(db, ledger, until, fences, advance)
    _single_mails(db, ledger, until, fences, advance)
    for adapter in adapters:
        ledger.logs_until = min(until, ledger.at - settle)
        _providers_log(db, ledger, adapter, ledger.logs_until)
    return ledger


def is_due(db: Db, *, every: timedelta) -> bool:
    """True for a single caller in each span `every`: it must make the next ledger. Raises Unavailable."""
    return ledger_runs.claim_ledger(db, every_s=every.total_seconds())


def keep(db: Db, ledger: Ledger) -> None:
    """Store the ledger's result for the gauge. Raises Unavailable."""
    ledger_runs.note_ledger(db, at=ledger.at, wrong=ledger.wrong)


def _due_instants(db: Db, ledger: Ledger, until: datetime, advance: Advance) -> None:
    """Check that each due instant has a run, or lies in a recorded decision not to run."""
    for schedule in schedules.everyone(db):
        ledger.counted["schedules"] += 1
        advance(1)
        if schedule.state is ScheduleState.ACTIVE and schedule.wanted_at and schedule.wanted_at < until:
            ledger.add("instant", schedule.id, f"due at {schedule.wanted_at.isoformat()}, and not decided")
        # An edit of the rule decides every instant that was due before it.
        begins = max(ledger.since, schedule.ruled_since)
        try:
            instants = list(_instants(schedule, begins))
        except RuleRefused as error:
            ledger.add("schedule", schedule.id, f"its rule cannot be computed: {error}")
            continue
        if not instants:
            continue
        decided = decided_instants.ranges(db, schedule.id, instants[0], instants[-1])
        for at in instants:
            ledger.counted["due instants"] += 1
            if not any(first <= at <= last for first, last in decided):
                ledger.add("instant", schedule.id, f"due at {at.isoformat()}, and neither run nor recorded as skipped")


def _instants(schedule: Schedule, begins: datetime) -> Iterator[datetime]:
    """The decided instants after `begins`. A rule with `max_runs` is expanded from its beginning, to count its runs."""
    start = schedule.ruled_since if schedule.recurrence.max_runs else begins
    for at in islice(upcoming(schedule.recurrence, start, decided=0), _MOST_INSTANTS):
        if at > schedule.decided_through:
            return
        if at > begins:
            yield at


def _runs(db: Db, ledger: Ledger, until: datetime, fences: Fences | None, advance: Advance) -> None:
    """Check that each run has all its mails, each in an existing dispatch; and that a finished run has none waiting."""
    for run in runs.created_between(db, ledger.since, until):
        ledger.counted["runs"] += 1
        if run.state is RunState.SKIPPED:
            continue
        if run.state is RunState.PLANNING or run.unwritten:
            ledger.add("run", run.id, "it is still being planned")
            continue
        carried = message_counts.carried_by(db, run.id)
        mails, waiting = sum(c.mails for c in carried.values()), sum(c.waiting for c in carried.values())
        ledger.counted["mails"] += mails
        advance(mails)
        if run.recipient_time and (skipped := message_counts.time_passed(db, run.id)):
            ledger.counted["mails skipped: the time had passed"] += skipped
        # A cancelled resend leaves its unplanned recipients with its source run.
        cut_short = run.state is RunState.CANCELLED and run.source
        if mails != run.recipients and not cut_short:
            ledger.add("run", run.id, f"{run.recipients} recipients, {mails} mails")
        if run.state is RunState.FINISHED and waiting:
            ledger.add("run", run.id, f"finished, and {waiting} mails still wait")
        for batch in dispatch_queries.of_run(db, run.id):
            _dispatches(ledger, batch, {id_: c.mails for id_, c in carried.items() if id_}, until, fences)
            advance(0)


def _single_mails(db: Db, ledger: Ledger, until: datetime, fences: Fences | None, advance: Advance) -> None:
    """Check that each single mail has a message for each recipient, in existing dispatches."""
    for batch in emails.created_between(db, ledger.since, until):
        ids = list(batch)
        mails = messages.of_emails(db, ids)
        dispatches = dispatch_queries.of_emails(db, ids)
        by_mail: dict[RunId, list[Dispatch]] = {}
        for dispatch in dispatches:
            by_mail.setdefault(dispatch.run_id, []).append(dispatch)
        for id_, recipients in batch.items():
            ledger.counted["single mails"] += 1
            ledger.counted["mails"] += len(mails[id_])
            if len(mails[id_]) != recipients:
                ledger.add("mail", id_, f"{recipients} recipients, {len(mails[id_])} mails")
            if (twice := went_twice_of(by_mail.get(run_of_email(id_), []))) is not None:
                ledger.counted[f"single mails that went elsewhere, went twice: {twice}"] += 1
            # A mail whose recipients were all suppressed at acceptance has no dispatch.
            to_send = any(mail.state is not MessageState.SUPPRESSED for mail in mails[id_])
            if to_send and run_of_email(id_) not in by_mail:
                ledger.add("mail", id_, "it is in no dispatch")
        carried = Counter(mail.dispatch_id for messages_ in mails.values() for mail in messages_ if mail.dispatch_id)
        _dispatches(ledger, dispatches, carried, until, fences)
        advance(len(batch))


def _carriers(db: Db, ledger: Ledger, until: datetime) -> Iterator[Sequence[Dispatch]]:
    """The dispatches of all runs and single mails, in batches."""
    for run in runs.created_between(db, ledger.since, until):
        yield from dispatch_queries.of_run(db, run.id)
    for batch in emails.created_between(db, ledger.since, until):
        yield dispatch_queries.of_emails(db, list(batch))


def _dispatches(
    ledger: Ledger,
    dispatches: Sequence[Dispatch],
    carried: Mapping[DispatchId, int],
    until: datetime,
    fences: Fences | None,
) -> None:
    """Check that each dispatch carries as many mails as it says, agrees with its fence, was accepted once at most, and
    is not stuck in `sending`."""
    stored = fences.read([(dispatch.lane, dispatch.id) for dispatch in dispatches])[0] if fences else {}
    for dispatch in dispatches:
        id_, state = dispatch.id, dispatch.state
        ledger.counted["dispatches"] += 1
        ledger.counted[f"dispatches {state.replace('_', ' ')}"] += 1
        # Another dispatch carries the messages of a mail that went elsewhere.
        if not dispatch.elsewhere and state is not DispatchState.SPLIT and carried.get(id_, 0) != dispatch.messages:
            ledger.add("dispatch", id_, f"it says {dispatch.messages} mails, and {carried.get(id_, 0)} name it")
        by_provider = [fact for fact in dispatch.accepted if not fact.by]
        if len(by_provider) < len(dispatch.accepted):
            ledger.counted["dispatches accepted by a person's word"] += 1
        if len(by_provider) > 1:
            ledger.add("doubled", id_, f"accepted {len(by_provider)} times")
        if state is DispatchState.SENDING and dispatch.claimed_at and dispatch.claimed_at < until:
            ledger.add("dispatch", id_, f"in sending since {dispatch.claimed_at.isoformat()}")
        fence = stored.get(id_)
        if fence and fence.state is FenceState.DONE and state is not DispatchState.ACCEPTED:
            ledger.add("dispatch", id_, f"its fence says accepted, and it is {state.replace('_', ' ')}")


def _providers_log(db: Db, ledger: Ledger, adapter: Adapter, until: datetime) -> None:
    """Check that the provider's log and our acceptances agree: each mail once, none missing, none unknown."""
    logged = Counter(
        (dispatch, fold(recipient)) for dispatch, recipient in adapter.accepted_since(adapter.account, ledger.since)
    )
    ledger.counted["mails in the provider's log"] = logged.total()
    for (id_, recipient), times in logged.items():
        if times > 1:
            ledger.add("doubled", id_, f"the provider accepted it {times} times for {recipient}")
    for batch in _carriers(db, ledger, until):
        accepted = [dispatch for dispatch in batch if _should_be_logged(dispatch, adapter, until)]
        left = [dispatch.id for dispatch in accepted if dispatch.elsewhere]
        addresses = messages.addresses_of(db, [dispatch.id for dispatch in accepted if not dispatch.elsewhere])
        addresses |= messages.addresses_of_first(db, left) if left else {}
        for dispatch in accepted:
            called_as = dispatch.id if dispatch.attempt else dispatch.parent
            for address in addresses[dispatch.id].values():
                if address != ERASED and (called_as, fold(address)) not in logged:
                    ledger.add("missing", dispatch.id, f"sent to {address}, and not in the provider's log")
    ids = {dispatch for dispatch, _ in logged}
    for stranger in ids - dispatch_queries.existing(db, sorted(ids)):
        ledger.add("stranger", stranger, "the provider accepted it, and it is not here")


def _should_be_logged(dispatch: Dispatch, adapter: Adapter, until: datetime) -> bool:
    """True if the provider accepted the dispatch and its log must show it. A person's word leaves no trace in the log,
    and the newest acceptances may not be in it yet."""
    return any(not fact.by and fact.at < until and fact.provider in ("", adapter.name) for fact in dispatch.accepted)
