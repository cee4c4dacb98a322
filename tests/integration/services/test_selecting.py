"""Who a selection holds, chunk by chunk, on a real MongoDB: everybody once, and not many read for it."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from mailroom.domain.audience_versions import AudienceVersion, ListChoice, Selection
from mailroom.domain.audiences import Recipient
from mailroom.domain.contacts import Contact
from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.services.audiences import counting, selecting
from mailroom.storage.audiences import members
from mailroom.storage.database import Db
from tests.support.living import an_audience

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
AUDIENCE = AudienceId("aud_selecting")
COUNT = 5_000


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many contacts each look at the list has read."""
    counts, after = list[int](), members.after

    def counted(*of: object) -> list[Contact]:
        contacts = after(*of)  # type: ignore[arg-type]
        counts.append(len(contacts))
        return contacts

    monkeypatch.setattr(members, "after", counted)
    return counts


def insert(db: Db, is_pro: Callable[[int], bool]) -> None:
    rows = [Recipient(f"r{n:05}@example.org", "", {"plan": "pro" if is_pro(n) else "free"}) for n in range(COUNT)]
    members.insert(db, AUDIENCE, rows, joined_at=NOON)


def chunks(db: Db) -> list[list[str]]:
    selection, after, more, found = Selection((AudienceVersion(AUDIENCE, None, "plan = 'pro'"),)), "", True, []
    while more:
        chunk = selecting.next_of(db, selection, after=after, at=NOON)
        after, more = chunk.through, chunk.more
        found.append([recipient.address for recipient in chunk.recipients])
    return found


@pytest.mark.parametrize(
    ("is_pro", "most_read"),
    [
        (lambda n: n % 10 != 0, 1.3),
        (lambda n: n % 2 != 0, 1.4),
        (lambda n: n % 500 == 0, 1.3),
        (lambda n: n < 1_100 or n > 4_000, 1.5),
        (lambda n: n // 700 % 2 == 0, 2.0),
    ],
    ids=["nine in ten", "each second one", "a few", "none in between", "here and there"],
)
def test_each_chunk_but_the_last_is_full_and_few_contacts_are_read_twice(
    db: Db, read: list[int], is_pro: Callable[[int], bool], most_read: float
) -> None:
    insert(db, is_pro)

    found = chunks(db)

    assert [address for chunk in found for address in chunk] == [
        f"r{n:05}@example.org" for n in range(COUNT) if is_pro(n)
    ]
    assert all(len(chunk) == CHUNK_RECIPIENTS for chunk in found[:-1])
    assert sum(read) <= most_read * COUNT


def test_a_filter_by_events_is_left_after_a_while_and_goes_on_where_it_stood(
    db: Db, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selecting, "_EVENTS_FOR_S", 0.0)
    insert(db, lambda _: True)
    selection = Selection((AudienceVersion(AUDIENCE, None, "not opened in last 3 runs"),))

    found, after, more = list[str](), "", True
    while more:
        before = len(read)
        chunk = selecting.next_of(db, selection, after=after, at=NOON)
        after, more = chunk.through, chunk.more
        found += [recipient.address for recipient in chunk.recipients]
        assert len(read) == before + 1

    assert found == [f"r{n:05}@example.org" for n in range(COUNT)]
    assert max(read) < 300


def test_a_count_that_takes_too_long_is_an_estimate(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    audience = an_audience(db, *(f"r{n}" for n in range(2_500)))
    exact = counting.count(db, [ListChoice(audience)])
    monkeypatch.setattr(counting, "_MOST_S", 0.0)

    estimated = counting.count(db, [ListChoice(audience)])

    assert exact == (2_500, 0, True)
    assert estimated == (2_500, 0, False)
