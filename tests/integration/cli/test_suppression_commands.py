"""Suppressions at the terminal, and what cannot be read of webhooks in the metrics."""

from pathlib import Path

from mailroom.domain.events import EventKind
from mailroom.services.feedback.intake import take_in
from tests.support.builders import NOW, an_event
from tests.support.caller import Caller
from tests.support.system import System
from tests.support.terminal import Terminal, faults


def test_commands_import_add_show_list_and_remove_suppressions(mailroom: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "gone.csv"
    file.write_text("email,reason\nbo@example.org,unsubscribed\nnobody,\n")

    imported = mailroom("suppressions", "import", str(file))
    added = mailroom("suppressions", "add", "Cy@Bücher.example", "--scope", "all")
    kept = mailroom("suppressions", "remove", "bo@example.org")
    removed = mailroom("suppressions", "remove", "bo@example.org", "cy@bücher.example", "--yes")

    assert (imported.code, added.code) == (1, 0)
    assert imported.out == "1 added, 0 there already, 1 refused\n"
    assert "line 3: nobody" in imported.err
    assert "cy@xn--bcher-kva.example" in added.out
    assert (kept.code, "Let bo@example.org be mailed to again?" in kept.err) == (2, True)
    assert removed.out == "2 removed\n"
    assert "bo@example.org was not suppressed" in mailroom("suppressions", "remove", "bo@example.org", "--yes").err


def test_suppressions_are_shown_as_the_api_shows_them(mailroom: Terminal, call: Caller) -> None:
    lines = "".join(f"reader-{n}@example.org\n" for n in range(3))

    imported = mailroom("suppressions", "import", "-", "--json", stdin=lines).json
    first = mailroom("suppressions", "list", "--limit", "2", "--json").json
    rest = mailroom("suppressions", "list", "--cursor", first["next_cursor"], "--json").json

    assert imported == {"added": 3, "unchanged": 0, "refused_count": 0, "refused": []}
    assert first == call("GET", "/v1/suppressions?limit=2").json
    assert len(rest["items"]) == 1
    shown = mailroom("suppressions", "show", "reader-1@example.org", "--json").json
    assert shown == call("GET", "/v1/suppressions/reader-1@example.org").json
    missing = mailroom("suppressions", "remove", "nobody@example.org", "--yes", "--json").json
    assert missing == {"removed": 0, "not_found": ["nobody@example.org"]}
    assert mailroom("suppressions", "show", "nobody@example.org").code == 1
    assert faults(mailroom("suppressions", "import", "-", stdin=b"\xff\xfe")) == {"body": "is not UTF-8"}


def test_events_that_cannot_be_read_are_counted(call: Caller, system: System) -> None:
    odd = [an_event(EventKind.UNKNOWN, id_=f"u{n}", provider="sendgrid") for n in range(3)]
    take_in(system.db, [*odd, odd[0], an_event(EventKind.OPENED)], now=NOW)

    assert 'mailroom_webhook_events_unread{provider="sendgrid"} 3.0' in call.client.get("/metrics").text


def test_the_same_words_with_a_new_id_count_once(system: System) -> None:
    twice = [an_event(EventKind.OPENED, id_=id_, replay_key="sendgrid/words-x") for id_ in ("a", "b")]
    for event in twice:
        take_in(system.db, [event], now=NOW)

    assert system.db.events.count_documents({}) == 1
