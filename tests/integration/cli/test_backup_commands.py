"""`mailroom backup` and `mailroom restore`."""

from pathlib import Path

from tests.support.builders import stored_schedule
from tests.support.system import System
from tests.support.terminal import Terminal


def test_a_backup_is_made_and_restored_into_an_empty_database_alone(
    mailroom: Terminal, system: System, tmp_path: Path
) -> None:
    folder, name = str(tmp_path / "copy"), system.db.name
    stored_schedule(system.db)
    other = Terminal(system, MAILROOM_MONGO_URL=system.environment["MAILROOM_MONGO_URL"].replace(name, f"{name}-2"))

    made = mailroom("backup", folder, "--json")
    again = mailroom("backup", folder)
    refused = mailroom("restore", folder, "--yes")
    unasked = other("restore", folder)
    try:
        restored = other("restore", folder, "--yes")
        count = system.db.client[f"{name}-2"].schedules.count_documents({})
    finally:
        system.db.client.drop_database(f"{name}-2")

    assert made.json["collections"]["schedules"] == 1
    assert (again.code, "is not empty" in again.err) == (1, True)
    assert (refused.code, f"the database {name} is not empty" in refused.err) == (1, True)
    assert (unasked.code, "--yes" in unasked.err) == (2, True)
    assert (restored.code, count) == (0, 1)
    assert "mailroom doctor --after-restore" in restored.out
