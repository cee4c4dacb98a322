"""How long MongoDB keeps what was: longer while a backup reads it, where that may be set."""

from collections.abc import Iterator

import pytest
from pymongo.errors import OperationFailure

from local.servers import HISTORY_S
from mailroom.services.operations import metrics
from mailroom.storage import server_parameters
from mailroom.storage.database import Db
from mailroom.storage.server_parameters import history_of, history_s
from tests.support.system import System


@pytest.fixture
def db(system: System) -> Iterator[Db]:
    yield system.db
    set_history(system.db, HISTORY_S)


def set_history(db: Db, seconds: int) -> None:
    db.client.admin.command({"setParameter": 1, "minSnapshotHistoryWindowInSeconds": seconds})


def test_our_servers_keep_what_was_for_half_a_minute(db: Db) -> None:
    assert history_s(db) == HISTORY_S
    assert metrics.long_history_s(db) is None


def test_a_longer_history_is_told(db: Db) -> None:
    set_history(db, 300)
    assert metrics.long_history_s(db) == 300


def test_the_history_is_long_while_it_is_wanted_and_as_before_after_it(db: Db) -> None:
    with history_of(db, 3_600):
        assert history_s(db) == 3_600
    assert history_s(db) == HISTORY_S


def test_the_history_is_as_before_after_work_that_failed(db: Db) -> None:
    with pytest.raises(KeyError), history_of(db, 3_600):
        raise KeyError
    assert history_s(db) == HISTORY_S


def test_a_history_that_is_long_enough_stays(db: Db) -> None:
    set_history(db, 7_200)
    with history_of(db, 3_600):
        assert history_s(db) == 7_200
    assert history_s(db) == 7_200


def test_a_role_that_may_not_set_it_works_with_what_is_kept(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = db.client.admin.command

    def refuses(command: dict[str, object]) -> object:
        if "setParameter" in command:
            raise OperationFailure("not authorized on admin to execute command", 13)
        return asked(command)

    monkeypatch.setattr(type(db.client.admin), "command", lambda _, command: refuses(command))
    with history_of(db, 3_600):
        assert server_parameters.history_s(db) == HISTORY_S
