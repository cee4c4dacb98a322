"""A log line a minute for the same words."""

from typing import Any

import pytest
import structlog

from cli.repeats import Repeats


def said(repeats: Repeats, event: str, **fields: Any) -> Any:
    try:
        return repeats(None, "warning", {"event": event, **fields})
    except structlog.DropEvent:
        return None


def test_the_same_words_are_said_once_a_minute_with_the_number_left_out() -> None:
    now = [0.0]
    repeats = Repeats(lambda: now[0])

    lines = [said(repeats, "provider_not_reached", provider="smtp", error="535 no") for _ in range(100)]
    now[0] = 61
    later = said(repeats, "provider_not_reached", provider="smtp", error="535 no")

    assert len([line for line in lines if line]) == 1
    assert later["left_out"] == 99


@pytest.mark.parametrize(
    "fields",
    [
        {"provider": "smtp", "error": "421 4.7.0 [203.0.113.9] try later, id 7f3a9c2b-11"},
        {"provider": "smtp", "error": "no session with mail.example.com:587: refused at 2026-11-29T10:00:00Z"},
    ],
)
def test_numbers_in_the_words_make_no_other_words(fields: dict[str, str]) -> None:
    repeats = Repeats(lambda: 0.0)
    said(repeats, "provider_not_reached", **fields)

    other = {name: value.replace("9", "8").replace("7f3a", "1b2c") for name, value in fields.items()}

    assert said(repeats, "provider_not_reached", **other) is None
    assert said(repeats, "provider_not_reached", **fields | {"provider": "ses"})
    assert said(repeats, "provider_not_reached", **fields | {"error": "connection refused"})


def test_what_tells_of_one_mail_is_always_said() -> None:
    repeats = Repeats(lambda: 0.0)

    assert all(said(repeats, "dispatch_failed", dispatch_id="d", reason="x") for _ in range(3))


def test_a_store_that_is_full_is_said_once_a_minute_by_each_part_that_meets_it() -> None:
    now = [0.0]
    repeats = Repeats(lambda: now[0])
    parts = ["outcomes_wait", "reconciler_waits", "heartbeat_missed", "request_refused"]

    lines = []
    for second in range(120):
        now[0] = float(second)
        lines += [said(repeats, part, error="Redis takes no writes: its memory is full") for part in parts]

    assert sum(line is not None for line in lines) == 2 * len(parts)
