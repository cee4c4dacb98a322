"""Addresses in other spellings, through the stores: stored, folded, found by events, suppressed, shown as given."""

from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.events import EventKind
from mailroom.services.feedback.intake import take_in
from mailroom.services.planning import plan
from mailroom.services.reports import runs as run_views
from mailroom.storage.database import Db, server_now
from tests.support.builders import NOW, an_event, make_due, stored_schedule
from tests.support.caller import Caller
from tests.support.emails import an_email
from tests.support.planned import expand_all, hold
from tests.support.system import a_schedule_body


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ('"us..er"@docomo.ne.jp', "us..er@docomo.ne.jp"),
        ('"us..er"@docomo.ne.jp', '"US..ER"@docomo.ne.jp'),
        ("bo@bücher.example", "Bo@bücher.example"),
        ("bo@bücher.example", "bo@XN--bcher-kva.example"),
    ],
)
def test_an_event_in_another_spelling_finds_the_mail_and_stops_the_address(db: Db, sent: str, told: str) -> None:
    schedule = stored_schedule(db, recipients=[{"address": sent, "name": "Bo", "variables": {"city": "Rome"}}])
    make_due(db, schedule, since=timedelta(minutes=61))
    held = hold(db, schedule.id)
    plan.plan_due(db, held, mark=0, now=server_now(db))
    expand_all(db, held)
    run = run_views.page(db, schedule_id=schedule.id, before=None, limit=1)[0].id

    take_in(db, [an_event(EventKind.COMPLAINED, id_="c1", run_id=run, recipient=told)], now=NOW)

    message = db.messages.find_one({"run_id": run})
    assert message["complained_at"] is not None
    assert db.suppressions.count_documents({"_id": db.recipients.find_one()["_id"]["k"]}) == 1


def test_a_quoted_address_and_two_reply_to_addresses_are_taken_and_shown_as_given(call: Caller) -> None:
    odd, replies = '"us..er"@docomo.ne.jp', ['"Help: us" <help@example.com>', "sales@example.com"]

    email = call("POST", "/v1/emails", json=an_email(to=[odd], reply_to=replies))
    schedule = call("POST", "/v1/schedules", json=a_schedule_body() | {"reply_to": ", ".join(replies)})

    assert (email.status_code, schedule.status_code) == (202, 201)
    shown = call("GET", f"/v1/emails/{email.json['id']}").json
    assert (shown["to"], shown["recipients"][0]["address"]) == ([odd], odd)
    assert shown["reply_to"] == schedule.json["reply_to"] == ", ".join(replies)
    found = call("GET", "/v1/emails", query_string={"recipient": "us..er@docomo.ne.jp"}).json["items"]
    assert [one["id"] for one in found] == [email.json["id"]]


@pytest.mark.parametrize(
    "reply_to", [["a@x.org", 1], {"a": 1}, ["a@x.org", "nobody"], "a@x.org, nobody", ["a@x.org"] * 11, 7]
)
def test_a_reply_to_with_a_wrong_address_is_refused(call: Caller, reply_to: Any) -> None:
    for path, body in (("/v1/emails", an_email()), ("/v1/schedules", a_schedule_body())):
        refused = call("POST", path, json=body | {"reply_to": reply_to})

        assert refused.status_code == 422
        assert [fault["path"] for fault in refused.json["errors"]] == ["reply_to"]
