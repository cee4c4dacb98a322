"""`mailroom workers`, and what doctor says of those that have stopped checking in."""

import json
from datetime import timedelta
from typing import Any

from click.testing import CliRunner, Result

from cli.main import main
from mailroom.domain.ids import Lane
from mailroom.domain.workers import WorkerKind
from mailroom.storage.database import Db
from tests.support.system import System
from tests.support.workers import checked_in, checked_in_by_an_earlier_version


def run(system: System, *words: str) -> Result:
    return CliRunner().invoke(main, list(words), env=system.environment | {"COLUMNS": "300"})


def row(said: str, part: str) -> str:
    return next(line for line in said.splitlines() if part in line)


def test_each_process_has_a_line_with_its_last_check_in(system: System, db: Db) -> None:
    checked_in(db, "ann-1", [Lane("mail/1"), Lane("mail/2")], in_flight=3)
    checked_in(db, "gone-1", ago=timedelta(seconds=95), kind=WorkerKind.API)
    checked_in_by_an_earlier_version(db, "old-1")

    said = run(system, "workers")

    assert said.exit_code == 0, said.output
    head, *_ = said.stdout.splitlines()
    assert head.split()[:3] == ["id", "kind", "host"]
    assert row(said.stdout, "ann-1").split()[:6] == ["ann-1", "sender", "ann", "192.0.2.7", "4711", "1.2.3"]
    assert row(said.stdout, "ann-1").split()[-3:] == ["1", "2", "3"]
    assert "s ago, silent" in row(said.stdout, "gone-1")
    assert "silent" not in row(said.stdout, "ann-1") + row(said.stdout, "old-1")
    assert row(said.stdout, "old-1").split()[1:3] == ["sender", "-"]


def test_as_json_it_is_what_the_api_answers_but_whole(system: System, db: Db, call: Any) -> None:
    for n in range(3):
        checked_in(db, f"w-{n}", [Lane("mail/1")])

    said = run(system, "workers", "--json")

    assert json.loads(said.stdout)["items"] == call("GET", "/v1/workers").json["items"]


def test_doctor_counts_those_at_work_and_names_those_that_are_silent(system: System, db: Db) -> None:
    checked_in(db, "api-1", kind=WorkerKind.API)
    checked_in(db, "ann-1")
    well = run(system, "doctor").output
    for n in range(12):
        checked_in(db, f"gone-{n:02}", ago=timedelta(minutes=5))

    unwell = run(system, "doctor")

    assert "all check in: 1 api, 1 sender" in row(well, "workers")
    assert row(well, "workers").split()[0] == "ok"
    assert row(unwell.output, "workers").split()[0] == "no"
    told = " ".join(unwell.output.split())  # its lines are folded
    assert "silent: sender gone-" in told
    assert "(for 30" in told
    assert "and 2 more" in told
    assert unwell.exit_code == 1
