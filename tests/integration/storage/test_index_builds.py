"""Indexes that are built on large collections."""

import time

import pytest

from mailroom.domain.errors import Unavailable
from mailroom.storage import database
from mailroom.storage.database import Db, guarded, unhurried


def test_work_that_grows_with_the_data_is_not_cut_off_where_a_use_of_the_store_is(
    db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that is cut off begins from its start at each new start of a process, and never ends."""
    monkeypatch.setattr(database, "CALL_S", 0.2)

    def build() -> str:
        time.sleep(0.3)  # as long as the data is large
        return db.many.create_index("n")

    with pytest.raises(Unavailable):
        guarded(build)()
    assert unhurried(build)() == "n_1"
