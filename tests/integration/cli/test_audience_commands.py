"""Audiences at the terminal: a file is tried, told about, and imported."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from tests.support.system import System

Run = Callable[..., Result]
TABLE = "sep=;\nE-mail;First name;Größe\nbo@example.org;Bo;XL\nnobody;x;y\neve@example.org;Eve;M\n"


@pytest.fixture
def run(system: System) -> Run:
    def typed(*words: str) -> Result:
        return CliRunner().invoke(main, ["audiences", "import", *words], env=system.environment)

    return typed


def test_a_file_is_tried_told_about_and_imported_with_its_columns_as_somebody_says(
    run: Run, system: System, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(TABLE, encoding="cp1252")

    tried = run(str(file), "--name", "Customers", "--dry-run")
    refused = run(str(file), "--name", "Customers")
    wrong = run(str(file), "--name", "Customers", "--column", "9=name")
    made = run(str(file), "--name", "Customers", "--column", "3=field:size", "--skip-invalid")

    assert tried.exit_code == 0
    assert "Windows-1252" in tried.stderr
    assert "grosse" in tried.stdout
    assert (refused.exit_code, wrong.exit_code) == (1, 2)
    assert "line 4: nobody: " in refused.stderr
    assert made.exit_code == 0
    assert [doc["_id"] for doc in system.db.audiences.find()] == [made.stdout.strip()]
    rows = {doc["address"]: (doc["name"], doc["variables"]) for doc in system.db.recipients.find()}
    assert rows["bo@example.org"] == ("Bo", {"first_name": "Bo", "size": "XL"})
    assert len(rows) == 2
