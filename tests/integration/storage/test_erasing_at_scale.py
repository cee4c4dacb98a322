"""An erasure and an export among a hundred thousand documents of every kind: each question and each write finds its
index, and looks at about as much as it finds."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import pytest

from local.servers import Servers
from mailroom.domain.erasures import ErasureState
from mailroom.domain.ids import message_id
from mailroom.services.persons import erasing, exporting
from mailroom.storage.database import Db, server_now
from tests.support.builders import NOW, stored_schedule
from tests.support.erasing import ANN, erase, handed_in
from tests.support.explaining import listened_to, values_of
from tests.support.living import a_schedule_to, an_audience, plan_all, put, run_now
from tests.support.system import a_system

pytestmark = pytest.mark.xdist_group("erasing at scale")  # the rows are made once
MANY: Final = 100_000
_OF_TRANSACTIONS: Final = frozenset({"autocommit", "startTransaction", "readConcern", "writeConcern", "ordered"})
_ASKED: Final = frozenset({"find", "aggregate", "update", "delete", "findAndModify"})
#: What one command may look at: a step goes through so many runs, lists or rejected requests at once.
A_STEP: Final = 1_000


@pytest.fixture(scope="module")
def crowded(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Db]:
    with a_system(tmp_path_factory.mktemp("crowded"), servers, database="test_erasing_at_scale") as system:
        crowd(system.db)
        yield system.db


def crowd(db: Db) -> None:
    """Ann among many: people in one list, lists, runs, mails with their events, entries of journals."""
    audience = an_audience(db, "ann", "bo")
    put(db, audience, "ann", city="Oslo")
    run = run_now(db, schedule := a_schedule_to(db, audience))
    plan_all(db, schedule)
    handed_in(db, ANN)
    stored_schedule(db)
    to_others = {
        "recipients": ["x@example.org"],
        "addressees": [{"address": "x@example.org", "name": "", "place": "to"}],
    }
    for collection in ("audiences", "runs", "messages", "emails", "bodies"):
        (model, *_) = db[collection].find().sort("_id", 1)
        _fill(db, collection, model | (to_others if collection == "emails" else {"address": "x@example.org"}))
    contact = {"address": "x@example.org", "name": "", "variables": {}}
    _fill(db, "recipients", contact, lambda n: {"_id": {"a": audience, "k": f"r{n:06d}@example.org"}})
    event = {"kind": "opened", "at": NOW, "recipient": "x@example.org", "raw": "{}", "received_at": server_now(db)}
    about = {"run_id": run, "message_id": message_id(run, ANN)}
    _fill(db, "events", event, lambda n: {"run_id": f"r{n}", "message_id": f"r{n}/m"} if n % 1_000 else about)
    _fill(db, "consents", {"act": "left", "scope": "campaigns", "at": NOW, "by": "page"}, _of_somebody)
    _fill(db, "suppressions", {"scopes": [{"scope": "all", "reason": "bounced", "since": NOW}], "since": NOW})
    refused = {"path": "/v1/emails", "detail": "", "body": "{}", "faults": [], "at": server_now(db), "status": 422}
    _fill(db, "refusals", refused)


def _of_somebody(number: int) -> dict[str, Any]:
    return {"address": f"r{number:06d}@example.org" if number % 10_000 else ANN}


def _fill(db: Db, collection: str, model: dict[str, Any], own: Any = lambda _: {}) -> None:
    plain = {name: value for name, value in model.items() if name != "request"}
    rows = ({**plain, "_id": f"m{number:06d}", **own(number)} for number in range(MANY))
    db[collection].insert_many(list(rows), ordered=False)


def commands_of(asked: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each question and each write by itself, as it can be explained."""
    for command in asked:
        name = next(iter(command))
        if name not in _ASKED:
            continue
        plain = {key: value for key, value in command.items() if key not in _OF_TRANSACTIONS}
        if name in ("update", "delete"):
            for one in plain[f"{name}s"]:
                yield {name: plain[name], f"{name}s": [one]}
        else:
            yield plain


def some_of_each_shape(commands: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The first five that ask one collection for the same fields."""
    seen: Counter[str] = Counter()
    for command in commands:
        kind, collection = next(iter(command.items()))
        asked = command.get("filter") or command.get("query") or command.get(f"{kind}s", [{}])[0].get("q", {})
        seen[shape := f"{kind} {collection} {sorted(asked)}"] += 1
        if seen[shape] <= 5:
            yield command


def test_everything_is_found_exported_and_erased_by_indexes(crowded: Db) -> None:
    questions, heard = listened_to(crowded, every=True)

    began = time.monotonic()
    body = json.loads("".join(exporting.pieces_of(heard, ANN)))
    exported_s, began = time.monotonic() - began, time.monotonic()
    done = erase(heard)
    erased_s = time.monotonic() - began

    print(f"exported in {exported_s:.1f} s, erased in {erased_s:.1f} s, {len(questions.asked)} commands")
    heard.client.close()
    assert done.state is ErasureState.DONE
    assert (done.counts["consents"], done.counts["events"], done.counts["mails"]) == (10, 100, 1)
    assert [len(body[name]) for name in ("audiences", "campaign_mails", "mails", "consent")] == [2, 1, 1, 10]
    worst: dict[str, int] = {}
    for command in some_of_each_shape(commands_of(questions.asked)):
        stats = crowded.command("explain", command, verbosity="executionStats")
        name = " ".join(next(iter(command.items())))
        assert "COLLSCAN" not in values_of(stats, "stage"), (name, str(command)[:300])
        worst[name] = max(worst.get(name, 0), *values_of(stats, "totalDocsExamined"))
    assert max(worst.values()) <= A_STEP, worst


def test_an_erasure_takes_the_same_steps_whoever_is_erased(crowded: Db) -> None:
    """A step that finds nothing costs no more than a look at its index."""
    erasing.ask(crowded, "nobody@example.org", by="cleo")
    now, began = server_now(crowded) + timedelta(seconds=1), time.monotonic()

    steps = erasing.proceed(crowded, now=now, within_s=60)

    assert erasing.newest(crowded, "nobody@example.org").state is ErasureState.DONE
    assert steps < 2 * MANY / 1_000 + MANY / 500 + 20
    assert time.monotonic() - began < 60
