"""A single mail's answer in full: what the provider said, the last change, headers, and what the mail says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.dispatches.outcomes import Accepted, InPart, Outcome, Refusal, Refused
from mailroom.domain.events import EventKind
from mailroom.domain.ids import EmailId, Lane, RunId
from mailroom.domain.limits import MAX_SHOWN
from mailroom.services.feedback.intake import take_in
from mailroom.services.operations import tokens as token_service
from mailroom.storage import retention
from mailroom.storage.database import Db, server_now
from tests.support.builders import an_event
from tests.support.caller import Caller, problems
from tests.support.emails import an_email, base64_of
from tests.support.lines import Line

YES = Accepted("<id@mg.example.com>", code=200, reason="Queued. Thank you.")


def handed_in(call: Caller, **changes: Any) -> str:
    return str(call("POST", "/v1/emails", json=an_email(**changes)).json["id"])


def carried(line: Line, email_id: str, outcome: Outcome) -> None:
    """The mail's call, with this outcome; at once, whatever pause another try before it asked for."""
    due = {"$set": {"not_before": server_now(line.db)}}
    doc = line.db.dispatches.find_one_and_update({"run_id": email_id, "state": "pending"}, due)
    assert doc
    line.take_of_all_tests(Lane(doc["lane"]))
    crossed = line.cross([one for one in line.claim() if one.run_id == email_id])
    line.record(crossed.go, outcome)


def shown(call: Caller, email_id: str, query: str = "") -> dict[str, Any]:
    answer = call("GET", f"/v1/emails/{email_id}{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def words_of(recipient: dict[str, Any]) -> tuple[str, int, int | None, str | None]:
    return recipient["status"], recipient["tries"], recipient["code"], recipient["reason"]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_providers_answer_is_shown_for_a_success_too(call: Caller, line: Line) -> None:
    email_id = handed_in(call)
    before = shown(call, email_id)["recipients"][0]

    carried(line, email_id, YES)

    assert words_of(before) == ("queued", 0, None, None)
    assert words_of(shown(call, email_id)["recipients"][0]) == ("sent", 1, 200, "Queued. Thank you.")
    steps = call("GET", f"/v1/emails/{email_id}/events").json["items"]
    accepted = next(step["details"] for step in steps if step["what"] == "accepted")
    assert (accepted["code"], accepted["reason"]) == (200, "Queued. Thank you.")


def test_a_refusal_and_the_yes_of_the_next_try_each_have_their_own_words(call: Caller, line: Line) -> None:
    email_id = handed_in(call)
    carried(line, email_id, Refused(Refusal.NOT_CALLED, "no connection"))
    carried(line, email_id, Accepted("<id>", code=200))

    assert words_of(shown(call, email_id)["recipients"][0]) == ("sent", 1, 200, None)

    refused = handed_in(call)
    carried(line, refused, Refused(Refusal.PERMANENT, "Mailgun answered 400: no", 400))
    assert words_of(shown(call, refused)["recipients"][0]) == ("failed", 1, 400, "Mailgun answered 400: no")


def test_each_recipient_of_a_call_has_the_answer_about_itself(call: Caller, line: Line) -> None:
    email_id = handed_in(call, to=["a@example.org", "b@example.org"])
    no = Refused(Refusal.PERMANENT, "550 no such user", 550)

    carried(line, email_id, InPart("250 ok", {"b@example.org": no}, 250, "2.0.0 Ok: queued as 4711"))

    first, second = shown(call, email_id)["recipients"]
    assert words_of(first) == ("sent", 1, 250, "2.0.0 Ok: queued as 4711")
    assert words_of(second) == ("failed", 1, 550, "550 no such user")


def test_a_bounce_takes_the_place_of_the_yes_before_it(call: Caller, line: Line, db: Db) -> None:
    email_id = handed_in(call)
    carried(line, email_id, YES)
    about = {"run_id": RunId(email_id), "recipient": "bo@example.org"}

    take_in(db, [an_event(EventKind.DELIVERED, id_="d", at=server_now(db), **about)], now=server_now(db))
    delivered = shown(call, email_id)["recipients"][0]
    bounced = an_event(EventKind.BOUNCED, id_="b", at=server_now(db), delayed=True, code=550, reason="gone", **about)
    take_in(db, [bounced], now=server_now(db))

    assert words_of(delivered) == ("delivered", 1, 200, "Queued. Thank you.")
    assert words_of(shown(call, email_id)["recipients"][0]) == ("bounced", 1, 550, "gone")


def test_updated_at_is_the_last_change_by_a_call_or_an_event(call: Caller, line: Line, db: Db) -> None:
    email_id = handed_in(call)
    waiting = shown(call, email_id)
    carried(line, email_id, YES)
    sent = shown(call, email_id)
    # The provider tells of an earlier time; the answer changes when the event is taken in.
    long_ago, now = server_now(db) - timedelta(hours=1), server_now(db) + timedelta(seconds=5)
    opened = an_event(EventKind.OPENED, at=long_ago, run_id=RunId(email_id), recipient="bo@example.org")
    take_in(db, [opened], now=now)

    assert waiting["updated_at"] == waiting["created_at"]
    assert moment(sent["updated_at"]) > moment(waiting["updated_at"])
    assert moment(shown(call, email_id)["updated_at"]) == now


def test_a_cancelled_mail_says_when(call: Caller) -> None:
    email_id = handed_in(call, send_at=(datetime.now(UTC) + timedelta(days=1)).isoformat())
    before = shown(call, email_id)

    cancelled = call("POST", f"/v1/emails/{email_id}/cancel").json

    assert cancelled["status"] == "cancelled"
    assert moment(cancelled["updated_at"]) > moment(before["updated_at"])
    assert shown(call, email_id)["updated_at"] == cancelled["updated_at"]


def test_a_mail_of_an_older_version_has_its_facts_as_its_last_change(call: Caller, line: Line, db: Db) -> None:
    email_id = handed_in(call)
    carried(line, email_id, YES)
    later = server_now(db) + timedelta(minutes=1)
    db.messages.update_one({"run_id": email_id}, {"$set": {"delivered_at": later}})
    db.dispatches.update_one({"run_id": email_id}, {"$unset": {"accepted.0.code": "", "accepted.0.reason": ""}})

    now = shown(call, email_id)

    assert moment(now["updated_at"]) == later
    assert words_of(now["recipients"][0]) == ("sent", 1, None, None)
    retention.cut_trails(db, made_before=later)
    assert moment(shown(call, email_id)["updated_at"]) == later


def test_headers_are_shown_and_the_content_only_on_request(call: Caller) -> None:
    attachment = {"filename": "a.txt", "content_type": "text/plain", "content": base64_of(b"Hello"), "content_id": "c1"}
    email_id = handed_in(
        call, html="<p>Hi</p>", headers={"X-Order": "4711", "List-Id": "shop"}, attachments=[attachment]
    )

    plain, whole = shown(call, email_id), shown(call, email_id, "?include=body")

    assert plain["headers"] == {"X-Order": "4711", "List-Id": "shop"}
    assert not plain.keys() & {"text", "html", "attachments", "cut"}
    assert (whole["text"], whole["html"], whole["cut"]) == ("Follow this link.", "<p>Hi</p>", [])
    assert whole["attachments"] == [{"filename": "a.txt", "content_type": "text/plain", "content_id": "c1", "size": 5}]
    assert {name: whole[name] for name in plain} == plain
    assert shown(call, handed_in(call))["headers"] == {}
    assert "headers" not in call("GET", "/v1/emails").json["items"][0]


def test_a_body_in_gridfs_is_shown_with_its_sizes_and_long_texts_are_cut(call: Caller) -> None:
    content = b"x" * 700_000
    attachments = [{"filename": "a.bin", "content": base64_of(content)}, {"filename": "b", "content": ""}]
    html = "ä" * (MAX_SHOWN + 10)
    email_id = handed_in(call, html=html, attachments=attachments)

    whole = shown(call, email_id, "?include=body")

    assert [(one["filename"], one["size"]) for one in whole["attachments"]] == [("a.bin", 700_000), ("b", 0)]
    assert whole["html"] == html[:MAX_SHOWN]
    assert (whole["text"], whole["cut"]) == ("Follow this link.", ["html"])


def test_a_body_that_is_not_kept_any_more_is_null(call: Caller, db: Db) -> None:
    small, large = handed_in(call), handed_in(call, html="x" * 400_000)
    db.bodies.delete_one({"_id": small})
    db["bodies.files"].delete_many({"metadata.email": EmailId(large)})

    for email_id in (small, large):
        whole = shown(call, email_id, "?include=body")
        assert (whole["text"], whole["html"], whole["attachments"]) == (None, None, None)
    assert shown(call, small)["headers"] is None


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("include=text", "include"),
        ("include=", "include"),
        ("include=body&include=body", "include"),
        ("include=body,headers", "include"),
        ("includes=body", "includes"),
    ],
)
def test_a_bad_value_of_include_is_refused_with_its_name(call: Caller, query: str, path: str) -> None:
    answer = call("GET", f"/v1/emails/{handed_in(call)}?{query}")

    assert answer.status_code == 422
    assert problems(answer).keys() == {path}


def test_only_who_may_send_mails_reads_what_they_say(call: Caller, db: Db) -> None:
    email_id = handed_in(call)

    def status(scope: str, query: str) -> int:
        token = token_service.create_token(db, name=scope, scopes=[scope], now=datetime.now(UTC))
        path = f"/v1/emails/{email_id}{query}"
        return int(call.client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code)

    assert [status("read", ""), status("read", "?include=body"), status("schedules", "?include=body")] == [
        200,
        403,
        403,
    ]
    assert [status("mail", "?include=body"), status("admin", "?include=body")] == [200, 200]
    assert call("GET", "/v1/emails/none?include=body").status_code == 404
