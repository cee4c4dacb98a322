"""What is kept of a refused request: enough to mend the caller, no secrets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.domain.rejected_requests import MAX_KEPT, redacted


def test_what_a_mail_says_and_what_opens_doors_is_left_out() -> None:
    body = {
        "from": "shop@example.org",
        "to": ["bo@example.org"],
        "subject": "Your code",
        "text": "The code is 4711",
        "html": "<p>4711</p>",
        "variables": {"code": "4711"},
        "headers": {"X-Code": "4711"},
        "attachments": [{"filename": "a.txt", "content": "NDcxMQ=="}],
        "api_key": "4711",
        "nested": {"password": "4711", "Token": ["4711"]},
        "note": "with mr_0123456789abcdef_secretsecret inside",
        "credentials": "4711",
        "metadata": {"auth": "4711", "pin": 4711},
    }

    kept = redacted(json.dumps(body).encode())

    assert "bo@example.org" in kept
    assert "a.txt" in kept
    assert "left out: 16 characters" in kept
    assert "4711" not in kept
    assert "NDcxMQ" not in kept
    assert "0123456789abcdef" not in kept


@pytest.mark.parametrize("raw", [b'{"to": ["b"], "text": "The code is 4711",}', b"password=4711&api_key=4711"])
def test_of_what_is_no_json_nothing_is_kept_but_that(raw: bytes) -> None:
    assert redacted(raw) == f"(no JSON: {len(raw)} bytes)"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": "\\ud800"}',
        b"x" * 10_000_000,
        json.dumps(["y" * 999] * 99).encode(),
    ],
)
def test_whatever_came_is_cut_and_storable(raw: bytes) -> None:
    kept = redacted(raw)

    assert len(kept) <= MAX_KEPT
    kept.encode()


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_is_kept_as_text(body: object) -> None:
    assert len(redacted(json.dumps(body).encode())) <= MAX_KEPT
