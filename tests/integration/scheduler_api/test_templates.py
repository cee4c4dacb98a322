"""Stored templates: checked when saved, filled in when a mail is handed in, and never looked at again after that."""

from typing import Any

import pytest

from mailroom.storage.database import Db
from tests.support.caller import Caller
from tests.support.emails import an_email

WELCOME = {"subject": "Hello {{ name }}", "text": "Welcome to {{ city }}", "html": "<p>{{ name }}</p>"}


def a_mail(**changes: Any) -> dict[str, Any]:
    mail = {name: value for name, value in an_email().items() if name in ("from", "to")}
    return mail | {"template": "welcome", "variables": {"name": "Bo & Co", "city": "Rome"}} | changes


def test_a_template_is_made_changed_listed_and_removed(call: Caller) -> None:
    made = call("PUT", "/v1/templates/welcome", json=WELCOME)
    assert (made.status_code, made.headers["ETag"]) == (201, '"v1"')
    assert made.json["variables"] == ["city", "name"]

    changed = call("PUT", "/v1/templates/welcome", json=WELCOME | {"text": "Hi"}, headers={"If-Match": '"v1"'})
    stale = call("PUT", "/v1/templates/welcome", json=WELCOME, headers={"If-Match": '"v1"'})

    assert (changed.status_code, changed.json["version"]) == (200, 2)
    assert stale.status_code == 412
    call("PUT", "/v1/templates/another", json=WELCOME)
    first = call("GET", "/v1/templates?limit=1").json
    rest = call("GET", "/v1/templates", query_string={"cursor": first["next_cursor"]}).json
    assert [one["name"] for one in first["items"] + rest["items"]] == ["another", "welcome"]
    assert call("GET", "/v1/templates/welcome").json["text"] == "Hi"
    assert call("DELETE", "/v1/templates/welcome").status_code == 204
    assert call("GET", "/v1/templates/welcome").status_code == 404
    assert call("DELETE", "/v1/templates/welcome").status_code == 404


def test_a_mail_is_filled_in_when_it_is_handed_in_and_stays_so(call: Caller, db: Db) -> None:
    call("PUT", "/v1/templates/welcome", json=WELCOME)

    taken = call("POST", "/v1/emails", json=a_mail(), headers={"Idempotency-Key": "k"})
    call("DELETE", "/v1/templates/welcome")
    again = call("POST", "/v1/emails", json=a_mail(), headers={"Idempotency-Key": "k"})

    assert (taken.status_code, again.status_code) == (202, 202)
    assert again.json["id"] == taken.json["id"]
    email = db.emails.find_one({"_id": taken.json["id"]})
    body = db.bodies.find_one({"_id": taken.json["id"]})
    assert email
    assert body
    assert (email["subject"], body["text"], body["html"]) == ("Hello Bo & Co", "Welcome to Rome", "<p>Bo &amp; Co</p>")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"template": "unknown"}, "template"),
        ({"subject": "mine"}, "subject"),
        ({"text": "mine"}, "text"),
        ({"variables": {"name": "Bo"}}, "variables.city"),
        ({"variables": {}}, "variables.city"),
    ],
)
def test_what_does_not_fit_the_template_is_reported_by_its_field(
    call: Caller, changes: dict[str, Any], path: str
) -> None:
    call("PUT", "/v1/templates/welcome", json=WELCOME)

    refused = call("POST", "/v1/emails", json=a_mail(**changes))

    assert refused.status_code == 422
    assert path in {fault["path"] for fault in refused.json["errors"]}


@pytest.mark.parametrize(
    ("name", "content", "path"),
    [
        ("welcome", {"subject": "Hi {{ name", "text": "x"}, "subject"),
        ("welcome", {"subject": "Hi", "text": "{% for x, z in y %}{% endfor %}"}, "text"),
        ("welcome", {"subject": "Hi", "text": "{{ ''.__class__ }}"}, "text"),
        ("welcome", {"subject": "Hi", "text": "%recipient.x%"}, "text"),
        ("welcome", {"subject": " ", "text": "x"}, "subject"),
        ("welcome", {"subject": "Hi"}, "text"),
        ("welcome", {"text": "x"}, "subject"),
        ("No-Such", {"subject": "Hi", "text": "x"}, "name"),
        ("x" * 65, {"subject": "Hi", "text": "x"}, "name"),
        ("welcome", {"subject": "Hi", "text": "(" * 5_000 + "{{ " + "(" * 5_000}, "text"),
    ],
)
def test_what_is_no_template_is_refused_and_not_stored(
    call: Caller, db: Db, name: str, content: dict[str, str], path: str
) -> None:
    refused = call("PUT", f"/v1/templates/{name}", json=content)

    assert refused.status_code == 422
    assert path in {fault["path"] for fault in refused.json["errors"]}
    assert db.templates.count_documents({}) == 0


def test_mails_of_a_batch_may_name_different_templates(call: Caller) -> None:
    call("PUT", "/v1/templates/welcome", json=WELCOME)
    call("PUT", "/v1/templates/reset", json={"subject": "Reset", "text": "{{ link }}"})
    batch = [
        a_mail(),
        a_mail(template="reset", variables={"link": "https://example.org"}),
        a_mail(template="unknown"),
    ]

    answers = call("POST", "/v1/emails/batch", json={"emails": batch}).json["items"]

    assert [answer["code"] for answer in answers] == [202, 202, 422]


def test_a_place_for_a_value_is_never_mailed_as_it_stands(call: Caller) -> None:
    mail = an_email() | {"text": "Your code is {{ code }}"}

    for variables in ({}, {"x": 1}):
        refused = call("POST", "/v1/emails", json=mail | {"variables": variables})
        assert refused.status_code == 422
        assert [one["path"] for one in refused.json["errors"]] == ["text"]
    in_batch = call("POST", "/v1/emails/batch", json={"emails": [mail | {"variables": {}}, an_email()]})
    assert [one["code"] for one in in_batch.json["items"]] == [422, 202]


def test_a_template_that_nests_too_deep_is_refused_when_it_is_saved(call: Caller) -> None:
    nested = "{% if a %}" * 101 + "x" + "{% endif %}" * 101

    refused = call("PUT", "/v1/templates/deep", json=WELCOME | {"html": nested})

    assert refused.status_code == 422
    assert call("GET", "/v1/templates/deep").status_code == 404


ORDER = {
    "subject": "Order {{ order.number }}",
    "text": "{% for line in order.lines %}{{ loop.index }}. {{ line.name }}: {{ line.price }}\n{% endfor %}",
}
LINES = [{"name": "Tea", "price": 4, "$tax": 1, "a.b": {"$set": {"x": 1}}}, {"name": "Pot", "price": 12.5}]


def test_lists_and_objects_fill_in_a_mail_whatever_their_keys_are(call: Caller, db: Db) -> None:
    saved = call("PUT", "/v1/templates/order", json=ORDER)
    order = {"number": "A-1", "lines": LINES}

    taken = call("POST", "/v1/emails", json=a_mail(template="order", variables={"order": order}))

    assert saved.json["variables"] == ["order"]
    assert taken.status_code == 202
    assert db.emails.find_one({"_id": taken.json["id"]}, {"subject": 1}) == {
        "_id": taken.json["id"],
        "subject": "Order A-1",
    }
    body = db.bodies.find_one({"_id": taken.json["id"]})
    assert body is not None
    assert body["text"] == "1. Tea: 4\n2. Pot: 12.5\n"


def test_a_mail_with_the_keys_of_its_objects_in_another_order_is_the_same_mail(call: Caller) -> None:
    mail = an_email() | {"text": "{{ order.number }}"}
    one, same, other = (
        mail | {"variables": {"order": order}}
        for order in (
            {"number": 1, "lines": [{"a": 1, "b": 2}]},
            {"lines": [{"b": 2, "a": 1}], "number": 1},
            {"number": 1},
        )
    )

    first, again, another = (
        call("POST", "/v1/emails", json=body, headers={"Idempotency-Key": "k"}) for body in (one, same, other)
    )

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json["id"] == first.json["id"]
    assert (another.status_code, another.json["code"]) == (422, "idempotency_mismatch")


def test_every_fault_of_lists_and_objects_is_reported_with_its_path_and_those_of_other_fields(call: Caller) -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    lines = [{"price": 1}, {"price": 10**20}, {"note": "x" * 100_001}]
    mail = an_email(to=["nobody"]) | {"text": "{{ lines }}", "variables": {"lines": lines, "deep": deep}}

    refused = call("POST", "/v1/emails", json=mail)
    in_batch = call("POST", "/v1/emails/batch", json={"emails": [mail, an_email()]}, headers={"Idempotency-Key": "k"})

    paths = {"to[0]", "variables.lines[1].price", "variables.lines[2].note", "variables.deep"}
    assert {fault["path"] for fault in refused.json["errors"]} == paths
    assert [one["code"] for one in in_batch.json["items"]] == [422, 202]
    assert {fault["path"] for fault in in_batch.json["items"][0]["problem"]["errors"]} == paths


def test_a_part_that_a_value_lacks_is_reported_with_its_place_in_the_list(call: Caller) -> None:
    call("PUT", "/v1/templates/order", json=ORDER)
    lines = [{"name": "Tea", "price": 4}, {"name": "Pot"}]

    refused = call(
        "POST", "/v1/emails", json=a_mail(template="order", variables={"order": {"lines": lines, "number": 1}})
    )

    assert [(fault["path"], fault["message"]) for fault in refused.json["errors"]] == [
        ("text", "line.price: item 2 has none")
    ]
