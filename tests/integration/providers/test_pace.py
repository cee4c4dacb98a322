"""What an answer says about our pace: its own words, and never those of a name in it."""

import pytest

from mailroom.domain.dispatches.outcomes import Refusal, Refused
from mailroom.providers.pace import LATER, SOON, pause_for, says_too_fast
from mailroom.providers.smtp.codes import read_reply
from mailroom.providers.smtp.dialogue import SmtpReply


@pytest.mark.parametrize(
    "words",
    [
        "4.3.0 <rate@example.com>: Temporary lookup failure",
        "4.3.0 <bo@rates.example.com>: Temporary lookup failure",
        "4.7.1 <bo@exchange-rate.com>: Recipient address rejected: Greylisted, see http://example.com/throttling",
        "connect to mx.exchange-rate.com: no answer",
    ],
)
def test_a_name_that_sounds_like_a_rate_is_none(words: str) -> None:
    assert not says_too_fast(words)


@pytest.mark.parametrize(
    "words",
    [
        "4.7.0 <bo@example.com>: rate limit exceeded",
        "Throttling failure: maximum send rate exceeded, see https://example.com/x",
        "too many messages from mail.example.com, slow down",
        "4.7.28 an unusual rate of mail from host mx.example.com",
    ],
)
def test_what_is_said_beside_a_name_counts(words: str) -> None:
    assert says_too_fast(words)


def test_a_name_makes_no_pause_longer() -> None:
    assert pause_for("too many messages for <daily@example.com>") == SOON
    assert pause_for("daily limit reached for mail.example.com") == LATER


def test_a_recipient_named_so_holds_up_nobody_else() -> None:
    refused = {"rate@example.com": (450, "4.3.0 <rate@example.com>: Temporary lookup failure")}
    reply = SmtpReply(450, b"4.3.0 <rate@example.com>: Temporary lookup failure", {}, refused, "rcpt", list(refused))

    outcome = read_reply(reply)

    assert isinstance(outcome, Refused)
    assert outcome.kind is Refusal.TEMPORARY
