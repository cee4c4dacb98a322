"""Requests of before a field existed are the same requests after it: their digests are stored with their keys."""

import hashlib
import json
from dataclasses import fields
from typing import Any

import pytest

from mailroom.domain.drafts import Draft
from mailroom.domain.emails.checking import EmailDraft
from mailroom.services.common.idempotency import digest_of_request
from tests.support.builders import a_draft

#: As stored by earlier versions: without newer fields, and with '' for a text that was left out.
OLD_SCHEDULE = {
    "name",
    "sender",
    "subject",
    "recurrence",
    "html",
    "reply_to",
    "recipients",
    "audience",
    "misfire",
    "tags",
}
OLD_MAIL = {
    *("sender", "to", "subject", "html", "reply_to", "cc", "bcc", "headers", "attachments", "variables", "tags"),
    *("metadata", "priority", "send_at", "template"),
}


def earlier(draft: Any, names: set[str]) -> str:
    compared = {name: getattr(draft, name) for name in names} | {"text": draft.text or ""}
    return hashlib.sha256(json.dumps(compared, sort_keys=True, default=str).encode()).hexdigest()


@pytest.mark.parametrize(
    ("draft", "names"),
    [
        (a_draft(), OLD_SCHEDULE),
        (a_draft(text=None), OLD_SCHEDULE),
        (EmailDraft("a@example.org", ["b@example.org"], html="<p>"), OLD_MAIL),
        (EmailDraft("a@example.org", ["b@example.org"], text="x"), OLD_MAIL),
    ],
)
def test_a_request_without_newer_fields_has_the_digest_that_it_had(draft: Draft | EmailDraft, names: set[str]) -> None:
    assert digest_of_request(draft) == earlier(draft, names)


def test_each_newer_field_makes_another_request() -> None:
    newer = {"markdown": "x", "preheader": "x", "inline_css": False, "headers": {"X-A": "1"}, "topic": "t"}
    newer |= {"delivery": "recipient_time", "default_time_zone": "Asia/Tokyo"}
    newer |= {"mjml": "x", "template": "t", "attachments": [{"filename": "a", "content": ""}]}
    digests = {digest_of_request(a_draft(**{name: value})) for name, value in newer.items()}

    assert len(digests | {digest_of_request(a_draft())}) == len(newer) + 1
    of_audiences = {"audiences", "segments", "exclude"}
    compared = {field.name for field in fields(Draft) if field.metadata.get("compared", True)}
    assert compared - OLD_SCHEDULE - newer.keys() - of_audiences == {"text", "feed"}
