"""Each adapter carries a campaign's files with every mail: once in a call that has one body for all, else in each."""

import base64
import json
from dataclasses import replace
from email import message_from_bytes
from typing import Any

import pytest

from mailroom.domain.emails.model import Attachment
from mailroom.providers.base import Batch, SendInParts
from tests.support.adapters import ADAPTERS, a_batch

PNG, PDF = b"\x89PNG\r\n\x1a\n\r\n--x--", b"%PDF"
FILES = (Attachment("terms.pdf", "application/pdf", PDF), Attachment("logo.png", "image/png", PNG, "logo"))
every = pytest.mark.parametrize("name", ADAPTERS)
Carried = set[tuple[str, bytes, bool]]  # a name of each file, its content, and whether the HTML shows it


def with_files(count: int, **changes: Any) -> Batch:
    batch = a_batch(count)
    return replace(batch, content=replace(batch.content, html='<img src="cid:logo">'), files=FILES, **changes)


def in_json(files: list[dict[str, str]]) -> Carried:
    return {
        (
            one.get("filename") or one["Name"],
            base64.b64decode(one.get("content") or one["Content"]),
            bool(one.get("content_id") or one.get("ContentID")),
        )
        for one in files
    }


def in_mime(raw: bytes) -> Carried:
    parts = [part for part in message_from_bytes(raw).walk() if part.get_filename()]
    return {
        (str(part.get_filename()), bytes(part.get_payload(decode=True)), part["Content-ID"] == "<logo>")  # type: ignore[arg-type]
        for part in parts
    }


def carried(name: str, request: Any) -> Carried:
    """The files of each mail of a built call."""
    if name == "mailgun":
        whole = message_from_bytes(f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode() + request.body)
        parts = [part for part in whole.get_payload() if part.get_filename()]  # type: ignore[union-attr]
        inline = {part: part.get_param("name", header="content-disposition") == "inline" for part in parts}  # type: ignore[union-attr]
        assert whole.is_multipart()
        return {(str(part.get_filename()), b"", inline[part]) for part in parts}  # type: ignore[union-attr]
    if name == "ses":
        return in_mime(base64.b64decode(json.loads(request.body)["Content"]["Raw"]["Data"]))
    if name == "smtp":
        return in_mime(request.message)
    body = json.loads(request.body)
    mails = body if isinstance(body, list) else [body]
    each = [in_json(mail.get("attachments") or mail["Attachments"]) for mail in mails]
    assert all(one == each[0] for one in each)
    return each[0]


@every
def test_a_campaigns_files_are_in_each_of_its_mails(name: str) -> None:
    request: Any = ADAPTERS[name].build(with_files(1))

    if name == "mailgun":
        # Mailgun takes an inline file's name for its content id.
        assert carried(name, request) == {("terms.pdf", b"", False), ("logo", b"", True)}
        assert request.body.count(PNG) == request.body.count(PDF) == 1
    else:
        assert carried(name, request) == {("terms.pdf", PDF, False), ("logo.png", PNG, True)}


@pytest.mark.parametrize("name", ["mailgun", "sendgrid"])
def test_one_body_for_a_thousand_carries_them_once(name: str) -> None:
    request: Any = ADAPTERS[name].build(with_files(1_000))

    assert len(carried(name, request)) == 2
    content = PNG if name == "mailgun" else base64.b64encode(PNG)
    assert request.body.count(content) == 1


def test_mails_that_are_written_out_carry_them_each_and_go_in_parts_if_they_are_too_large_together() -> None:
    request: Any = ADAPTERS["postmark"].build(with_files(500))
    large = replace(with_files(500), files=(Attachment("a.bin", "application/octet-stream", bytes(1024 * 1024)),))

    assert len(json.loads(request.body)) == 500
    assert len(carried("postmark", request)) == 2
    with pytest.raises(SendInParts) as parts:
        ADAPTERS["postmark"].build(large)
    assert parts.value.at_most == 5


def test_resend_takes_them_one_mail_a_call() -> None:
    with pytest.raises(SendInParts) as parts:
        ADAPTERS["resend"].build(with_files(100))

    assert parts.value.at_most == 1
    assert ADAPTERS["resend"].build(with_files(1)).path == "/emails"
    assert ADAPTERS["resend"].build(a_batch(1)).path == "/emails/batch"
