"""A version works beside the next one, and after it: fields that it does not know yet disturb nothing that it does."""

import random
import re
from datetime import UTC, datetime
from typing import Any

from mailroom.services.reports import counts as report_counts
from tests.fuzz.things import Things
from tests.support.campaigns import a_campaign, finished, marks
from tests.support.emails import hand_in, status
from tests.support.system import System, wait_for

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
#: What holds names that callers choose.
CHOSEN = ("_id", "parts", "variables", "metadata", "raw")
NEEDED = {"/v1/messages": {"recipient": "bo@example.org"}}


def with_a_field_more(value: Any) -> Any:
    """The same document, as the next release may write it."""
    if isinstance(value, list):
        return [with_a_field_more(one) for one in value]
    if not isinstance(value, dict):
        return value
    fields = {name: one if name in CHOSEN else with_a_field_more(one) for name, one in value.items()}
    return fields | {"of_the_next_release": {"since": 2}}


def write_as_the_next_release(system: System) -> set[str]:
    """Returns the names of the collections that have documents."""
    names = [name for name in system.db.list_collection_names() if not name.startswith("system.")]
    written = set()
    for name in names:
        for doc in list(system.db[name].find()):
            system.db[name].replace_one({"_id": doc["_id"]}, with_a_field_more(doc))
            written.add(name)
    return written


def test_documents_with_fields_of_the_next_release_are_sent_and_shown(system: System) -> None:
    system.start_simulator()
    system.start_api()
    things = Things(system, random.Random(1))
    schedule, mail = a_campaign(system, 30), hand_in(system, key="k")
    keep_counts(system, things)
    write_as_the_next_release(system)

    system.start_senders(1)
    wait_for(lambda: finished(system, schedule), within_s=60, what="the campaign is through")
    wait_for(lambda: status(system, mail) == "delivered", within_s=30, what="the mail is there")
    written = write_as_the_next_release(system)

    assert {mark: times for mark, times in marks(system).items() if mark.startswith("mark-")} == {
        f"mark-{n}": 1 for n in range(30)
    }
    assert {"dispatches", "messages", "events", "kept_counts", "lanes", "workers", "webhook_targets"} <= written
    assert hand_in(system, key="k") == mail
    assert odd_answers(system, things) == {}
    assert system.call("GET", f"/v1/runs/{things.finished}/report").json()["recipients"] == 30


def keep_counts(system: System, things: Things) -> None:
    """Let the counts of the finished run be kept."""
    for _ in range(2):
        report_counts.run_report(system.db, things.finished)
        system.db.kept_counts.update_many({}, {"$set": {"marked_at": LONG_AGO}})
    assert system.db.kept_counts.count_documents({"report": {"$exists": True}}) == 1


def odd_answers(system: System, things: Things) -> dict[str, str]:
    """What every operation that shows something answers, unless it is a success."""
    paths = system.call("GET", "/openapi.json").json()["paths"]
    odd = {}
    for path in [path for path, operations in paths.items() if "get" in operations]:
        places = {name: things.place(("GET", path), name) for name in re.findall(r"{(\w+)}", path)}
        answer = system.call("GET", path.format(**places), params=NEEDED.get(path))
        if not answer.ok:
            odd[path] = f"{answer.status_code} {answer.text[:300]}"
    return odd
