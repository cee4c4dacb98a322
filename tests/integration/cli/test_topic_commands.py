"""Topics at the terminal, with the mail that confirms a subscription and the form for it."""

from tests.support.caller import Caller
from tests.support.terminal import Terminal


def test_a_topic_is_made_to_ask_for_confirmation_and_gives_its_form(mailroom: Terminal, call: Caller) -> None:
    options = ("--double-opt-in", "--confirm-from", "Shop <news@mg.example.com>", "--confirm-within-s", "86400")

    made = mailroom("topics", "create", "weekly", "--name", "Weekly news", *options, "--json").json
    changed = mailroom("topics", "change", "weekly", "--confirm-subject", "Please confirm {{ topic }}", "--json").json
    form = mailroom("topics", "form", "weekly")
    listed = mailroom("topics", "list").out
    shown = call("GET", "/v1/topics/weekly").json

    assert (made["double_opt_in"], made["confirm_within_s"]) == (True, 86_400)
    assert changed["confirm_subject"] == "Please confirm {{ topic }}"
    assert shown == changed
    assert form.out == call("GET", "/v1/topics/weekly/form").json["html"]
    assert mailroom("topics", "form", "weekly", "--json").json == {"html": form.out}
    assert "yes" in listed


def test_a_topic_that_could_not_ask_is_refused_with_every_fault(mailroom: Terminal) -> None:
    refused = mailroom("topics", "create", "weekly", "--name", "News", "--double-opt-in", "--confirm-text", "no link")
    nothing = mailroom("topics", "change", "weekly")

    assert (refused.code, nothing.code) == (2, 2)
    assert "confirm_from" in refused.err
    assert "confirm_text" in refused.err
    assert "--confirm-" in nothing.err
    assert mailroom("topics", "form", "weekly").code != 0
