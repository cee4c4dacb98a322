"""Single mails, from the API to the provider and back."""

import base64
import contextlib
import hashlib
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from gridfs import GridFSBucket

from local.children import free_port
from mailroom.storage import bodies
from tests.chaos.proxy import Proxy, Way
from tests.support.campaigns import a_campaign, finished, marks
from tests.support.emails import an_email, hand_in, shown, status
from tests.support.system import System, peak_memory_mb, wait_for


@pytest.fixture
def running(system: System) -> System:
    """API, simulator and one sender."""
    system.start_simulator()
    system.start_api()
    system.start_senders(1)
    return system


def envelope(system: System) -> list[str]:
    """Everybody to whom a copy went, by the simulator's record."""
    return sorted(mail["recipient"] for mail in system.simulator.mails())


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


def test_a_mail_of_twenty_megabytes_arrives_whole(running: System) -> None:
    content = os.urandom(20_000_000)
    picture = b"\x89PNG" + os.urandom(1_000)
    attachments = [
        {"filename": "Bericht für Bo.pdf", "content_type": "application/pdf", "content": _base64(content)},
        {"filename": "logo.png", "content_type": "image/png", "content": _base64(picture), "content_id": "logo"},
    ]
    email = hand_in(running, html='<img src="cid:logo">', attachments=attachments)

    wait_for(lambda: status(running, email) == "delivered", within_s=60, what="it is delivered")

    (call,) = running.simulator.calls()
    files = {file["kind"]: file for file in json.loads(call["files"])}
    assert files["attachment"]["filename"] == "Bericht für Bo.pdf"
    assert files["attachment"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert files["inline"]["filename"] == "logo"
    assert files["inline"]["sha256"] == hashlib.sha256(picture).hexdigest()


def test_many_large_mails_at_once_leave_a_senders_memory_bounded(system: System) -> None:
    system.start_simulator()
    system.start_api()
    attachment = {"filename": "a.bin", "content": _base64(os.urandom(10_000_000))}
    ids = [hand_in(system, attachments=[attachment]) for _ in range(30)]

    (sender,) = system.start_senders(1)

    wait_for(lambda: {status(system, id_) for id_ in ids} == {"delivered"}, within_s=120, what="all are delivered")
    assert len(system.simulator.calls()) == 30
    assert peak_memory_mb(sender.process.pid) < 450


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


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


def test_a_dead_senders_mails_are_taken_over_and_two_apis_and_three_senders_share_the_work(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=0.05)
    system.start_api()
    senders = system.start_senders(3, MAILROOM_LEASE_TTL="2")
    wait_for(lambda: lanes_by_sender(system) == [4, 6, 6], within_s=20, what="the lanes are shared")
    first, second = system.api_port, free_port()
    system.start("api-2", "cli.main", "api", MAILROOM_API_PORT=str(second))
    system.api_port = second
    wait_for(lambda: answers(system), within_s=20, what="the second API answers")
    ids = []
    for number in range(120):
        system.api_port = (first, second)[number % 2]
        ids.append(hand_in(system, key=f"mail-{number}", to=[f"reader-{number}@example.org"]))
        if number == 60:
            senders[0].kill()
    system.api_port = first
    assert hand_in(system, key="mail-1", to=["reader-1@example.org"]) == ids[1]  # which the other one had taken

    wait_for(lambda: {status(system, id_) for id_ in ids} == {"delivered"}, within_s=60, what="all are delivered")
    assert envelope(system) == sorted(f"reader-{n}@example.org" for n in range(120))
    wait_for(lambda: lanes_by_sender(system) == [8, 8], within_s=20, what="the other two have all lanes")
    system.start_senders(1, MAILROOM_LEASE_TTL="2")
    wait_for(lambda: lanes_by_sender(system) == [4, 6, 6], within_s=20, what="a new one gets its share")


def answers(system: System) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return system.call("GET", "/health").status_code == 200
    return False


def lanes_by_sender(system: System) -> list[int]:
    """How many of the sixteen lanes of single mails each live sender holds, by etcd."""
    import etcd3

    port = int(system.settings.stores.etcd_urls[0].rpartition(":")[2])
    client = etcd3.client(host="127.0.0.1", port=port)
    try:
        held: dict[bytes, int] = {}
        for holder, _ in client.get_prefix("/mailroom/lanes/mail/"):
            held[holder] = held.get(holder, 0) + 1
        return sorted(held.values())
    finally:
        client.close()


def test_a_password_reset_overtakes_what_waits_and_a_campaign_does_not_hold_it_up(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=0.5)
    system.start_api(webhooks=False)
    system.start_senders(1, MAILROOM_SENDER_CONCURRENCY="2", MAILROOM_BATCH_SIZE="1")
    a_campaign(system, 200)
    wait_for(lambda: len(marks(system)) > 4, within_s=20, what="the campaign is under way")
    ordinary = [hand_in(system, to=[f"low-{n}@example.org"], priority="low") for n in range(20)]

    urgent = hand_in(system, to=["now@example.org"], priority="high")

    wait_for(lambda: status(system, urgent) == "sent", within_s=4, what="the reset is out")
    assert {status(system, id_) for id_ in ordinary[-5:]} == {"queued"}
    assert len(marks(system)) < 150


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


def test_a_large_mail_of_low_priority_does_not_hold_up_a_password_reset(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=4)
    system.start_api(webhooks=False)
    attachment = {"filename": "a.bin", "content": _base64(os.urandom(23_000_000))}
    for _ in range(3):
        hand_in(system, priority="low", attachments=[attachment])
    system.start_senders(1)
    wait_for(lambda: system.simulator.record()["received"] >= 3, within_s=30, what="the large ones are called")

    urgent = hand_in(system, priority="high")

    wait_for(
        lambda: system.db.dispatches.find_one({"run_id": urgent, "state": "sending"}), within_s=1.5, what="it is called"
    )


def test_campaigns_are_sent_however_few_lanes_a_sender_may_hold(system: System) -> None:
    system.start_simulator()
    system.start_senders(1, MAILROOM_SCHEDULES_PER_SENDER="1")
    schedule = a_campaign(system, 3)

    wait_for(lambda: finished(system, schedule), within_s=20, what="the run is finished")


def test_a_sender_cut_off_from_mongodb_lets_the_others_have_its_lanes(system: System) -> None:
    proxy = Proxy(system.servers.ports.mongo)
    url = system.environment["MAILROOM_MONGO_URL"].replace(str(system.servers.ports.mongo), str(proxy.port))
    system.start_simulator()
    system.start_api(webhooks=False)
    system.start_senders(1, MAILROOM_LEASE_TTL="2")
    system.start_senders(1, MAILROOM_LEASE_TTL="2", MAILROOM_MONGO_URL=url.partition("?")[0] + "?directConnection=true")
    wait_for(lambda: lanes_by_sender(system) == [8, 8], within_s=20, what="the lanes are shared")

    proxy.way = Way.CUT
    ids = [hand_in(system, to=[f"reader-{n}@example.org"]) for n in range(40)]

    wait_for(lambda: {status(system, id_) for id_ in ids} == {"sent"}, within_s=40, what="all are sent")
    proxy.close()


def test_a_repeated_request_leaves_no_files_behind(system: System) -> None:
    system.start_api(webhooks=False)
    large = {"attachments": [{"filename": "a.bin", "content": _base64(os.urandom(500_000))}]}
    hand_in(system, key="k", **large)

    hand_in(system, key="k", **large)
    system.call("POST", "/v1/emails", json=an_email(subject="Another", **large), headers={"Idempotency-Key": "k"})

    assert system.db["bodies.files"].count_documents({}) == 1


def test_files_that_no_mail_names_are_swept_away_and_no_others(system: System) -> None:
    system.start_api(webhooks=False)
    email = hand_in(system, attachments=[{"filename": "a.bin", "content": _base64(os.urandom(500_000))}])
    (kept,) = system.db["bodies.files"].find()
    orphan = GridFSBucket(system.db, bucket_name="bodies").upload_from_stream(
        "x", b"x" * 300_000, metadata={"email": email, "named": False}
    )
    later = datetime.now(UTC) + timedelta(hours=2)

    removed = [bodies.sweep(system.db, now=later, kept_for=timedelta(days=9)) for _ in range(2)]

    assert removed == [1, 0]
    assert [doc["_id"] for doc in system.db["bodies.files"].find()] == [kept["_id"]]
    assert system.db["bodies.chunks"].count_documents({"files_id": orphan}) == 0
    system.db.bodies.delete_one({"_id": email})
    assert bodies.sweep(system.db, now=later + timedelta(days=9), kept_for=timedelta(days=9)) == 1


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
