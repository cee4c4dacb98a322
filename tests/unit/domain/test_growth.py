"""What `make bench-growth` goes by: copies that differ from what was sent in ids and times alone, and its tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pytest

from benchmarks.growth import report
from benchmarks.growth.pieces import Piece

AT = datetime(2026, 12, 2, 8, 0, 0, 123_000, tzinfo=UTC)
LATER = AT + timedelta(milliseconds=1)


def a_piece() -> Piece:
    run = {"_id": "sch_a-1", "due_at": AT, "chunks": 2}
    mails = [{"_id": f"sch_a-1/{n}", "trail": [{"at": AT}, {"at": LATER}], "sent_at": LATER} for n in range(2)]
    return Piece({"runs": [run], "messages": mails, "events": []}, named={"run": "sch_a-1", "schedule": "sch_a"})


def copied(**texts: str) -> dict[str, list[dict[str, Any]]]:
    copy = a_piece().copy(texts, shift=timedelta(days=-1))
    options: bson.CodecOptions[Any] = bson.CodecOptions(tz_aware=True)
    return {name: [bson.decode(one.raw, codec_options=options) for one in some] for name, some in copy.items()}


def test_a_copy_has_ids_and_times_of_its_own_and_all_else_as_it_was() -> None:
    day = timedelta(days=1)

    copy = copied(run="sch_b-2", schedule="sch_b")

    assert copy == {
        "runs": [{"_id": "sch_b-2", "due_at": AT - day, "chunks": 2}],
        "messages": [
            {
                "_id": f"sch_b-2/{n}",
                "trail": [{"at": AT - day}, {"at": LATER - day}],
                "sent_at": LATER - day,
            }
            for n in range(2)
        ],
    }


def test_copies_leave_the_piece_as_it_was() -> None:
    piece = a_piece()
    one, other = (piece.copy({"run": f"sch_{x}-1", "schedule": f"sch_{x}"}, shift=timedelta()) for x in "bc")

    assert (one["runs"][0]["_id"], other["runs"][0]["_id"]) == ("sch_b-1", "sch_c-1")


def test_a_text_of_another_length_would_break_the_document_and_is_refused() -> None:
    with pytest.raises(ValueError, match="run has 7 bytes, not 8: sch_b-22"):
        copied(run="sch_b-22", schedule="sch_b")


def test_each_size_is_ten_times_the_one_before_up_to_the_most() -> None:
    assert report.sizes(10_000, 1_000_000) == [10_000, 100_000, 1_000_000]
    assert report.sizes(1_500, 99_999) == [1_000, 10_000]


def test_a_page_grows_where_its_ratio_and_its_milliseconds_both_do() -> None:
    found = {
        "10": {"pages": {"flat": 20.0, "tiny": 1.0, "slow": 20.0}},
        "1,000": {"pages": {"flat": 21.0, "tiny": 2.0, "slow": 40.0}},
        report.AGAIN: {"pages": {"flat": 30.0, "tiny": 1.0, "slow": 20.0}},
    }

    assert report.grown_pages(found) == {"slow": 2.0}
