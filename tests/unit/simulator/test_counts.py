"""The simulator's record is counted as it grows: a look at the counts does not read the record."""

from pathlib import Path

import pytest

from simulator.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "record.sqlite")


def fill(store: Store, *, calls: int, test_calls: int, mails: int, webhooks: int) -> None:
    with store.transaction() as db:
        db.executemany("INSERT INTO calls (test_mode) VALUES (?)", [(0,)] * calls + [(1,)] * test_calls)
        db.executemany("INSERT INTO mails (test) VALUES (?)", [(0,)] * mails)
        db.executemany("INSERT INTO events (kind) VALUES (?)", [("accepted",)] * mails)
        db.executemany("INSERT INTO hooks (event) VALUES (?)", [(1,)] * webhooks)


def test_a_new_record_is_empty(store: Store) -> None:
    assert store.counts() == {"calls": 0, "mails": 0, "events": 0, "webhooks_waiting": 0}


def test_calls_in_test_mode_do_not_count(store: Store) -> None:
    fill(store, calls=2, test_calls=3, mails=1_000, webhooks=5)
    assert store.counts() == {"calls": 2, "mails": 1_000, "events": 1_000, "webhooks_waiting": 5}


def test_a_webhook_that_was_taken_waits_no_more(store: Store) -> None:
    fill(store, calls=1, test_calls=0, mails=1, webhooks=3)
    with store.transaction() as db:
        db.execute("DELETE FROM hooks WHERE id <= 2")
    assert store.counts()["webhooks_waiting"] == 1


def test_what_was_rolled_back_does_not_count(store: Store) -> None:
    with pytest.raises(KeyError), store.transaction() as db:
        db.execute("INSERT INTO calls (test_mode) VALUES (0)")
        raise KeyError
    assert store.counts()["calls"] == 0


def test_counts_go_on_after_a_restart(store: Store, tmp_path: Path) -> None:
    fill(store, calls=2, test_calls=1, mails=7, webhooks=3)
    again = Store(tmp_path / "record.sqlite")
    fill(again, calls=1, test_calls=0, mails=1, webhooks=0)
    assert again.counts() == {"calls": 3, "mails": 8, "events": 8, "webhooks_waiting": 3}


def test_the_record_of_an_earlier_version_is_counted_once(store: Store, tmp_path: Path) -> None:
    fill(store, calls=4, test_calls=1, mails=6, webhooks=2)
    with store.transaction() as db:  # as it was before there were counts
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute("DROP TABLE counts")
    assert Store(tmp_path / "record.sqlite").counts() == {"calls": 4, "mails": 6, "events": 6, "webhooks_waiting": 2}


def test_suppressed_addresses_are_found_among_many(store: Store) -> None:
    store.suppress("bounces", "Bo@example.org", at=1.0)
    store.suppress("complaints", "eve@example.org", at=1.0)
    asked = [f"r{number}@example.org" for number in range(1_200)] + ["BO@example.org"]
    assert store.suppressed(asked) == {"bo@example.org": "bounces"}
