"""The level of the log follows a person's choice, and goes back by itself."""

from datetime import UTC, datetime, timedelta

import pytest
import structlog
from click.testing import CliRunner

from cli.main import main
from config.descriptions import LOG_LEVELS
from mailroom.domain.errors import Unavailable
from mailroom.services.operations import log_level
from mailroom.services.operations.log_level import LEVELS, LogLevelFollower
from mailroom.storage.cluster import log_level as stored
from mailroom.storage.database import Db
from tests.support.system import System


@pytest.fixture(autouse=True)
def level() -> None:
    log_level.apply_level("info")


def shows(word: str) -> bool:
    return bool(structlog.get_logger().is_enabled_for({"debug": 10, "info": 20, "warning": 30}[word]))


def test_a_process_follows_the_choice_and_its_end(db: Db) -> None:
    follower = LogLevelFollower(db, own="info")
    follower.look()
    assert (shows("debug"), shows("info")) == (False, True)

    log_level.choose(db, "debug", lasts=timedelta(minutes=5), by="ann")
    follower.look()
    assert shows("debug")

    log_level.choose(db, "error", lasts=timedelta(minutes=5), by="ann")
    follower.look()
    assert not shows("warning")

    log_level.forget(db, by="ann")
    follower.look()
    assert (shows("debug"), shows("info")) == (False, True)


def test_a_choice_whose_time_is_over_holds_no_more_even_while_mongodb_is_away(
    db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = LogLevelFollower(db, own="info")
    now = datetime.now(UTC)
    stored.choose(db, stored.ChosenLevel("debug", now + timedelta(seconds=1), "ann"))
    follower.look()
    assert shows("debug")

    def away(_: Db) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(stored, "chosen", away)
    follower.look()
    still = shows("debug")
    monkeypatch.setattr(log_level, "datetime", _Later)
    follower.look()

    assert still
    assert not shows("debug")


class _Later(datetime):
    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return datetime.now(UTC) + timedelta(minutes=1)


def test_it_is_chosen_shown_and_ended_from_a_terminal(system: System, db: Db) -> None:
    def said(*words: str) -> str:
        done = CliRunner().invoke(main, ["logs", "level", *words], env=system.environment)
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "Each process logs at its own" in said()
    assert "All processes log at debug until" in said("debug", "--minutes", "5")
    assert "All processes log at debug until" in said()
    chosen = stored.chosen(db)
    assert chosen is not None
    assert timedelta(minutes=4) < chosen.until - datetime.now(UTC) <= timedelta(minutes=6)
    assert "Each process logs at its own" in said("default")
    assert stored.chosen(db) is None


def test_the_levels_are_those_of_the_setting() -> None:
    assert LEVELS == LOG_LEVELS
