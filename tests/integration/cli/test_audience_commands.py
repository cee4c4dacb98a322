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
    odd = mailroom(*words, "--column", "²=name")
    made = mailroom(*words, "--column", "3=field:size", "--skip-invalid")

    assert (tried.code, "Windows-1252" in tried.err, "grosse" in tried.out) == (0, True, True)
    assert (as_json["recipients_count"], as_json["refused"][0]["row"]) == (2, 4)
    assert (refused.code, wrong.code, odd.code) == (2, 2, 2)
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


def test_contacts_are_added_by_a_file_set_exported_and_removed(
    mailroom: Terminal, call: Caller, tmp_path: Path
) -> None:
    audience = mailroom("audiences", "create", "-", stdin='{"name": "Readers"}').id
    file = tmp_path / "more.csv"
    file.write_text("email,city\nbo@example.org,Rome\nbad,Rome\n")
    words = ("audiences", "add", audience, str(file))

    refused, tried = mailroom(*words), mailroom(*words, "--dry-run")
    added, again = mailroom(*words, "--skip-invalid"), mailroom(*words, "--skip-invalid", "--json").json
    named = mailroom("audiences", "set", audience, "bo@example.org", "--field", "city=Oslo", "--language", "it")
    new = mailroom("audiences", "set", audience, "cy@example.org", "--name", "Cy", "--json").json
    exported = mailroom("audiences", "export", audience).out
    file.write_text(exported)
    read_again = mailroom(*words).out
    removed = mailroom("audiences", "remove", audience, "cy@example.org", "no@example.org", "--yes")

    assert (refused.code, "line 3: " in refused.err) == (2, True)
    assert "1 added, 0 changed, 0 unchanged, 1 refused" in tried.out
    assert "1 added, 0 changed, 0 unchanged, 1 refused" in added.out
    assert (again["added"], again["unchanged"]) == (0, 1)
    assert "0 added, 0 changed, 2 unchanged, 0 refused" in read_again
    assert (named.code, new["name"], new["source"]) == (0, "Cy", "command")
    assert [line.split(",")[:3] for line in exported.splitlines()] == [
        ["address", "name", "city"],
        ["bo@example.org", "", "Oslo"],
        ["cy@example.org", "Cy", ""],
    ]
    assert ("no@example.org was not in the audience" in removed.err, removed.out) == (True, "1 removed\n")
    listed = mailroom("audiences", "contacts", audience, "--json").json
    assert listed == call("GET", f"/v1/audiences/{audience}/contacts").json
    assert listed["items"][0]["language"] == "it"


def test_a_list_through_a_pipe_is_read_as_a_file_is(mailroom: Terminal, system: System) -> None:
    audience = mailroom("audiences", "create", "-", stdin='{"name": "Readers"}').id
    table = "email,city\n" + "".join(f"reader-{number}@example.org,Rome\n" for number in range(2_500))

    added = mailroom.process("audiences", "add", audience, "-", "--json", stdin=table).json
    made = mailroom.process("audiences", "import", "-", "--name", "Others", stdin=table).id

    assert (added["added"], added["refused_count"]) == (2_500, 0)
    assert system.db.recipients.count_documents({"_id.a": made}) == 2_500


def test_segments_are_counted_saved_listed_and_deleted(mailroom: Terminal, call: Caller) -> None:
    body = {"name": "Readers", "recipients": [{"address": "bo@example.org", "variables": {"city": "Rome"}}]}
    audience = mailroom("audiences", "create", "-", stdin=json.dumps(body)).id

    counted = mailroom("segments", "count", audience, "--filter", "city = 'Rome'", "--json").json
    wrong = mailroom("segments", "count", audience, "--filter", "city =")
    made = mailroom("segments", "create", audience, "--name", "Romans", "--filter", "city = 'Rome'").id

    assert counted == {"count": 1, "suppressed": 0, "exact": True}
    assert (wrong.code, "something is missing" in wrong.err) == (2, True)
    assert mailroom("segments", "show", made, "--json").json == call("GET", f"/v1/segments/{made}").json
    assert [one["id"] for one in mailroom("segments", "list", audience, "--json").json["items"]] == [made]
    assert mailroom("segments", "delete", made, "--yes").out == "deleted\n"
    assert mailroom("segments", "show", made).code == 1
