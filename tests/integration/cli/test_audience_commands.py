"""Audiences at the terminal: a file is tried, told about, and imported."""

import json
from pathlib import Path

from tests.support.caller import Caller
from tests.support.system import System
from tests.support.terminal import Terminal, faults

TABLE = "sep=;\nE-mail;First name;Größe\nbo@example.org;Bo;XL\nnobody;x;y\neve@example.org;Eve;M\n"


def test_a_file_is_tried_described_and_imported_with_its_columns_as_a_person_says(
    mailroom: Terminal, system: System, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(TABLE, encoding="cp1252")
    words = ("audiences", "import", str(file), "--name", "Customers")

    tried, as_json = mailroom(*words, "--dry-run"), mailroom(*words, "--dry-run", "--json").json
    refused, wrong = mailroom(*words), mailroom(*words, "--column", "9=name")
    made = mailroom(*words, "--column", "3=field:size", "--skip-invalid")

    assert (tried.code, "Windows-1252" in tried.err, "grosse" in tried.out) == (0, True, True)
    assert (as_json["recipients_count"], as_json["refused"][0]["row"]) == (2, 4)
    assert (refused.code, wrong.code) == (2, 2)
    assert "line 4: nobody: " in refused.err
    assert [doc["_id"] for doc in system.db.audiences.find()] == [made.id]
    rows = {doc["address"]: (doc["name"], doc["variables"]) for doc in system.db.recipients.find()}
    assert rows["bo@example.org"] == ("Bo", {"first_name": "Bo", "size": "XL"})
    assert len(rows) == 2


def test_audiences_are_made_of_json_shown_as_the_api_shows_them_and_deleted(mailroom: Terminal, call: Caller) -> None:
    body = {"name": "Customers", "recipients": [{"address": "bo@example.org", "variables": {"city": "Rome"}}]}

    made = mailroom("audiences", "create", "-", "--key", "k", stdin=json.dumps(body)).id
    again = mailroom("audiences", "create", "-", "--key", "k", stdin=json.dumps(body)).id
    kept = mailroom("audiences", "delete", made)

    assert again == made
    assert mailroom("audiences", "list", "--json").json == call("GET", "/v1/audiences").json
    assert mailroom("audiences", "show", made, "--json").json == call("GET", f"/v1/audiences/{made}").json
    listed = mailroom("audiences", "recipients", made, "--json").json
    assert listed == call("GET", f"/v1/audiences/{made}/recipients").json
    assert (kept.code, "Delete audience “Customers” with 1 recipient?" in kept.err) == (2, True)
    assert mailroom("audiences", "delete", made, "--yes").out == "deleted\n"
    assert mailroom("audiences", "list", "--json").json["items"] == []


def test_every_fault_of_an_audience_is_reported_and_rows_are_skipped_where_that_is_asked_for(
    mailroom: Terminal, system: System
) -> None:
    rows = [{"address": "nobody"}, {"address": "bo@example.org", "variables": []}]
    wrong = {"name": "", "recipients": rows, "colour": "red"}
    good = {"name": "Customers", "recipients": [*rows, {"address": "eve@example.org"}], "on_invalid": "skip"}

    told = faults(mailroom("audiences", "create", "-", stdin=json.dumps(wrong)))
    stored_before = system.db.audiences.count_documents({})
    skipped = mailroom("audiences", "create", "-", stdin=json.dumps(good))

    assert told.keys() >= {"name", "colour", "recipients[0].address", "recipients[1].variables"}
    assert stored_before == 0
    assert (skipped.code, "row 1: nobody: " in skipped.err) == (0, True)
