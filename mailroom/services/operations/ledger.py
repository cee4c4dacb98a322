"""Does it all balance? Every due instant, every mail and every acceptance, across MongoDB, Redis, the provider's log.

It only looks. What is said is what does not balance, each with the ids to follow it up; an empty answer is the proof.
Young things are still on their way, so only what is older than a few minutes is held to account.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from mailroom.coordination.fences import Fences
from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.fences import FenceState
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import DispatchId, Lane, RunId, run_of_email
from mailroom.domain.messages import MessageState
from mailroom.domain.recurrence.model import RuleRefused
from mailroom.domain.recurrence.upcoming import upcoming
from mailroom.domain.runs import RunState
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.providers.base import Adapter
from mailroom.storage.cluster import ledger_runs
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.mails import emails
from mailroom.storage.messages import counts as message_counts
from mailroom.storage.messages import document as messages
from mailroom.storage.schedules import runs, schedules

YOUNG: Final = timedelta(minutes=2)
_MOST_INSTANTS: Final = 10_000  # a schedule; what is older was in an earlier ledger
_MOST_SAID: Final = 1_000


@dataclass(frozen=True, slots=True)
class Imbalance:
    """One thing that does not balance: of what kind, whose, and how."""

    kind: str
    id: str
    words: str


@dataclass(slots=True)
class Ledger:
    """What was counted, and what does not balance (the first thousand; `more` counts the rest)."""

    since: datetime
    at: datetime
    counted: Counter[str] = field(default_factory=Counter)
    imbalances: list[Imbalance] = field(default_factory=list)
    more: int = 0
    until: datetime | None = None  # younger things are not held to account
    logs_until: datetime | None = None  # entries of providers' logs after this are not looked at; None: no log was read

    def say(self, kind: str, id_: str, words: str) -> None:
        if len(self.imbalances) < _MOST_SAID:
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
) -> Ledger:
    """Hold everything since a moment to account; with `fences` and `adapters`, which can be asked, across Redis and the
    providers too.

    `settle` is how long the provider's log takes to be complete. Raises Unavailable.
    """
    ledger = Ledger(since, server_now(db))
    until = ledger.until = ledger.at - young
    _due_instants(db, ledger, until)
    _runs(db, ledger, until, fences)
    _single_mails(db, ledger, until, fences)
    for adapter in adapters:
        ledger.logs_until = min(until, ledger.at - settle)
        _providers_log(db, ledger, adapter, ledger.logs_until)
    return ledger


def is_due(db: Db, *, every: timedelta) -> bool:
    """True for one caller in each span of time: it is to make the next ledger. Raises Unavailable."""
    return ledger_runs.claim_ledger(db, every_s=every.total_seconds())


def keep(db: Db, ledger: Ledger) -> None:
    """Store how it came out, for the gauge. Raises Unavailable."""
    ledger_runs.note_ledger(db, at=ledger.at, wrong=ledger.wrong)


def _due_instants(db: Db, ledger: Ledger, until: datetime) -> None:
    """Each due instant has its run, or lies in a recorded decision not to run."""
    for schedule in schedules.everyone(db):
        ledger.counted["schedules"] += 1
        if schedule.state is ScheduleState.ACTIVE and schedule.next_run_at and schedule.next_run_at < until:
            ledger.say("instant", schedule.id, f"due at {schedule.next_run_at.isoformat()}, and not decided")
        # What was due before an edit of the rule was decided with that edit.
        begins = max(ledger.since, schedule.ruled_since)
        try:
            instants = list(_instants(schedule, begins))
        except RuleRefused as error:
            ledger.say("schedule", schedule.id, f"its rule cannot be computed: {error}")
            continue
        if not instants:
            continue
        decided = runs.decided_instants(db, schedule.id, instants[0], instants[-1])
        for at in instants:
            ledger.counted["due instants"] += 1
            if not any(first <= at <= last for first, last in decided):
                ledger.say("instant", schedule.id, f"due at {at.isoformat()}, and neither run nor recorded as skipped")


def _instants(schedule: Schedule, begins: datetime) -> Iterator[datetime]:
    """Those that are decided. Where the rule ends after so many runs, it is counted from its beginning."""
    start = schedule.ruled_since if schedule.recurrence.max_runs else begins
    for at in islice(upcoming(schedule.recurrence, start, decided=0), _MOST_INSTANTS):
        if at > schedule.decided_through:
            return
        if at > begins:
            yield at


def _runs(db: Db, ledger: Ledger, until: datetime, fences: Fences | None) -> None:
    """Each run's mails are all there, each in a dispatch that is there; a finished run has nothing open."""
    for run in runs.created_between(db, ledger.since, until):
        ledger.counted["runs"] += 1
        if run.state is RunState.SKIPPED:
            continue
        if run.state is RunState.PLANNING or run.unwritten:
            ledger.say("run", run.id, "it is still being planned")
            continue
        carried = message_counts.carried_by(db, run.id)
        mails, waiting = sum(c.mails for c in carried.values()), sum(c.waiting for c in carried.values())
        ledger.counted["mails"] += mails
        # One with a source that is cancelled leaves those whom it did not come to with that.
        cut_short = run.state is RunState.CANCELLED and run.source
        if mails != run.recipients and not cut_short:
            ledger.say("run", run.id, f"{run.recipients} recipients, {mails} mails")
        if run.state is RunState.FINISHED and waiting:
            ledger.say("run", run.id, f"finished, and {waiting} mails still wait")
        for some in dispatch_queries.of_run(db, run.id):
            _dispatches(ledger, some, {id_: c.mails for id_, c in carried.items() if id_}, until, fences)


def _single_mails(db: Db, ledger: Ledger, until: datetime, fences: Fences | None) -> None:
    """Each single mail has a message for everybody whom it goes to, in dispatches that are there."""
    for some in emails.created_between(db, ledger.since, until):
        ids = list(some)
        found = messages.of_emails(db, ids)
        docs = dispatch_queries.of_emails(db, ids)
        there = {RunId(doc["run_id"]) for doc in docs}
        for id_, recipients in some.items():
            ledger.counted["single mails"] += 1
            ledger.counted["mails"] += len(found[id_])
            if len(found[id_]) != recipients:
                ledger.say("mail", id_, f"{recipients} recipients, {len(found[id_])} mails")
            # A mail whose recipients were all suppressed at acceptance has no dispatch.
            to_send = any(mail["state"] != MessageState.SUPPRESSED for mail in found[id_])
            if to_send and run_of_email(id_) not in there:
                ledger.say("mail", id_, "it is in no dispatch")
        carried = Counter(DispatchId(m["dispatch_id"]) for mails in found.values() for m in mails if "dispatch_id" in m)
        _dispatches(ledger, docs, carried, until, fences)


def _carriers(db: Db, ledger: Ledger, until: datetime) -> Iterator[Sequence[Mapping[str, Any]]]:
    """The dispatches of all runs and single mails, some at a time."""
    for run in runs.created_between(db, ledger.since, until):
        yield from dispatch_queries.of_run(db, run.id)
    for some in emails.created_between(db, ledger.since, until):
        yield dispatch_queries.of_emails(db, list(some))


def _dispatches(
    ledger: Ledger,
    some: Sequence[Mapping[str, Any]],
    carried: Mapping[DispatchId, int],
    until: datetime,
    fences: Fences | None,
) -> None:
    """Each dispatch carries what it says, is where its fence says, and was accepted once; none stands still."""
    found = fences.read([(Lane(doc["lane"]), DispatchId(doc["_id"])) for doc in some])[0] if fences else {}
    for doc in some:
        id_, state = DispatchId(doc["_id"]), DispatchState(doc["state"])
        ledger.counted["dispatches"] += 1
        ledger.counted[f"dispatches {state.replace('_', ' ')}"] += 1
        if state is not DispatchState.SPLIT and carried.get(id_, 0) != doc["messages"]:
            ledger.say("dispatch", id_, f"it says {doc['messages']} mails, and {carried.get(id_, 0)} name it")
        told = [entry for entry in doc.get("accepted", ()) if not entry.get("by")]
        if len(told) < len(doc.get("accepted", ())):
            ledger.counted["dispatches accepted by a person's word"] += 1
        if len(told) > 1:
            ledger.say("doubled", id_, f"accepted {len(told)} times")
        if state is DispatchState.SENDING and doc["claimed_at"] < until:
            ledger.say("dispatch", id_, f"in sending since {doc['claimed_at'].isoformat()}")
        fence = found.get(id_)
        if fence and fence.state is FenceState.DONE and state is not DispatchState.ACCEPTED:
            ledger.say("dispatch", id_, f"its fence says accepted, and it is {state.replace('_', ' ')}")


def _providers_log(db: Db, ledger: Ledger, adapter: Adapter, until: datetime) -> None:
    """What the provider accepted is what we say was accepted: each mail once, none more, none less."""
    logged = Counter(
        (dispatch, fold(recipient)) for dispatch, recipient in adapter.accepted_since(adapter.account, ledger.since)
    )
    ledger.counted["mails in the provider's log"] = logged.total()
    for (dispatch, recipient), times in logged.items():
        if times > 1:
            ledger.say("doubled", dispatch, f"the provider accepted it {times} times for {recipient}")
    for some in _carriers(db, ledger, until):
        # What a person says went out, nobody else knows of; what is younger may not be in the log yet.
        told = [
            doc
            for doc in some
            if any(
                not fact.get("by") and fact["at"] < until and fact["provider"] in ("", adapter.name)
                for fact in doc.get("accepted", ())
            )
        ]
        addresses = messages.addresses_of(db, [DispatchId(doc["_id"]) for doc in told])
        for doc in told:
            called_as = doc["_id"] if doc["attempt"] else doc["parent"]
            for address in addresses[DispatchId(doc["_id"])].values():
                if (called_as, fold(address)) not in logged:
                    ledger.say("missing", doc["_id"], f"sent to {address}, and not in the provider's log")
    ids = {dispatch for dispatch, _ in logged}
    for stranger in ids - dispatch_queries.existing(db, sorted(ids)):
        ledger.say("stranger", stranger, "the provider accepted it, and it is not here")
