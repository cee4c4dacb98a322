"""Mails with large attachments: whole, in bounded memory, and without files that nobody names."""

import hashlib
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gridfs import GridFSBucket

from local.servers import Servers
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.database import server_now
from mailroom.storage.mails import bodies
from tests.support.databases import Databases
from tests.support.emails import an_email, base64_of, hand_in, status
from tests.support.s3 import local_s3
from tests.support.system import System, a_system, peak_memory_mb, wait_for


def test_a_mail_of_twenty_megabytes_arrives_whole(running: System) -> None:
    content = os.urandom(20_000_000)
    picture = b"\x89PNG" + os.urandom(1_000)
    attachments = [
        {"filename": "Bericht für Bo.pdf", "content_type": "application/pdf", "content": base64_of(content)},
        {"filename": "logo.png", "content_type": "image/png", "content": base64_of(picture), "content_id": "logo"},
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
    attachment = {"filename": "a.bin", "content": base64_of(os.urandom(10_000_000))}
    ids = [hand_in(system, attachments=[attachment]) for _ in range(30)]

    (sender,) = system.start_senders(1)

    wait_for(lambda: {status(system, id_) for id_ in ids} == {"delivered"}, within_s=120, what="all are delivered")
    assert len(system.simulator.calls()) == 30
    assert peak_memory_mb(sender.process.pid) < 350


def test_a_large_mail_of_low_priority_does_not_hold_up_a_password_reset(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=4)
    system.start_api(webhooks=False)
    attachment = {"filename": "a.bin", "content": base64_of(os.urandom(23_000_000))}
    for _ in range(3):
        hand_in(system, priority="low", attachments=[attachment])
    system.start_senders(1)
    wait_for(lambda: system.simulator.record()["received"] >= 3, within_s=30, what="the large ones are called")

    urgent = hand_in(system, priority="high")

    wait_for(
        lambda: system.db.dispatches.find_one({"run_id": urgent, "state": "sending"}), within_s=1.5, what="it is called"
    )


def test_a_repeated_request_leaves_no_files_behind(system: System) -> None:
    system.start_api(webhooks=False)
    large = {"attachments": [{"filename": "a.bin", "content": base64_of(os.urandom(500_000))}]}
    hand_in(system, key="k", **large)

    hand_in(system, key="k", **large)
    system.call("POST", "/v1/emails", json=an_email(subject="Another", **large), headers={"Idempotency-Key": "k"})

    assert system.db["bodies.files"].count_documents({}) == 1


def test_files_that_no_mail_names_are_swept_away_and_no_others(system: System) -> None:
    system.start_api(webhooks=False)
    email = hand_in(system, attachments=[{"filename": "a.bin", "content": base64_of(os.urandom(500_000))}])
    (kept,) = system.db["bodies.files"].find()
    orphan = GridFSBucket(system.db, bucket_name="bodies").upload_from_stream(
        "x", b"x" * 300_000, metadata={"email": email, "look_at": server_now(system.db)}
    )
    later = datetime.now(UTC) + timedelta(hours=2)

    removed = [bodies.sweep(system.db, BodyFiles(system.db), now=later) for _ in range(2)]

    assert removed == [1, 0]
    assert [doc["_id"] for doc in system.db["bodies.files"].find()] == [kept["_id"]]
    assert system.db["bodies.chunks"].count_documents({"files_id": orphan}) == 0
    system.db.bodies.delete_one({"_id": email})
    assert bodies.sweep(system.db, BodyFiles(system.db), now=later + timedelta(days=2)) == 1


def test_a_large_mail_goes_by_way_of_s3_and_arrives_whole(
    servers: Servers, databases: Databases, tmp_path: Path
) -> None:
    content = os.urandom(3_000_000)
    with local_s3(tmp_path) as s3:
        bucket = s3.new_bucket()
        with a_system(tmp_path / "system", servers, database=databases.take(), **s3.settings(bucket)) as system:
            system.start_simulator()
            system.start_api()
            system.start_senders(1)
            email = hand_in(system, attachments=[{"filename": "a.bin", "content": base64_of(content)}])

            wait_for(lambda: status(system, email) == "delivered", within_s=60, what="it is delivered")

            (call,) = system.simulator.calls()
            (file,) = json.loads(call["files"])
            assert file["sha256"] == hashlib.sha256(content).hexdigest()
            assert len(s3.objects(bucket)) == 1
            assert system.db["bodies.files"].count_documents({}) == 0
            doctor = system.start("doctor", "cli.main", "doctor", "--json")
            doctor.process.wait(60)
            assert f"bucket {bucket.name} takes, gives and removes files" in doctor.tail(100)
