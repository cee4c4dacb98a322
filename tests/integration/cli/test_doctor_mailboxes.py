"""`mailroom doctor` looks into the mailboxes of bounces."""

import json
from typing import Any

from tests.support.dovecot import Dovecot
from tests.support.returned_mails import letter
from tests.support.system import System
from tests.support.terminal import Terminal


def part(system: System, **settings: str) -> dict[str, Any]:
    system.environment |= settings
    parts = json.loads(Terminal(system)("doctor", "--json").out)["parts"]
    return next(one for one in parts if one["part"] == "mailboxes")


def test_a_mailbox_that_can_be_read_is_told_with_its_new_mails(system: System, dovecot: Dovecot) -> None:
    dovecot.put(letter("bounces@example.org", "one"), letter("bounces@example.org", "two"))

    found = part(system, MAILROOM_MAILBOXES=dovecot.url())

    assert found["ok"]
    assert "INBOX of bounces@example.org at localhost can be read; 2 new mails in it" in found["found"]


def test_a_mailbox_that_refuses_the_password_is_told(system: System, dovecot: Dovecot) -> None:
    found = part(system, MAILROOM_MAILBOXES=dovecot.url(password="wrong-word"))

    assert not found["ok"]
    assert "cannot be read" in found["found"]
    assert "wrong-word" not in found["found"]


def test_without_a_mailbox_doctor_says_what_is_not_measured(system: System) -> None:
    found = part(system, MAILROOM_PROVIDERS="smtp", SMTP_URL="smtp://localhost")

    assert found == {"part": "mailboxes", "ok": True, "found": "none is set; bounces of mail by SMTP are not measured"}
