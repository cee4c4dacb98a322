"""Everything that may go wrong with a campaign, told at once before it goes."""

from typing import Any

import pytest

from mailroom.domain.ids import AudienceId
from mailroom.storage.database import Db
from tests.support.caller import Caller, problems
from tests.support.living import an_audience, put
from tests.support.system import a_schedule_body
from tests.support.topics import LINKED, a_topic


def to(audience: AudienceId, **changes: Any) -> dict[str, Any]:
    body = a_schedule_body(audience=audience, **changes)
    return {name: value for name, value in body.items() if name != "recipients"}


def rendered(call: Caller, id_: str, **asked: Any) -> Any:
    answer = call("POST", f"/v1/schedules/{id_}/render", json=asked)
    assert answer.status_code == 200, answer.json
    return answer.json


def hints(call: Caller, body: dict[str, Any]) -> dict[str, str]:
    made = call("POST", "/v1/schedules", json=body)
    assert made.status_code == 201, made.json
    return {hint["code"]: hint["message"] for hint in rendered(call, made.json["id"])["hints"]}


def test_every_kind_of_hint_comes_at_once(call: Caller, db: Db) -> None:
    audience = an_audience(db, "ann", "bo")
    put(db, audience, "cy", town="Oslo")
    html = "<style>p { color: {{ city }} }</style><img src=a.png><a href='/x'>x</a><p>" + "x" * 105_000
    text = "{{ name }} {{ town|default('here') }}"
    body = to(audience, subject="News", html=html, text=text, **{"from": "Ann <ann@elsewhere.example>"})
    made = call("POST", "/v1/schedules", json=body)
    db.recipients.update_one({"address": "bo@example.org"}, {"$set": {"name": "", "variables": {}}})

    shown = rendered(call, made.json["id"])

    found = {hint["code"]: hint["message"] for hint in shown["hints"]}
    assert list(found) == [
        "missing_fields",
        "blank_fields",
        "default_fields",
        "foreign_sender",
        "no_unsubscribe",
        "broken_links",
        "no_alt",
        "broken_images",
        "clipped",
        "css_not_inlined",
    ]
    assert found["missing_fields"].startswith("“city” is missing for 1 of 3 contacts, for example bo@example.org:")
    assert found["blank_fields"].startswith("“name” is blank for 1 of 3 contacts, for example bo@example.org:")
    assert found["default_fields"].startswith("“town” is missing or blank for 2 of 3 contacts")
    assert "elsewhere.example" in found["foreign_sender"]


def test_a_segment_is_counted_and_not_its_whole_audience(call: Caller, db: Db) -> None:
    audience = an_audience(db, "ann", "bo")
    put(db, audience, "cy", town="Oslo")
    segment = call(
        "POST", f"/v1/audiences/{audience}/segments", json={"name": "Oslo", "filter": 'city = "Rome" and town is set'}
    )
    body = to(audience, text="{{ town|default('x') }}")
    body = {name: value for name, value in body.items() if name != "audience"} | {"segments": [segment.json["id"]]}

    assert "default_fields" not in hints(call, body)
    assert hints(call, to(audience, text="{{ town|default('x') }}"))["default_fields"].startswith(
        "“town” is missing or blank for 2 of 3 contacts, for example ann@example.org and bo@example.org"
    )


def test_mail_that_can_be_left_has_no_hint_at_it(call: Caller, db: Db) -> None:
    a_topic(db)
    audience = an_audience(db, "ann")
    own = to(audience, html="<a href='https://x.example/unsubscribe?a=1'>Unsubscribe</a>")

    assert "no_unsubscribe" not in hints(call, to(audience, topic="newsletter", **LINKED))
    assert "no_unsubscribe" not in hints(call, own)
    assert "no_unsubscribe" not in hints(call, to(audience, headers={"List-Unsubscribe": "<mailto:a@x.example>"}))
    assert "no_unsubscribe" in hints(call, to(audience))


@pytest.mark.parametrize("own", [True, False])
def test_a_body_that_is_not_stored_is_checked_too(call: Caller, db: Db, own: bool) -> None:
    if own:
        body = a_schedule_body(recipients=[{"address": "ann@example.org"}], text="{{ name }}", html="")
    else:
        body = to(an_audience(db, "ann"), text="{{ name }} {{ town|default('x') }}", html="")

    shown = call("POST", "/v1/schedules/render", json=body)

    assert ("blank_fields" if own else "default_fields") in {hint["code"] for hint in shown.json["hints"]}
    assert db.schedules.count_documents({}) == 0


def test_a_field_that_contacts_lack_is_refused_at_saving_with_their_number(call: Caller, db: Db) -> None:
    audience = an_audience(db, "ann")
    put(db, audience, "bo", town="Oslo")

    refused = call("POST", "/v1/schedules", json=to(audience, text="{{ town }}"))

    assert problems(refused)["text"].startswith('line 1, column 4: 1 of 2 recipients have no "town".')
