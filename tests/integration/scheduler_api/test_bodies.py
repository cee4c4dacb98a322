"""What comes in over HTTP, without a socket between: read once, within its limits, all that is wrong told at once."""

import io
import json
from typing import Any

from mailroom.services.operations import tokens as token_service
from mailroom.storage.database import server_now
from tests.support.caller import Caller, problems
from tests.support.emails import an_email
from tests.support.system import System, a_schedule_body
from tests.support.webhooks import OPENED, webhook

JSON = "application/json"
SMALL = 64 * 1024


def post(call: Caller, path: str, raw: bytes, *, chunked: bool = False, method: str = "POST", **headers: str) -> Any:
    """A body with a length, or as a server hands over one that came in chunks."""
    if not chunked:
        return call(method, path, data=raw, content_type=JSON, headers=headers)
    environ = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    return call(method, path, input_stream=io.BytesIO(raw), content_type=JSON, headers=headers, environ_base=environ)


UNREADABLE = [b'{"name": "\\ud800"}', b'{"count": NaN}', b'{"a": 1e999}', b'{"a": 1, "a": 2}', b"["]
TAKING_BODIES = [
    ("POST", "/v1/schedules"),
    ("POST", "/v1/schedules/preview"),
    ("POST", "/v1/emails"),
    ("POST", "/v1/emails/batch"),
    ("POST", "/v1/audiences"),
    ("POST", "/v1/tokens"),
    ("POST", "/v1/dead-letters/drop"),
    ("PUT", "/v1/templates/welcome"),
    ("PUT", "/v1/providers"),
    ("PATCH", "/v1/providers/mailgun"),
    ("PUT", "/v1/rate-limits/domain/example.org"),
    ("POST", "/v1/schedules/none/pause"),
]


def test_a_body_is_held_to_the_same_whatever_way_it_comes(call: Caller) -> None:
    for chunked in (False, True):
        for method, path in TAKING_BODIES:
            for raw in UNREADABLE:
                answer = post(call, path, raw, chunked=chunked, method=method)
                assert (answer.status_code, answer.json["code"]) == (400, "bad_request"), (method, path, raw, chunked)
        assert post(call, "/v1/emails", json.dumps(an_email()).encode(), chunked=chunked).status_code == 202


def test_a_route_without_lists_takes_64_kb(call: Caller) -> None:
    for path in ("/v1/schedules/preview", "/v1/tokens", "/v1/webhook-targets", "/v1/dispatches/none/resolve"):
        for chunked in (False, True):
            answer = post(call, path, b" " * (SMALL + 1), chunked=chunked)
            assert (answer.status_code, answer.json["code"]) == (413, "too_large"), (path, chunked)
            assert "65,536" in answer.json["detail"]


def test_the_caller_is_known_before_a_byte_is_read(call: Caller, system: System) -> None:
    class Untouched(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise AssertionError("the body was read")

    reader = token_service.create_token(system.db, name="r", scopes=["read"], now=server_now(system.db))
    for token, status in (("", 401), (reader, 403)):
        answer = call.client.post(
            "/v1/emails",
            input_stream=Untouched(),
            content_type=JSON,
            headers={"Authorization": f"Bearer {token}", "Content-Length": "1000"},
        )
        assert answer.status_code == status


def test_a_body_of_millions_of_values_is_refused(call: Caller) -> None:
    answer = post(call, "/v1/emails", b"[" + b"[]," * 3_000_000 + b"[]]")

    assert (answer.status_code, answer.json["code"]) == (413, "too_large")


def test_a_packed_body_is_415(call: Caller) -> None:
    for packed in ("gzip", "br", "deflate, gzip", "GZIP"):
        answer = post(call, "/v1/emails", b"\x1f\x8b", **{"Content-Encoding": packed})
        assert (answer.status_code, answer.json["code"]) == (415, "not_json"), packed
        assert "Content-Encoding" in answer.json["detail"]


def test_half_an_emoji_in_one_mail_of_a_batch_concerns_no_other(call: Caller, system: System) -> None:
    good = json.dumps(an_email())
    for bad in ("\\ud83d", "\udcff"):
        wrong = good.replace('"subject": "', f'"subject": "{bad}')
        raw = f'{{"emails": [{good}, {wrong}, {good}]}}'.encode("utf-8", "surrogateescape")

        answer = post(call, "/v1/emails/batch", raw)

        assert [one["code"] for one in answer.json["items"]] == [202, 422, 202]
        assert "cannot be read" in answer.json["items"][1]["problem"]["errors"][0]["message"]
        assert system.db.emails.count_documents({}) % 2 == 0


def test_a_webhook_with_half_an_emoji_is_kept(call: Caller, system: System) -> None:
    event = {**OPENED, "event": "unsubscribed", "tags": ["party \ud83d"]}

    answer = call("POST", "/webhooks/mailgun", data=json.dumps(webhook(event)), content_type=JSON)

    assert answer.status_code == 200
    stored = system.db.events.find_one({})
    assert stored
    assert "\\ufffd" in stored["raw"] or "\ufffd" in stored["raw"]


WRONG_QUERIES = [
    "/v1/emails?recipent=bo@example.org",
    "/v1/emails?recipient=",
    "/v1/emails?recipient=%20",
    "/v1/emails?tag=",
    "/v1/emails?since=",
    "/v1/emails?cursor=",
    "/v1/emails?limit=1&limit=2",
    "/v1/schedules?state=active",
    "/v1/dispatches?run_id=",
    "/v1/dead-letters?run_id=&kind=mail",
    "/v1/suppressions?addres=x",
    "/v1/tokens?x=1",
    "/v1/providers?order=1",
    "/v1/rate-limits?limit=1",
    "/v1/schedules/none?x=1",
    "/v1/refusals?x",
]


def test_a_parameter_that_is_unknown_empty_or_doubled_is_refused(call: Caller) -> None:
    for path in WRONG_QUERIES:
        answer = call("GET", path)
        assert (answer.status_code, answer.json["code"]) == (422, "invalid_input"), path


def test_what_changes_things_knows_no_parameters_either(call: Caller) -> None:
    assert call("POST", "/v1/emails?dry_run=true", json=an_email()).status_code == 422
    assert call("DELETE", "/v1/audiences/none?force=1").status_code == 422
    assert call("POST", "/v1/schedules/none/pause?x=1").status_code == 422


def test_everything_that_is_wrong_with_a_mail_is_reported_at_once(call: Caller) -> None:
    body = {
        "from": "nobody",
        "to": ["bad", 5, "bo@example.org", "worse"],
        "subject": "a\nb",
        "text": 7,
        "tags": ["ä"],
        "metadata": {"": "x"},
        "priority": "soon",
        "headers": {"X y": "z"},
        "attachments": [{"filename": "a/b", "content": "*"}, {"content": 5}],
        "surprise": 1,
    }
    told = problems(call("POST", "/v1/emails?x=1", json=body, headers={"Idempotency-Key": "k" * 300}))

    assert told.keys() >= {
        *("from", "to[0]", "to[1]", "to[3]", "subject", "text", "tags[0]", "metadata.", "priority", "surprise", "x"),
        *("attachments[0].filename", "attachments[0].content", "attachments[1].filename", "attachments[1].content"),
        *("Idempotency-Key",),
    }
    assert "to[2]" not in told
    batch = call("POST", "/v1/emails/batch", json={"emails": [body]}).json["items"][0]["problem"]["errors"]
    assert told.keys() - {"x", "Idempotency-Key"} == {one["path"] for one in batch}


def test_everything_that_is_wrong_with_a_schedule_is_reported_at_once(call: Caller) -> None:
    changes = {
        "from": "nobody",
        "subject": "a\nb",
        "recipients": [{"address": "bad"}, {"address": "bo@example.org", "name": 5}],
        "recurrence": {"kind": "every", "seconds": "60"},
        "misfire": {"grace_s": -1},
        "tags": ["ä"],
        "surprise": 1,
    }
    made = call("POST", "/v1/schedules", json=a_schedule_body(**{**changes, "name": None})).json["errors"]
    rule = call("POST", "/v1/schedules", json={"recurrence": {"kind": "cron", "expression": "x"}}).json["errors"]

    assert {one["path"] for one in made} == {
        *("from", "subject", "recipients[0].address", "recipients[1].name", "recurrence.seconds", "misfire.grace_s"),
        *("tags[0]", "surprise", "name"),
    }
    assert {one["path"] for one in rule} >= {"name", "from", "subject", "recurrence.expression", "recipients", "text"}


def test_everything_that_is_wrong_with_an_edit_is_reported_at_once(call: Caller) -> None:
    made = call("POST", "/v1/schedules", json=a_schedule_body()).json

    answer = call("PATCH", f"/v1/schedules/{made['id']}", json={"from": "nobody", "tags": 5}, headers={"If-Match": "x"})

    assert problems(answer).keys() == {"from", "tags", "If-Match"}


def test_everything_that_is_wrong_with_other_things_is_reported_at_once(call: Caller) -> None:
    audience = call("POST", "/v1/audiences", json={"name": 5, "recipients": [{"address": "bad"}]})
    template = call("PUT", "/v1/templates/No-Such", json={"subject": 5, "text": "{{ x", "nope": 1})

    assert problems(audience).keys() == {"name", "recipients[0].address", "Idempotency-Key"}
    assert problems(template).keys() == {"name", "subject", "text", "nope"}
    short = call("POST", "/v1/mail", json={"from": 5, "to": "bad", "colour": "red"}).json["Problem"]
    assert all(name in short for name in ("from: ", "to", "colour: ", "message: ", "subject: "))


def test_null_is_absent_where_a_field_may_be_left_out(call: Caller, system: System) -> None:
    names = ("reply_to", "cc", "bcc", "html", "headers", "attachments", "variables", "tags", "metadata", "priority")
    nulls = dict.fromkeys((*names, "template", "send_at"))

    one = call("POST", "/v1/emails", json=an_email(**nulls), headers={"Idempotency-Key": "k"})
    again = call("POST", "/v1/emails", json=an_email(), headers={"Idempotency-Key": "k"})
    batch = call("POST", "/v1/emails/batch", json={"emails": [an_email(**nulls, idempotency_key=None)]})

    assert (one.status_code, again.json["id"]) == (202, one.json["id"])
    assert batch.json["items"][0]["code"] == 202
    optional = dict.fromkeys(("reply_to", "html", "misfire", "tags", "audience"))
    rule = {"kind": "cron", "expression": "0 9 * * *", "time_zone": None, "starts_at": None, "seconds": None}
    assert call("POST", "/v1/schedules", json=a_schedule_body(**optional, recurrence=rule)).status_code == 201
    assert call("PUT", "/v1/templates/t", json={"subject": "x", "text": "x", "html": None}).status_code == 201
    limit = {"mails": 1, "per": "day", "warm_up": None}
    assert call("PUT", "/v1/rate-limits/domain/example.org", json=limit).status_code == 200
    assert call("POST", "/v1/tokens", json={"name": "x", "scopes": ["read"], "expires_at": None}).status_code == 201
    assert call("POST", "/v1/dead-letters/drop", json={"all": True, "ids": None, "run_id": None}).status_code == 200


def test_null_for_what_is_needed_or_unknown_stays_wrong(call: Caller) -> None:
    answer = call("POST", "/v1/emails", json=an_email(to=None, surprise=None))

    assert problems(answer).keys() == {"to", "surprise"}


def test_an_empty_edit_changes_nothing(call: Caller, system: System) -> None:
    before = call("GET", "/v1/providers").json

    assert call("PATCH", "/v1/providers/mailgun", json={}).json == before
    assert call("PATCH", "/v1/providers/pigeon", json={}).status_code == 404
    assert call("PATCH", "/v1/providers/mailgun", json={"enabled": None}).status_code == 422


def test_a_key_that_is_none_is_refused_where_a_key_may_be_left_out(call: Caller, system: System) -> None:
    for key in ("", " ", "x" * 256, "a\tb"):
        answer = call("POST", "/v1/emails", json=an_email(), headers={"Idempotency-Key": key})
        assert problems(answer).keys() == {"Idempotency-Key"}, key
    assert system.db.emails.count_documents({}) == 0


def test_a_type_of_problem_has_one_title(call: Caller) -> None:
    asked = [
        *((method, "/v1/nothing", {}) for method in ("GET", "POST")),
        ("GET", "/v1/schedules/none", {}),
        ("PUT", "/v1/emails", {}),
        ("POST", "/v1/emails", {"data": b"{", "content_type": JSON}),
        ("POST", "/v1/emails", {"data": b"[" * 3_000, "content_type": JSON}),
        ("POST", "/v1/emails", {"data": b"x", "content_type": "text/plain"}),
        ("POST", "/v1/emails", {"json": {}}),
        ("POST", "/v1/tokens", {"data": b" " * 70_000, "content_type": JSON}),
        ("POST", "/v1/emails", {"json": []}),
        ("POST", "/webhooks/mailgun", {"json": []}),
        ("POST", "/webhooks/mailgun", {"json": webhook(OPENED, key="x")}),
        ("POST", "/webhooks/sendgrid", {"json": []}),
    ]
    titles: dict[str, set[str]] = {}
    for method, path, rest in asked:
        told = call(method, path, **rest).json
        titles.setdefault(told["type"], set()).add(told["title"])

    assert {type_: len(said) for type_, said in titles.items()} == dict.fromkeys(titles, 1)
