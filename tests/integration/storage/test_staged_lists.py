"""A list of recipients as it is written: the time of each batch is bounded, not that of a list of any length."""

from datetime import UTC, datetime

from pymongo import _csot

from mailroom.domain.audiences import check_recipients
from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db
from tests.support.builders import recipients


def test_a_long_list_may_take_its_time(db: Db) -> None:
    left_s: list[float | None] = []

    audience = audiences.stage(
        db,
        check_recipients(recipients(12_000)),
        now=datetime.now(UTC),
        advance=lambda _: left_s.append(_csot.remaining()),
    )

    assert left_s == [None, None, None]
    assert db.recipients.count_documents({"_id.a": audience}) == 12_000
