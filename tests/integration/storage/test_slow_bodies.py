"""An S3 that answers slowly: a sender's round waits for large bodies for a bounded time, and each takes its turn."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from mailroom.domain.dispatches.model import Claimant, Claimed
from mailroom.domain.dispatches.outcomes import Refusal
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.errors import BodiesAway
from mailroom.domain.ids import EmailId, Lane, Token
from mailroom.providers.mailgun.sending import MailgunAdapter
from mailroom.services.dispatching import claims
from mailroom.services.dispatching.claims import Room, claimable
from mailroom.services.dispatching.requests import Prepared, Preparing
from mailroom.services.mails import accept
from mailroom.services.mails.accept import AcceptedMail, Outbox
from mailroom.storage import lanes
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.database import Db, server_now
from mailroom.storage.mails import bodies
from tests.support.emails import base64_of
from tests.support.slow_s3 import SlowS3, slow_s3

ADAPTER = MailgunAdapter(
    domain="mg.example.com", base_url="https://api.mailgun.net", api_key="k", call_timeout_s=5, idle_limit_s=60
)
FILES = [{"filename": f"{n}.bin", "content": base64_of(bytes(90_000))} for n in range(3)]


@pytest.fixture
def s3() -> Iterator[SlowS3]:
    with slow_s3() as started:
        yield started


def a_draft(*, large: bool) -> EmailDraft:
    return EmailDraft(
        sender="a@mg.example.com",
        to=("bo@example.org",),
        subject="Hi",
        text="Hello",
        attachments=FILES if large else [],
    )


def claimed_mails(db: Db, files: BodyFiles, *, large: int, small: int) -> list[Claimed]:
    """Handed in in this order, and claimed at once."""
    outbox = Outbox(db, lanes=1, files=files)
    for n in range(large + small):
        outbox.hand_in(a_draft(large=n < large), owner="ann")
    held = {Lane(lane): Token(1) for lane in db.dispatches.distinct("lane")}
    now = server_now(db)
    lanes.raise_tokens(db, held, "tests", now=now)
    waiting = claimable(db, held, now=now, room=Room(100, 10**8, 10**8))
    return claims.claim(db, waiting, held, Claimant("s", "m", "mailgun", "mg.example.com"), now=now)


def built(db: Db, files: BodyFiles, claimed: list[Claimed], *, within_s: float) -> tuple[Prepared, float]:
    began = time.monotonic()
    prepared = Preparing(db, {"mailgun": ADAPTER}, files, files_within_s=within_s).build(claimed)
    return prepared, time.monotonic() - began


def test_large_bodies_take_their_turn_and_small_mails_go_with_the_first(db: Db, s3: SlowS3) -> None:
    files = BodyFiles(db, s3.bucket())
    claimed = claimed_mails(db, files, large=8, small=2)
    s3.get_s = 1.0

    prepared, took_s = built(db, files, claimed, within_s=3)

    ready = [dispatch.size > 1_000 for dispatch in prepared.ready]
    assert (ready.count(False), len(ready) + len(prepared.refused)) == (2, 10)
    assert 1 <= ready.count(True) <= 3
    assert {(r.outcome.kind, r.outcome.reason) for r in prepared.refused} == {  # type: ignore[union-attr]
        (Refusal.NOT_CALLED, "its files take long to come, and it waits for its turn")
    }
    assert took_s < 8  # one after the other they would take 24 s


def test_no_round_waits_longer_than_its_time_for_a_single_mail(db: Db, s3: SlowS3) -> None:
    files = BodyFiles(db, s3.bucket())
    claimed = claimed_mails(db, files, large=1, small=1)
    s3.get_s = 3.0

    prepared, took_s = built(db, files, claimed, within_s=0.5)

    assert [dispatch.size > 1_000 for dispatch in prepared.ready] == [False]
    assert [r.claimed.size > 1_000 for r in prepared.refused] == [True]
    assert took_s < 2.5


def test_the_error_of_a_mail_that_waits_keeps_no_other_mail_in_memory(db: Db, s3: SlowS3) -> None:
    files = BodyFiles(db, s3.bucket())
    claimed = claimed_mails(db, files, large=2, small=0)
    s3.get_s = 1.0

    found = bodies.get_many(db, files, [EmailId(one.run_id) for one in claimed], within_s=3)

    (error,) = [one for one in found.values() if isinstance(one, BodiesAway)]
    assert (error.__traceback__, error.__context__) == (None, None)


def test_a_request_stores_large_bodies_for_a_bounded_time(db: Db, s3: SlowS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept, "_FILES_S", 0.5)
    outbox = Outbox(db, lanes=1, files=BodyFiles(db, s3.bucket()))
    s3.put_s = 0.4

    began = time.monotonic()
    answers = outbox.hand_in_many([(a_draft(large=n < 4), None) for n in range(5)], owner="ann")

    assert time.monotonic() - began < 3  # one after the other they would take 4.8 s
    assert [type(answer) for answer in answers[1:]] == [BodiesAway, BodiesAway, BodiesAway, AcceptedMail]
    assert db.bodies.count_documents({}) == sum(isinstance(answer, AcceptedMail) for answer in answers)


def test_a_slow_s3_leaves_tidying_for_later(db: Db, s3: SlowS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_SWEEP_S", -1.0)
    files = BodyFiles(db, s3.bucket())
    for _ in range(3):
        files.put(EmailId("em_never"), b"x")
    later = datetime.now(UTC) + timedelta(hours=2)

    removed = [bodies.sweep(db, files, now=later) for _ in range(4)]

    assert removed == [1, 1, 1, 0]


def test_a_sweep_goes_on_for_as_long_as_there_is_time(db: Db, s3: SlowS3) -> None:
    files = BodyFiles(db, s3.bucket())
    for _ in range(5):
        files.put(EmailId("em_never"), b"x")

    assert bodies.sweep(db, files, now=datetime.now(UTC) + timedelta(hours=2), limit=2) == 5
