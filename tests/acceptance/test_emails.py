"""Single mails, from the API to the provider and back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.emails import an_email, envelope, hand_in, shown, status
from tests.support.system import System, wait_for


def test_a_mail_goes_out_once_and_its_id_comes_back_with_the_providers_events(running: System) -> None:
    email = hand_in(running)

    wait_for(lambda: status(running, email) == "delivered", within_s=20, what="it is delivered")

    assert envelope(running) == ["bo@example.org"]
    (call,) = running.simulator.calls()
    assert json.loads(call["variables"])["run"] == email
    (recipient,) = shown(running, email)["recipients"]
    assert (recipient["address"], recipient["status"], recipient["tries"]) == ("bo@example.org", "delivered", 1)
    told = [step["what"] for step in running.call("GET", f"/v1/emails/{email}/events").json()["items"]]
    assert told[:3] == ["planned", "claimed", "accepted"]
    assert "delivered" in told


def test_cc_and_bcc_reach_their_envelopes_and_bcc_stands_in_no_header(running: System) -> None:
    email = hand_in(
        running, to=["Bo <bo@example.org>", "al@example.org"], cc=["cy@example.org"], bcc=["di@example.org"]
    )

    wait_for(lambda: status(running, email) == "delivered", within_s=20, what="all of them have it")

    assert envelope(running) == ["al@example.org", "bo@example.org", "cy@example.org", "di@example.org"]
    (call,) = running.simulator.calls()
    assert json.loads(call["shown"]) == {"to": "Bo <bo@example.org>, al@example.org", "cc": "cy@example.org"}
    assert "di@example.org" not in json.dumps([call["shown"], call["headers"], call["text"], call["subject"]])


def test_headers_tags_variables_and_reply_to_arrive(running: System) -> None:
    email = hand_in(
        running,
        reply_to="help@example.com",
        headers={"X-Order": "4711"},
        tags=["reset"],
        subject="Hello {{ name }}",
        text="Follow {{ link }}",
        html="<p>Follow {{ link }}</p>",
        variables={"name": "Bo", "link": "https://example.org/?a=1&b=2"},
    )

    wait_for(lambda: status(running, email) == "delivered", within_s=20, what="it is delivered")

    (call,) = running.simulator.calls()
    headers = json.loads(call["headers"])
    assert headers["X-Order"] == "4711"
    assert headers["Reply-To"] == "help@example.com"
    assert json.loads(call["tags"]) == ["reset"]
    assert (call["subject"], call["text"]) == ("Hello Bo", "Follow https://example.org/?a=1&b=2")
    assert call["html"] == "<p>Follow https://example.org/?a=1&amp;b=2</p>"


def test_the_same_key_with_the_same_mail_is_the_same_mail_and_with_another_one_is_refused(running: System) -> None:
    first = hand_in(running, key="order-4711")

    again = hand_in(running, key="order-4711")
    other = running.call(
        "POST", "/v1/emails", json=an_email(subject="Another"), headers={"Idempotency-Key": "order-4711"}
    )

    assert again == first
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_mismatch"
    wait_for(lambda: status(running, first) == "delivered", within_s=20, what="it is delivered")
    assert envelope(running) == ["bo@example.org"]


def test_a_batch_is_answered_mail_by_mail(running: System) -> None:
    mails = [an_email(to=["a@example.org"]), an_email(to=["not an address"]), an_email(to=["b@example.org"])]
    mails[2]["idempotency_key"] = "its own"
    sent = [running.call("POST", "/v1/emails/batch", json={"emails": mails}) for _ in range(2)]

    first, second = (answer.json()["items"] for answer in sent)

    assert [item["code"] for item in first] == [202, 422, 202]
    assert first[1]["problem"]["errors"][0]["path"] == "to[0]"
    assert second[2]["id"] == first[2]["id"]
    assert second[0]["id"] != first[0]["id"]
    ids = {item["id"] for item in [*first, *second] if "id" in item}
    wait_for(lambda: {status(running, id_) for id_ in ids} == {"delivered"}, within_s=20, what="all are delivered")
    assert envelope(running) == ["a@example.org", "a@example.org", "b@example.org"]


def test_a_mail_for_later_waits_and_can_be_cancelled_until_then(running: System) -> None:
    later = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
    waits, cancelled = hand_in(running, send_at=later), hand_in(running, send_at=later)

    answer = running.call("POST", f"/v1/emails/{cancelled}/cancel")

    assert answer.json()["status"] == "cancelled"
    assert status(running, waits) == "queued"
    assert not running.simulator.calls()
    wait_for(lambda: status(running, waits) == "delivered", within_s=20, what="its time came")
    assert envelope(running) == ["bo@example.org"]
    too_late = running.call("POST", f"/v1/emails/{waits}/cancel")
    assert too_late.status_code == 409


def test_a_mail_that_shows_only_after_its_time_goes_out_soon(running: System) -> None:
    """As from an API that hangs between the mail's time and the end of its transaction."""
    email = hand_in(running, send_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    hand_in(running, to=["first@example.org"])
    wait_for(lambda: running.simulator.mails(), within_s=20, what="a sender looks for what is due")
    ago = datetime.now(UTC) - timedelta(minutes=10)

    running.db.dispatches.update_one({"run_id": email}, {"$set": {"not_before": ago}})

    wait_for(lambda: status(running, email) == "delivered", within_s=5, what="it is delivered")


def test_one_refused_recipient_does_not_keep_the_mail_from_the_others(running: System) -> None:
    running.simulator.turn(refused_addresses=["cy@example.org"])
    email = hand_in(running, to=["bo@example.org", "al@example.org"], cc=["cy@example.org"], bcc=["di@example.org"])

    wait_for(
        lambda: (
            "queued" not in {one["status"] for one in shown(running, email)["recipients"]}
            and len(envelope(running)) == 3
        ),
        within_s=20,
        what="the others have it",
    )

    assert envelope(running) == ["al@example.org", "bo@example.org", "di@example.org"]
    states = {one["address"]: one["status"] for one in shown(running, email)["recipients"]}
    assert states["cy@example.org"] == "failed"
    # Who got it in a part of the mail still reads whom it was meant for.
    for call in running.simulator.calls():
        assert json.loads(call["shown"]) == {"to": "bo@example.org, al@example.org", "cc": "cy@example.org"}


def test_a_hard_bounce_is_not_tried_again_and_the_address_gets_nothing_more(running: System) -> None:
    email = hand_in(running, to=["bounce-1@example.org"])
    wait_for(lambda: status(running, email) == "bounced", within_s=20, what="it bounced")

    second = hand_in(running, to=["bounce-1@example.org"])

    wait_for(lambda: status(running, second) == "suppressed", within_s=20, what="it is held back")
    assert len(running.simulator.calls()) == 1


def test_a_mail_in_doubt_is_settled_with_the_provider_and_goes_out_once(running: System) -> None:
    running.simulator.fail_next("drop_after")

    email = hand_in(running)

    wait_for(lambda: status(running, email) == "delivered", within_s=30, what="the doubt is settled")
    assert envelope(running) == ["bo@example.org"]


def test_mails_are_found_by_recipient_tag_status_and_time(running: System) -> None:
    first = hand_in(running, to=["a@example.org"], tags=["reset"])
    second = hand_in(running, to=["B@example.org"], tags=["invoice"], bcc=["a@example.org"])
    third = hand_in(running, to=["c@example.org"], send_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    wait_for(
        lambda: {status(running, id_) for id_ in (first, second)} == {"delivered"}, within_s=20, what="two are out"
    )

    def found(**query: Any) -> list[str]:
        return [item["id"] for item in running.call("GET", "/v1/emails", params=query).json()["items"]]

    assert found() == [third, second, first]
    assert found(recipient="A@Example.org") == [second, first]
    assert found(tag="invoice") == [second]
    assert found(status="queued") == [third]
    assert sorted(found(status="delivered")) == sorted([first, second])
    assert found(until=shown(running, second)["created_at"]) == [first]
    page = running.call("GET", "/v1/emails", params={"limit": 2}).json()
    rest = running.call("GET", "/v1/emails", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [item["id"] for item in [*page["items"], *rest["items"]]] == [third, second, first]


@pytest.mark.parametrize(
    "attachment", [[], [{"filename": "a.eml", "content_type": "message/delivery-status", "content": "YQ=="}]]
)
def test_what_is_left_of_a_mail_arrives_with_its_headers_as_they_were_given(
    running: System, attachment: list[dict[str, str]]
) -> None:
    unsubscribe = "<https://example.org/u/" + "x" * 200 + ">, <mailto:u@example.org>"
    running.simulator.turn(refused_addresses=["cy@example.org"])
    email = hand_in(
        running,
        to=["bo@example.org"],
        cc=["cy@example.org"],
        headers={"List-Unsubscribe": unsubscribe},
        attachments=attachment,
    )

    wait_for(lambda: envelope(running) == ["bo@example.org"], within_s=20, what="the other one has it")

    (call,) = running.simulator.calls()
    assert json.loads(call["headers"])["List-Unsubscribe"] == unsubscribe
    tries = {one["address"]: one["tries"] for one in shown(running, email)["recipients"]}
    assert tries["bo@example.org"] == 2


def test_a_mail_that_cannot_be_made_ready_fails_alone_and_says_so(system: System) -> None:
    system.start_simulator()
    system.start_api()
    later = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    ids = [hand_in(system, to=[f"reader-{n}@example.org"], send_at=later) for n in range(10)]
    system.db.emails.update_one({"_id": ids[3]}, {"$unset": {"addressees": ""}})  # as a bug of ours would leave it

    system.start_senders(1)

    wait_for(
        lambda: {status(system, id_) for id_ in ids[:3] + ids[4:]} == {"delivered"}, within_s=30, what="the others"
    )
    broken = system.db.messages.find_one({"run_id": ids[3]})
    assert broken
    assert broken["state"] == "failed"
    assert "KeyError" in broken["reason"]


def test_a_wrong_mail_in_a_batch_is_answered_by_itself_whatever_it_is(running: System) -> None:
    wrong = [None, 7, an_email(metadata={"a\0b": "x"}), an_email(to="bo@example.org"), an_email(text="\0")]

    answer = running.call("POST", "/v1/emails/batch", json={"emails": [*wrong, an_email()]})

    codes = [item["code"] for item in answer.json()["items"]]
    assert codes[:4] == [422, 422, 422, 422]
    assert codes[5] == 202


def test_a_part_of_a_mail_that_is_in_doubt_is_found_by_its_id_too(running: System) -> None:
    running.simulator.turn(refused_addresses=["cy@example.org"])
    later = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    email = hand_in(running, to=["bo@example.org"], cc=["cy@example.org"], send_at=later)
    running.db.suppressions.insert_one({"_id": "cy@example.org", "reason": "bounced", "since": datetime.now(UTC)})
    running.simulator.fail_next("500_after")

    wait_for(lambda: "delivered" in status_of_all(running, email), within_s=30, what="the doubt is settled")

    assert envelope(running) == ["bo@example.org"]
    assert len(running.simulator.calls()) == 1


def status_of_all(system: System, email: str) -> set[str]:
    return {one["status"] for one in shown(system, email)["recipients"]}


def test_a_quoted_address_and_a_name_with_a_colon_reach_the_provider_as_they_are_written(running: System) -> None:
    email = hand_in(
        running, to=['"Acme: Support" <"us..er"@docomo.ne.jp>'], reply_to=["a@example.com", "b@example.com"]
    )

    wait_for(lambda: status(running, email) == "delivered", within_s=20, what="it is delivered")

    assert envelope(running) == ['"us..er"@docomo.ne.jp']
    assert json.loads(running.simulator.calls()[0]["headers"])["Reply-To"] == "a@example.com, b@example.com"
