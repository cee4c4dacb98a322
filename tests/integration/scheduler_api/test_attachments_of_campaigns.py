"""Attachments and inline images of campaigns: given with the schedule, kept once, checked, and sent with a test."""

import base64
from typing import Any

import pytest

from mailroom.domain.limits import MAX_CAMPAIGN_FILES, MAX_CAMPAIGN_FILES_BYTES
from mailroom.storage.database import Db
from tests.support.caller import Caller, problems
from tests.support.planned import expand_all, hold
from tests.support.system import a_schedule_body
from tests.support.workers import checked_in

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
SHOWN = '<p>Hi {{ name }}</p><img src="cid:logo" alt="Logo">'


def a_file(raw: bytes = PNG, **changes: str) -> dict[str, str]:
    file = {"filename": "logo.png", "content_type": "image/png", "content": base64.b64encode(raw).decode()}
    return file | changes


LOGO = a_file(content_id="logo")
TERMS = a_file(b"%PDF", filename="terms.pdf", content_type="application/pdf")
ATTACHED = [
    {"filename": "logo.png", "content_type": "image/png", "content_id": "logo", "size": len(PNG)},
    {"filename": "terms.pdf", "content_type": "application/pdf", "content_id": None, "size": 4},
]


def made(call: Caller, **changes: Any) -> Any:
    answer = call("POST", "/v1/schedules", json=a_schedule_body(html=SHOWN, **changes))
    assert answer.status_code == 201, answer.json
    return answer.json


def test_files_are_shown_without_their_content_and_stored_once_whoever_names_them(call: Caller, db: Db) -> None:
    first, second = made(call, attachments=[LOGO, TERMS]), made(call, attachments=[LOGO])

    assert first["attached"] == ATTACHED
    assert second["attached"] == ATTACHED[:1]
    stored = list(db.attachments.find())
    assert {bytes(doc["content"]) for doc in stored} == {PNG, b"%PDF"}
    assert not [doc for doc in stored if "expires_at" in doc]


def test_an_edit_keeps_changes_and_clears_them_and_takes_back_what_get_gives(call: Caller) -> None:
    path = f"/v1/schedules/{made(call, attachments=[LOGO, TERMS])['id']}"

    same = call("PATCH", path, json=call("GET", path).json).json
    renamed = call("PATCH", path, json={"subject": "New"}).json
    again = call("PATCH", path, json={"attachments": [LOGO, TERMS]}).json
    fewer = call("PATCH", path, json={"attachments": [TERMS]}).json
    none = call("PATCH", path, json={"attachments": None}).json

    assert [one["attached"] for one in (same, renamed, again)] == [ATTACHED] * 3
    assert [one["attached"] for one in (fewer, none)] == [ATTACHED[1:], []]
    assert [one["revision"] for one in (same, renamed, again, fewer, none)] == [1, 2, 2, 3, 4]


def test_a_test_send_carries_them_and_a_preview_tells_what_is_missing(call: Caller) -> None:
    schedule = made(call, attachments=[TERMS, a_file(b"x", filename="x.gif", content_id="other")])
    path = f"/v1/schedules/{schedule['id']}"

    rendered = call("POST", f"{path}/render", json={}).json
    sent = call("POST", f"{path}/test", json={"to": ["me@example.com"]}, headers={"Idempotency-Key": "t"})

    assert {"missing_files", "unseen_files"} <= {hint["code"] for hint in rendered["hints"]}
    mail = call("GET", f"/v1/emails/{sent.json['items'][0]['id']}?include=body").json
    assert [file["filename"] for file in mail["attachments"]] == ["terms.pdf", "x.gif"]


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        ([a_file(content="é!")], {"attachments[0].content"}),
        ([a_file(filename="a/b.png")], {"attachments[0].filename"}),
        ([a_file(content_type="nonsense")], {"attachments[0].content_type"}),
        ([LOGO, LOGO], {"attachments"}),
        ([TERMS] * (MAX_CAMPAIGN_FILES + 1), {"attachments"}),
        ([a_file(b"x" * (MAX_CAMPAIGN_FILES_BYTES // 2 + 1), filename=name) for name in "ab"], {"attachments"}),
        ([{"filename": "a.txt"}], {"attachments[0].content"}),
        (["x"], {"attachments[0]"}),
    ],
)
def test_what_no_mail_can_carry_is_refused_with_all_other_faults(
    call: Caller, db: Db, files: list[Any], paths: set[str]
) -> None:
    refused = call("POST", "/v1/schedules", json=a_schedule_body(attachments=files, name=""))

    found = {path.removesuffix("._schema") for path in problems(refused)}
    assert found - {"name"} == paths
    assert db.schedules.count_documents({}) == 0
    assert db.attachments.count_documents({}) == 0


def test_a_file_of_a_schedule_that_was_refused_in_the_end_is_removed_in_time(call: Caller, db: Db) -> None:
    key = {"Idempotency-Key": "k"}
    call("POST", "/v1/schedules", json=a_schedule_body(), headers=key)

    call("POST", "/v1/schedules", json=a_schedule_body(attachments=[TERMS]), headers=key)
    made(call, attachments=[LOGO])
    copy = call("POST", f"/v1/schedules/{made(call, attachments=[TERMS])['id']}/duplicate", headers=key).json

    assert copy["attached"] == ATTACHED[1:]
    assert [doc for doc in db.attachments.find() if "expires_at" in doc] == []


def test_while_a_process_may_run_that_would_leave_them_out_they_are_refused(call: Caller, db: Db) -> None:
    kept = made(call, attachments=[LOGO])
    checked_in(db, protocol=4)

    refused = call("POST", "/v1/schedules", json=a_schedule_body(attachments=[LOGO]))
    copied = call("POST", f"/v1/schedules/{kept['id']}/duplicate", headers={"Idempotency-Key": "copy"})

    assert (refused.json["code"], copied.json["code"]) == ("senders_too_old", "senders_too_old")
    assert call("POST", "/v1/schedules", json=a_schedule_body()).status_code == 201


def test_each_dispatch_of_a_run_is_as_large_as_what_its_mails_carry(call: Caller, db: Db) -> None:
    with_files, without = made(call, attachments=[LOGO, TERMS])["id"], made(call)["id"]
    for id_ in (with_files, without):
        call("POST", f"/v1/schedules/{id_}/run-now", headers={"Idempotency-Key": id_})
        expand_all(db, hold(db, id_))

    sizes = {doc["schedule_id"]: doc.get("size") for doc in db.dispatches.find()}
    assert sizes == {with_files: len(PNG) + 4, without: None}
