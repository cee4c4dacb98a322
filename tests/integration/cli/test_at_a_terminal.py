"""What a person sees: tables that fit, a bar while it takes long, nothing that steers the terminal."""

from pathlib import Path

import pytest

from tests.support.builders import stored_schedule
from tests.support.system import System
from tests.support.terminal import Terminal

LONG = "A digest with a name that is far too long for any column of a table at a terminal " * 2


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_table_fits_the_terminal_and_loses_nothing(mailroom: Terminal, system: System, columns: int) -> None:
    schedule = stored_schedule(system.db, name=LONG.strip())

    code, screen = mailroom.seen("schedules", "list", columns=columns)

    assert code == 0
    assert max(map(len, screen.splitlines())) <= columns
    for word in (schedule.id, LONG):
        assert set(word) - {" "} <= set(screen)


def test_into_a_pipe_each_row_is_one_whole_line(mailroom: Terminal, system: System) -> None:
    schedule = stored_schedule(system.db, name=LONG.strip())

    (_, row) = mailroom.process("schedules", "list").out.splitlines()

    assert row.split()[0] == schedule.id
    assert LONG.strip() in row


def test_a_bar_shows_how_far_an_import_has_come_and_only_at_a_terminal(mailroom: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "gone.csv"
    file.write_text("".join(f"reader-{n}@example.org\n" for n in range(3_000)))

    code, screen = mailroom.seen("suppressions", "import", str(file))
    piped = mailroom.process("suppressions", "import", str(file))

    assert code == 0
    assert "Adding" in screen
    assert "3000/3000" in screen
    assert "3,000 added, 0 there already, 0 refused" in screen
    assert (piped.out, piped.err) == ("0 added, 3,000 there already, 0 refused\n", "")


def test_a_name_cannot_steer_the_terminal(mailroom: Terminal, system: System) -> None:
    schedule = stored_schedule(system.db)
    system.db.schedules.update_one({"_id": schedule.id}, {"$set": {"name": "\x1b[2Jgone [bold]x[/]\x07"}})

    listed = mailroom("schedules", "list").out

    assert "\x1b" not in listed
    assert "[2Jgone [bold]x[/]" in listed
    assert mailroom("schedules", "list", "--json").json["items"][0]["name"] == "\x1b[2Jgone [bold]x[/]\x07"
