"""Refused requests are kept and can be looked through."""

from typing import Any

from mailroom.domain.errors import Unavailable
from mailroom.services.operations.rejected_requests import STRANGERS_A_MINUTE
from mailroom.storage import rejected_requests
from mailroom.storage.database import Db
from tests.support.caller import Caller
from tests.support.emails import an_email
from tests.support.system import wait_for


def kept(call: Caller, count: int, **query: Any) -> list[dict[str, Any]]:
    """They are written behind the answer."""
    wait_for(
        lambda: len(call("GET", "/v1/refusals", query_string=query).json["items"]) >= count,
        within_s=10,
        what="they are written",
    )
    return list(call("GET", "/v1/refusals", query_string=query).json["items"])


def test_a_wrong_request_is_kept_with_its_reasons_and_without_what_it_says(call: Caller) -> None:
    refused = call("POST", "/v1/emails", json=an_email(to=["nonsense"], text="The code is 4711"))
    assert refused.status_code == 422

    (one,) = kept(call, 1)

    assert (one["method"], one["path"], one["status"], one["who"]) == ("POST", "/v1/emails", 422, "tests")
    assert one["errors"] == refused.json["errors"]
    assert one["request_id"] == refused.json["request_id"]
    assert "nonsense" in one["body"]
    assert "4711" not in one["body"]


def test_malformed_ones_and_strangers_are_kept_and_no_body_of_a_stranger(call: Caller) -> None:
    call("POST", "/v1/emails", data=b'{"from": ', headers={"Content-Type": "application/json"})
    call.client.post("/v1/emails", json=an_email(subject="from a stranger"))
    call.client.post("/webhooks/mailgun", json={"signature": {}})
    call.client.get("/v1/emails/unknown", headers=call.headers)

    found = kept(call, 3)

    assert sorted((one["status"], one["path"]) for one in found) == [
        (400, "/v1/emails"),
        (401, "/v1/emails"),
        (406, "/webhooks/mailgun"),
    ]
    assert next(one["body"] for one in found if one["status"] == 401) == ""
    assert [one["status"] for one in kept(call, 1, status=401)] == [401]
    assert call("GET", "/v1/refusals?status=200").status_code == 422


def test_strangers_cannot_fill_the_record(call: Caller, db: Db) -> None:
    for _ in range(STRANGERS_A_MINUTE + 30):
        call.client.get("/v1/emails")
    call("POST", "/v1/emails", json={"subject": "known"})

    found = kept(call, 1, status=422)

    assert len(found) == 1
    # Two where a minute ends in between.
    assert db.refusals.count_documents({"status": 401}) <= 2 * STRANGERS_A_MINUTE


def test_what_is_refused_within_a_batch_is_kept_by_its_place_and_what_is_taken_is_not(call: Caller) -> None:
    mails = [an_email(), an_email(to=["nonsense"], text="The code is 4711"), an_email(priority="utmost"), "no mail"]

    call("POST", "/v1/emails/batch", json={"emails": mails})

    found = {one["path"]: one for one in kept(call, 3)}
    assert sorted(found) == ["/v1/emails/batch#1", "/v1/emails/batch#2", "/v1/emails/batch#3"]
    assert {one["status"] for one in found.values()} == {422}
    assert [error["path"] for error in found["/v1/emails/batch#1"]["errors"]] == ["to[0]"]
    assert "nonsense" in found["/v1/emails/batch#1"]["body"]
    assert "4711" not in found["/v1/emails/batch#1"]["body"]


def test_a_number_beyond_64_bits_in_one_mail_of_a_batch_concerns_no_other(call: Caller) -> None:
    batch = [an_email(), an_email(variables={"n": 10**30}, tags=[-(10**30)]), 10**30, [2**64]]

    answer = call("POST", "/v1/emails/batch", json={"emails": batch})

    assert answer.status_code == 200
    assert [one["code"] for one in answer.json["items"]] == [202, 422, 422, 422]


def test_of_a_batch_that_is_all_wrong_enough_is_kept_to_see_why(call: Caller, db: Db) -> None:
    call("POST", "/v1/emails/batch", json={"emails": [{}] * 1_000})
    call("POST", "/v1/emails", json={})

    kept(call, 51, limit=100)

    assert db.refusals.count_documents({}) == 51


def test_the_list_is_paged_newest_first(call: Caller) -> None:
    for number in range(5):
        call("POST", "/v1/emails", json={"subject": f"{number}"})
    kept(call, 5)

    first = call("GET", "/v1/refusals?limit=3").json
    rest = call("GET", "/v1/refusals", query_string={"limit": 3, "cursor": first["next_cursor"]}).json

    times = [one["at"] for one in first["items"] + rest["items"]]
    assert len(times) == 5
    assert times == sorted(times, reverse=True)
    assert rest["next_cursor"] is None


def test_a_token_without_the_scope_cannot_look(call: Caller) -> None:
    made = call("POST", "/v1/tokens", json={"name": "reader", "scopes": ["read"]}).json["token"]

    assert call.client.get("/v1/refusals", headers={"Authorization": f"Bearer {made}"}).status_code == 403


def test_the_record_being_away_keeps_no_caller_waiting(call: Caller, db: Db, monkeypatch: Any) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(rejected_requests, "add_many", away)

    assert call("POST", "/v1/emails", json={}).status_code == 422
    assert db.refusals.count_documents({}) == 0
