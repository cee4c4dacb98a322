"""Large bodies in a bucket of S3, over a local S3 server: written first, read back whole, removed when nobody names
them; and while S3 is away, only mails with a large body wait."""

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from config.settings import read_settings
from local.ports import free_port
from mailroom.assembly.api import build_api_services
from mailroom.domain.dispatches.outcomes import Refusal
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.emails.model import Body
from mailroom.domain.errors import BodiesAway
from mailroom.domain.ids import EmailId
from mailroom.providers.mailgun.sending import MailgunAdapter
from mailroom.services.dispatching.requests import Preparing
from mailroom.services.mails.accept import AcceptedMail, Outbox
from mailroom.services.operations import janitor
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.body_files.references import FileGone
from mailroom.storage.body_files.s3_bucket import S3Bucket
from mailroom.storage.database import Db
from mailroom.storage.mails import bodies
from scheduler_api.app import create_app
from tests.support.caller import Caller
from tests.support.claims import a_claimed_mail
from tests.support.emails import an_email, base64_of
from tests.support.s3 import KEY, REGION, LocalS3, local_s3
from tests.support.system import System
from tests.support.workers import checked_in, checked_in_by_an_earlier_version

PICTURE = bytes(range(256)) * 2_000
LATER = datetime.now(UTC) + timedelta(hours=2)
AGES = timedelta(days=900)
ADAPTER = MailgunAdapter(
    domain="mg.example.com", base_url="https://api.mailgun.net", api_key="k", call_timeout_s=5, idle_limit_s=60
)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalS3]:
    with local_s3(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture
def bucket(s3: LocalS3) -> S3Bucket:
    return s3.new_bucket()


@pytest.fixture
def away() -> S3Bucket:
    """Nobody listens there."""
    return S3Bucket("bodies", endpoint=f"http://127.0.0.1:{free_port()}", region=REGION, **KEY)


def large(*attachments: bytes) -> EmailDraft:
    return EmailDraft(
        sender="a@mg.example.com",
        to=("bo@example.org",),
        subject="Hi",
        text="Hello",
        html="ä" * 200_000,
        attachments=[{"filename": "a.bin", "content": base64_of(one)} for one in attachments],
    )


def small() -> EmailDraft:
    return EmailDraft(sender="a@mg.example.com", to=("bo@example.org",), subject="Hi", text="Hello")


def handed_in(db: Db, files: BodyFiles, *drafts: EmailDraft) -> list[AcceptedMail | Exception]:
    return Outbox(db, lanes=4, files=files).hand_in_many([(draft, None) for draft in drafts], owner="ann")


def ids_of(taken: Sequence[AcceptedMail | Exception]) -> list[EmailId]:
    assert all(isinstance(one, AcceptedMail) for one in taken), taken
    return [one.id for one in taken if isinstance(one, AcceptedMail)]


def test_a_large_body_goes_to_the_bucket_and_comes_back_whole(db: Db, s3: LocalS3, bucket: S3Bucket) -> None:
    files = BodyFiles(db, bucket)

    one, other = ids_of(handed_in(db, files, large(PICTURE, b""), small()))

    found = bodies.get_many(db, files, [one, other])
    assert isinstance(found[one], Body)
    assert (found[one].text, found[one].html) == ("Hello", "ä" * 200_000)
    assert [each.content for each in found[one].attachments] == [PICTURE, b""]
    assert len(s3.objects(bucket)) == 3
    assert all(f"/{db.name}/{one}/" in each for each in s3.objects(bucket))
    assert db["bodies.files"].count_documents({}) == 0


def test_files_in_gridfs_are_found_after_the_change_to_s3(db: Db, bucket: S3Bucket) -> None:
    (before,) = ids_of(handed_in(db, BodyFiles(db), large(PICTURE)))

    found = bodies.get_many(db, BodyFiles(db, bucket), [before])[before]

    assert isinstance(found, Body)
    assert found.attachments[0].content == PICTURE


def test_while_a_sender_may_run_that_would_take_it_for_gone_no_file_goes_to_the_bucket(
    db: Db, s3: LocalS3, bucket: S3Bucket
) -> None:
    files = BodyFiles(db, bucket)
    checked_in(db, "new-1")
    checked_in_by_an_earlier_version(db, "old-1")

    (before,) = ids_of(handed_in(db, files, large()))
    told, kept = files.check(), s3.objects(bucket)
    db.workers.delete_one({"_id": "old-1"})
    ids_of(handed_in(db, files, large()))

    assert (kept, len(s3.objects(bucket))) == (set(), 1)
    assert isinstance(bodies.get_many(db, files, [before])[before], Body)
    assert told.startswith("large ones go to MongoDB (GridFS) until the senders of an earlier version have ended")


def test_without_its_setting_a_body_in_s3_waits_and_is_not_taken_for_gone(db: Db, bucket: S3Bucket) -> None:
    (id_,) = ids_of(handed_in(db, BodyFiles(db, bucket), large()))

    found = bodies.get_many(db, BodyFiles(db), [id_])[id_]

    assert "MAILROOM_BODIES_S3_BUCKET is not set" in str(found)


def test_while_s3_is_away_only_a_large_mail_is_turned_down(db: Db, away: S3Bucket) -> None:
    refused, taken = handed_in(db, BodyFiles(db, away), large(PICTURE), small())

    assert isinstance(refused, BodiesAway)
    assert "S3 bucket bodies does not work: Could not connect" in str(refused)
    assert isinstance(taken, AcceptedMail)
    assert [doc["_id"] for doc in db.emails.find()] == [doc["_id"] for doc in db.bodies.find()] == [taken.id]


def test_a_mail_waits_for_its_body_in_s3_and_uses_up_no_try(db: Db, bucket: S3Bucket, away: S3Bucket) -> None:
    handed_in(db, BodyFiles(db, bucket), large(PICTURE))
    claimed = a_claimed_mail(db)

    without = Preparing(db, {"mailgun": ADAPTER}, BodyFiles(db, away)).build([claimed])
    with_it = Preparing(db, {"mailgun": ADAPTER}, BodyFiles(db, bucket)).build([claimed])

    ((_, why),) = [(one.claimed, one.outcome) for one in without.refused]
    assert why.kind is Refusal.NOT_CALLED  # type: ignore[union-attr]
    assert not without.ready
    assert PICTURE in with_it.ready[claimed].body  # type: ignore[attr-defined]


def test_what_no_body_names_is_removed_from_the_bucket_and_nothing_else(db: Db, s3: LocalS3, bucket: S3Bucket) -> None:
    files = BodyFiles(db, bucket)
    kept, over = ids_of(handed_in(db, files, large(PICTURE), large(PICTURE)))
    orphan = files.put(EmailId("em_never"), b"of a request that failed half-way")
    db.bodies.delete_one({"_id": over})  # as its retention does

    young = bodies.sweep(db, files, now=datetime.now(UTC))
    done = janitor.sweep(db, trails_kept_for=AGES, files=files)
    removed = [bodies.sweep(db, files, now=LATER) for _ in range(2)]

    assert (young, done.get("files_removed"), removed) == (0, None, [3, 0])
    assert {each.split("/")[2] for each in s3.objects(bucket)} == {kept}
    assert orphan not in s3.objects(bucket)
    assert db["bodies.objects"].count_documents({}) == len(s3.objects(bucket)) == 2
    with pytest.raises(FileGone):
        files.read(orphan)


def test_s3_that_is_away_keeps_no_other_tidying_from_being_done(db: Db, bucket: S3Bucket, away: S3Bucket) -> None:
    for home in (BodyFiles(db), BodyFiles(db, bucket)):
        home.put(EmailId("em_never"), b"x")
    db["bodies.files"].update_many({}, {"$set": {"metadata.look_at": LATER - AGES}})
    db["bodies.objects"].update_many({}, {"$set": {"look_at": LATER - AGES}})

    with pytest.raises(BodiesAway):
        janitor.sweep(db, trails_kept_for=AGES, files=BodyFiles(db, away))

    assert db["bodies.files"].count_documents({}) == 0
    assert db["bodies.objects"].count_documents({}) == 1
    assert janitor.sweep(db, trails_kept_for=AGES, files=BodyFiles(db, bucket)) == {"files_removed": 1}


def test_a_bucket_that_does_not_exist_is_named_and_takes_no_body_for_gone(db: Db, s3: LocalS3) -> None:
    files = BodyFiles(db, s3.bucket("no-such-bucket"))

    for use in (files.check, lambda: files.read("no-such-bucket/key")):
        with pytest.raises(BodiesAway, match="S3 bucket no-such-bucket does not work: NoSuchBucket"):
            use()


def test_doctor_tries_the_bucket_and_leaves_nothing_there(db: Db, s3: LocalS3, bucket: S3Bucket) -> None:
    said = BodyFiles(db, bucket).check()

    assert said == f"large ones go to S3: bucket {bucket.name} takes, gives and removes files"
    assert s3.objects(bucket) == set()


class _Busy(BaseHTTPRequestHandler):
    """Answers 503, and counts."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(503)

    def log_message(self, *_: Any) -> None:
        """Not into the tests' output."""


def test_a_busy_s3_is_tried_twice_and_no_more() -> None:
    _Busy.asked.clear()
    with HTTPServer(("127.0.0.1", 0), _Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        bucket = S3Bucket("bodies", endpoint=f"http://127.0.0.1:{server.server_port}", region=REGION, **KEY)

        with pytest.raises(BodiesAway):
            bucket.get("bodies/a")
        server.shutdown()

    assert len(_Busy.asked) == 2


def test_a_bucket_that_did_not_answer_is_left_alone_for_a_moment(away: S3Bucket) -> None:
    told = []
    for _ in range(2):
        with pytest.raises(BodiesAway) as refused:
            away.put("bodies/a", b"x")
        told.append("a moment ago" in str(refused.value))

    assert told == [False, True]


def test_the_api_shows_a_body_in_s3_and_says_when_it_cannot_store_one(
    system: System, s3: LocalS3, bucket: S3Bucket, away: S3Bucket
) -> None:
    attachment = {"filename": "a.bin", "content": base64_of(PICTURE)}
    asked = an_email(html="x" * 300_000, attachments=[attachment])
    there = read_settings(system.environment | s3.settings(bucket), dotenv=None)
    app = create_app(build_api_services(there, app="tests"))
    call = Caller(app.test_client(), system.token)

    taken = call("POST", "/v1/emails", json=asked)
    whole = call("GET", f"/v1/emails/{taken.json['id']}?include=body").json

    assert len(whole["html"]) == 300_000
    assert [(one["filename"], one["size"]) for one in whole["attachments"]] == [("a.bin", len(PICTURE))]
    gone = read_settings(
        system.environment | s3.settings(bucket) | {"MAILROOM_BODIES_S3_URL": f"http://127.0.0.1:{free_port()}"},
        dotenv=None,
    )
    app_without = create_app(build_api_services(gone, app="tests"))
    refused = Caller(app_without.test_client(), system.token)("POST", "/v1/emails", json=asked)
    assert (refused.status_code, refused.json["code"]) == (503, "unavailable")
    for end in [*app.extensions["at_end"], *app_without.extensions["at_end"]]:
        end()
