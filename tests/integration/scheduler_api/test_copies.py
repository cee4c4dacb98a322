"""A copy of a schedule has everything that a schedule can have: the fields of the API are walked, those to come too."""

from typing import Any, Final

import pytest

from mailroom.storage.database import Db
from scheduler_api.schemas.schedule_drafts import ScheduleIn
from scheduler_api.schemas.schedules import ScheduleOut
from tests.support.caller import Caller
from tests.support.living import an_audience
from tests.support.topics import LINK, a_topic

#: What a copy has of its own.
OWN: Final = {"id", "name", "status", "next_run_at", "last_run_at", "last_sent_at", "created_at", "updated_at"}
_RULE: Final = {
    "kind": "rrule",
    "expression": "FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0",
    "time_zone": "Europe/Rome",
    "starts_at": "2027-01-01T00:00:00",
    "ends_at": "2029-01-01T00:00:00",
    "max_runs": 7,
}
COMMON: Final[dict[str, Any]] = {
    "name": "Weekly news",
    "from": "Ann <ann@mg.example.com>",
    "reply_to": "help@mg.example.com, Shop <shop@mg.example.com>",
    "subject": "News for {{ name|default('you') }}",
    "text": f"Leave: {LINK}",
    "preheader": "Boots",
    "inline_css": False,
    "headers": {"X-Shop": "boots"},
    "recurrence": _RULE,
    "misfire": {"policy": "run_all", "grace_s": 77},
    "tags": ["news", "weekly"],
    "topic": "newsletter",
    "attachments": [{"filename": "boots.txt", "content": "Ym9vdHM="}],
    "feed": {"url": "https://shop.example/new.json", "timeout_s": 7, "only_newer": False, "when_away": "send"},
}
HTML: Final = f"<style>p {{ color: red }}</style><p>{{{{ feed.title }}}}</p><a href='{LINK}'>Leave</a>"
MJML: Final = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>News <a href='{{ unsubscribe_url }}'>Leave</a></mj-text>"
    "</mj-column></mj-section></mj-body></mjml>"
)
KINDS: Final = {
    "html": {"html": HTML},
    "markdown": {"markdown": f"# News\n\n[Leave]({LINK})"},
    "audience": {"html": HTML, "audience": "<audience>"},
    "own time": {
        "html": HTML,
        "audience": "<audience>",
        "delivery": "recipient_time",
        "default_time_zone": "Asia/Tokyo",
        "misfire": {"policy": "skip", "grace_s": 77},
    },
    "template": {"template": "news"},
    "mjml": {"mjml": MJML},
    "lists": {"html": HTML, "audiences": ["<audience>"], "segments": ["<segment>"], "exclude": ["<excluded>"]},
}


def written(call: Caller, db: Db, kind: str) -> dict[str, Any]:
    """A body with every field that this kind of schedule can have."""
    a_topic(db, footer=True, postal_address="Shop Ltd, Rome")
    body: dict[str, Any] = COMMON | KINDS[kind]
    if "template" in body:
        said = {name: body.pop(name) for name in ("subject", "text")} | {"html": HTML}
        assert call("PUT", "/v1/templates/news", json=said).status_code == 201
    if not body.keys() & {"audience", "audiences"}:
        return body | {"recipients": [{"address": "bo@example.org", "name": "Bo", "variables": {"city": "Rome"}}]}
    ids = {f"<{name}>": an_audience(db, "ann", "bo", key=name) for name in ("audience", "excluded")}
    made = call("POST", f"/v1/audiences/{ids['<audience>']}/segments", json={"name": "Rome", "filter": 'city = "Rome"'})
    ids["<segment>"] = made.json["id"]
    for name in ("audience", "audiences", "segments", "exclude"):
        if name in body:
            body[name] = [ids[one] for one in body[name]] if isinstance(body[name], list) else ids[body[name]]
    return body


def test_these_bodies_together_have_every_field_of_a_schedule() -> None:
    known = {field.data_key or name for name, field in ScheduleIn().fields.items()}

    assert known == COMMON.keys() | {"recipients"}.union(*KINDS.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_has_every_field_of_its_source(call: Caller, db: Db, kind: str) -> None:
    made = call("POST", "/v1/schedules", json=written(call, db, kind))
    assert made.status_code == 201, made.json
    source = call("GET", f"/v1/schedules/{made.json['id']}").json

    answer = call("POST", f"/v1/schedules/{source['id']}/duplicate", headers={"Idempotency-Key": "k"})

    copy = call("GET", f"/v1/schedules/{answer.json['id']}").json
    assert source.keys() == {field.data_key or name for name, field in ScheduleOut().fields.items()}
    assert {name: copy[name] for name in source.keys() - OWN} == {name: source[name] for name in source.keys() - OWN}
    assert (copy["status"], copy["name"]) == ("paused", "Copy of Weekly news")
    contents = {doc["_id"]["schedule"]: doc for doc in db.contents.find()}
    for doc in contents.values():
        del doc["_id"], doc["valid_from"]
    assert contents[copy["id"]] == contents[source["id"]]
