"""A server that is away is told in a line, within a bounded time."""

import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.builders import stored_schedule
from tests.support.system import System
from tests.support.terminal import Terminal

# What a command waits for at most, once for each server, and its start on a busy machine.
WITHIN_S = 50


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_mongodb_away_is_one_line_with_its_address_and_without_its_password(system: System) -> None:
    mailroom = Terminal(system, MAILROOM_MONGO_URL="mongodb://ann:secret@127.0.0.1:9/mailroom")
    began = time.monotonic()

    refused = mailroom.process("schedules", "list", "--json")

    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("Error: MongoDB at 127.0.0.1:9 does not answer. Start it, or correct")
    assert "MAILROOM_MONGO_URL" in refused.err
    assert len(refused.err.splitlines()) == 1
    assert "secret" not in refused.err
    assert time.monotonic() - began < WITHIN_S


def test_a_mongodb_that_hangs_is_reported_within_a_bounded_time(system: System, mute: str) -> None:
    began = time.monotonic()

    refused = Terminal(system, MAILROOM_MONGO_URL=f"mongodb://{mute}/mailroom").process("runs", "list")

    assert (refused.code, len(refused.err.splitlines())) == (1, 1)
    assert f"MongoDB at {mute} does not answer" in refused.err
    assert time.monotonic() - began < WITHIN_S


def test_what_nobody_has_foreseen_is_a_line_and_then_a_log_line_with_its_place(system: System) -> None:
    """Such as a user whom MongoDB does not know."""
    url = system.environment["MAILROOM_MONGO_URL"].replace("mongodb://", "mongodb://ann:secret@")

    refused = Terminal(system, MAILROOM_MONGO_URL=url).process("schedules", "list")

    first, second = refused.err.splitlines()
    assert (refused.code, first) == (1, "Error: OperationFailure: Authentication failed.")
    assert "command_failed" in second
    assert "secret" not in refused.err


def test_redis_away_is_reported_by_what_needs_it_and_stops_nothing_else(system: System) -> None:
    mailroom = Terminal(system, MAILROOM_REDIS_URL="redis://:secret@127.0.0.1:9/0")
    schedule = stored_schedule(system.db)

    limit = mailroom("rate-limits", "set", "domain", "example.org", "--mails", "9", "--per", "day")
    paused = mailroom("schedules", "pause", schedule.id)

    assert limit.code == 1
    assert limit.err.startswith("Error: Redis at 127.0.0.1:9 does not answer. Start it, or correct MAILROOM_REDIS_URL")
    assert (paused.code, paused.out) == (0, "paused.\n")
    assert "secret" not in limit.err + paused.err


def test_doctor_names_each_server_that_is_away_and_waits_once_for_each(system: System) -> None:
    away = {
        "MAILROOM_MONGO_URL": "mongodb://127.0.0.1:9/mailroom",
        "MAILROOM_REDIS_URL": "redis://127.0.0.1:9/0",
        "MAILROOM_ETCD_URL": "http://ann:secret@127.0.0.1:9",
    }
    began = time.monotonic()

    unwell = Terminal(system, **away).process("doctor", "--json")

    assert unwell.code == 1
    for store in ("MongoDB", "Redis", "etcd"):
        assert f"{store} at 127.0.0.1:9 does not answer" in unwell.out
    assert "not looked at: MongoDB did not answer" in unwell.out
    assert "secret" not in unwell.out
    assert time.monotonic() - began < WITHIN_S
