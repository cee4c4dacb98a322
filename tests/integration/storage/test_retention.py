"""How long things are kept: asked of MongoDB's own indexes, and trails that are cut where nothing is open."""

from datetime import timedelta
from typing import Any

from config.settings import read_settings
from mailroom.assembly.database import prepare_database
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.emails.checking import EmailDraft
from mailroom.services.mails import view as mail_view
from mailroom.services.mails.accept import Outbox
from mailroom.services.operations import janitor
from mailroom.storage import retention
from mailroom.storage.database import Db, server_now
from tests.support.finished_runs import a_finished_run
from tests.support.system import System

DAY = timedelta(days=1)


def spans(db: Db) -> dict[str, int]:
    return {
        name: next(one for one in db[name].list_indexes() if one["name"] == "kept")["expireAfterSeconds"]
        for name in ("events", "bodies", "refusals")
    }


def test_each_has_a_ttl_index_of_its_own_that_follows_the_settings(system: System) -> None:
    assert spans(system.db) == {"events": 400 * 86_400, "bodies": 400 * 86_400, "refusals": 30 * 86_400}

    other = {"MAILROOM_RETENTION_DAYS": "90", "MAILROOM_RETENTION_BODIES": "30", "MAILROOM_RETENTION_REFUSALS": "7"}
    prepare_database(read_settings(system.environment | other, dotenv=None))

    assert spans(system.db) == {"events": 90 * 86_400, "bodies": 30 * 86_400, "refusals": 7 * 86_400}


def test_a_body_is_kept_from_the_time_when_its_mail_is_to_go(db: Db) -> None:
    now = server_now(db)
    draft: dict[str, Any] = {"sender": "a@mg.example.com", "to": ["b@example.org"], "subject": "Hi", "text": "Hello"}
    later = Outbox(db, lanes=4).hand_in(EmailDraft(**draft, send_at=now + 100 * DAY), owner="ann").id
    at_once = Outbox(db, lanes=4).hand_in(EmailDraft(**draft), owner="ann").id

    since = {doc["_id"]: doc["kept_since"] for doc in db.bodies.find()}

    assert since[later] >= now + 99 * DAY
    assert since[at_once] <= now + DAY


def trails(db: Db, run_id: str) -> list[tuple[str, bool]]:
    found = db.dispatches.find({"run_id": run_id}, {"state": 1, "trail": 1})
    return sorted((doc["state"], bool(doc["trail"])) for doc in found)


def test_trails_are_cut_where_a_call_is_through_and_stay_where_it_is_not(db: Db) -> None:
    run = a_finished_run(db, 3, failed=1)
    one = db.dispatches.find_one({"run_id": run.id, "state": DispatchState.ACCEPTED})
    assert one
    db.dispatches.update_one({"_id": one["_id"]}, {"$set": {"state": DispatchState.UNKNOWN}})
    db.runs.update_one({"_id": run.id}, {"$set": {"created_at": server_now(db) - 50 * DAY}})
    young = a_finished_run(db, 1)

    done = janitor.sweep(db, trails_kept_for=40 * DAY)

    assert done["trails_cut"] == 2
    assert trails(db, run.id) == [("accepted", False), ("failed", False), ("unknown", True)]
    assert trails(db, young.id) == [("accepted", True)]


def test_trails_of_single_mails_are_cut_too_each_once(db: Db) -> None:
    draft: dict[str, Any] = {"sender": "a@mg.example.com", "to": ["b@example.org"], "subject": "Hi", "text": "Hello"}
    taken = Outbox(db, lanes=4).hand_in_many([(EmailDraft(**draft), None)] * 30, owner="ann")
    db.dispatches.update_many({}, {"$set": {"state": DispatchState.ACCEPTED}})
    now = server_now(db)

    cut = [retention.cut_trails(db, made_before=now + DAY, limit=20) for _ in range(4)]

    assert sum(cut) == 30
    assert cut[-1] == 0
    shown = [mail_view.get(db, one.id) for one in taken if not isinstance(one, Exception)]
    assert len(shown) == 30
