"""Runs that have ended, whoever they reached."""

from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.messages.states import MessageState
from mailroom.domain.runs import Run, RunState
from mailroom.services.planning import asked_runs, plan
from mailroom.services.reports import runs as run_views
from mailroom.storage.database import Db, server_now
from tests.support.builders import recipients, stored_schedule
from tests.support.planned import expand_all, hold


def a_finished_run(db: Db, count: int, **states: int) -> Run:
    """A run of so many, the first of whose mails are in these states, each with its dispatch of one."""
    schedule = stored_schedule(db, recipients=recipients(count))
    run, _ = asked_runs.run_now(db, schedule.id, owner="tests", key="source")
    expand_all_by_one(db, run)
    ids = [doc["_id"] for doc in db.messages.find({"run_id": run.id}).sort("_id", 1)]
    db.messages.update_many({"run_id": run.id}, {"$set": {"state": MessageState.DELIVERED}})
    db.dispatches.update_many({"run_id": run.id}, {"$set": {"state": DispatchState.ACCEPTED}})
    for state, number in states.items():
        some, ids = ids[:number], ids[number:]
        db.messages.update_many({"_id": {"$in": some}}, {"$set": {"state": state}})
        if state == MessageState.FAILED:
            of_them = [doc["dispatch_id"] for doc in db.messages.find({"_id": {"$in": some}})]
            db.dispatches.update_many({"_id": {"$in": of_them}}, {"$set": {"state": DispatchState.FAILED}})
    db.runs.update_one({"_id": run.id}, {"$set": {"state": RunState.FINISHED}})
    return run_views.get(db, run.id)


def sent_by_smtp(db: Db, run: Run, *, bounces_read: bool) -> None:
    """As if an SMTP server had accepted each of its mails, with a mailbox that is read or without one."""
    yes = {"provider": "smtp", "provider_id": "", "attempt": 1, "at": server_now(db)}
    accepted = [yes | ({"bounces_read": True} if bounces_read else {})]
    db.dispatches.update_many({"run_id": run.id}, {"$set": {"provider": "smtp", "accepted": accepted}})
    db.messages.update_many({"run_id": run.id}, {"$set": {"state": "sent", "sent_at": server_now(db)}})


def planned(db: Db, run: Run) -> list[str]:
    expand_all(db, hold(db, run.schedule_id, token=2))
    return sorted(doc["address"] for doc in db.messages.find({"run_id": run.id}))


def unreached(db: Db, run: Run, *states: str) -> list[str]:
    return sorted(doc["address"] for doc in db.messages.find({"run_id": run.id, "state": {"$in": list(states)}}))


def expand_all_by_one(db: Db, run: Run) -> None:
    held = hold(db, run.schedule_id)
    while plan.expand(db, held, batch_size=1, now=server_now(db)).moved:
        pass
