"""Suppressions at the terminal, and what cannot be read of webhooks in the metrics."""

from pathlib import Path

from click.testing import CliRunner, Result

from cli.main import main
from mailroom.domain.events import EventKind
from mailroom.services.feedback.intake import take_in
from tests.support.builders import NOW, an_event
from tests.support.caller import Caller
from tests.support.system import System


def test_the_same_at_the_terminal(system: System, tmp_path: Path) -> None:
    def run(*words: str) -> Result:
        return CliRunner().invoke(main, ["suppressions", *words], env=system.environment)

    file = tmp_path / "gone.csv"
    file.write_text("email,reason\nbo@example.org,unsubscribed\nnobody,\n")

    imported, added = run("import", str(file)), run("add", "Cy@Bücher.example", "--scope", "all")
    assert (imported.exit_code, added.exit_code) == (1, 0)
    assert "1 added, 0 there already, 1 refused" in imported.output
    assert "line 3: nobody" in imported.output
    assert "cy@xn--bcher-kva.example" in run("show", "cy@bücher.example").output
    assert "campaigns" in run("list").output
    assert run("show", "nobody@example.org").exit_code == 1
    assert "2 removed" in run("remove", "bo@example.org", "cy@bücher.example").output
    assert "bo@example.org was not suppressed" in run("remove", "bo@example.org").output


def test_events_that_cannot_be_read_are_counted(call: Caller, system: System) -> None:
    odd = [an_event(EventKind.UNKNOWN, id_=f"u{n}", provider="sendgrid") for n in range(3)]
    take_in(system.db, [*odd, odd[0], an_event(EventKind.OPENED)], now=NOW)

    assert 'mailroom_webhook_events_unread{provider="sendgrid"} 3.0' in call.client.get("/metrics").text


def test_the_same_words_with_a_new_id_count_once(system: System) -> None:
    twice = [an_event(EventKind.OPENED, id_=id_, replay_key="sendgrid/words-x") for id_ in ("a", "b")]
    for event in twice:
        take_in(system.db, [event], now=NOW)

    assert system.db.events.count_documents({}) == 1
