"""Each recipient's own link to unsubscribe, in headers and bodies, by every adapter."""

import base64
import json
import re
from dataclasses import replace
from email import message_from_bytes
from email.policy import default as PARSED
from typing import Any

import pytest
from msgspec import structs

from mailroom.domain.list_headers import beside
from mailroom.domain.template_filling import LINK_KEY, MAILTO_KEY
from mailroom.providers.base import Batch
from mailroom.providers.connection import Request
from mailroom.providers.mailgun.multipart import CONTENT_TYPE
from tests.support.adapters import ADAPTERS, a_batch

URL = "https://mail.example.com/u"
Copy = tuple[dict[str, str], str]


def linked(count: int) -> Batch:
    """A batch of a topic, in which each message has its link."""
    batch = a_batch(count)
    text = "Leave: {{ unsubscribe_url }}"
    content = replace(batch.content, sender="Ann <ann@mg.example.com>", text=text, topic="newsletter")
    messages = [structs.replace(m, parts={"s1": "Bo", LINK_KEY: f"{URL}/{m.address}"}) for m in batch.messages]
    return replace(batch, content=content, messages=messages)


def copies_by(name: str, batch: Batch) -> dict[str, Copy]:
    """By recipient: the headers and the text of each copy, as the vendor fills them in."""
    request: Any = ADAPTERS[name].build(batch)
    return READERS[name](request)


def _of_mailgun(request: Request) -> dict[str, Copy]:
    raw = f"Content-Type: {CONTENT_TYPE}\r\n\r\n".encode() + request.body
    fields: list[tuple[str, str]] = [
        (str(part.get_param("name", header="content-disposition")), part.get_content().rstrip("\r\n"))
        for part in message_from_bytes(raw, policy=PARSED).iter_parts()  # type: ignore[attr-defined]
    ]
    variables = json.loads(dict(fields)["recipient-variables"])

    def filled(text: str, address: str) -> str:
        return re.sub(r"%recipient\.(\w+)%", lambda match: variables[address][match[1]], text)

    return {
        address: (
            {key[2:]: filled(value, address) for key, value in fields if key.startswith("h:")},
            filled(dict(fields)["text"], address),
        )
        for address in variables
    }


def _of_sendgrid(request: Request) -> dict[str, Copy]:
    body = json.loads(request.body)
    copies = {}
    for personal in body["personalizations"]:
        text = body["content"][0]["value"]
        for mark, value in personal.get("substitutions", {}).items():
            text = text.replace(mark, value)
        copies[personal["to"][0]["email"]] = (personal["headers"], text)
    return copies


def _of_postmark(request: Request) -> dict[str, Copy]:
    return {
        mail["To"]: ({header["Name"]: header["Value"] for header in mail["Headers"]}, mail["TextBody"])
        for mail in json.loads(request.body)
    }


def _of_resend(request: Request) -> dict[str, Copy]:
    return {mail["to"][0]: (mail["headers"], mail["text"]) for mail in json.loads(request.body)}


def _of_ses(request: Request) -> dict[str, Copy]:
    return _of_mime(base64.b64decode(json.loads(request.body)["Content"]["Raw"]["Data"]))


def _of_mime(raw: bytes) -> dict[str, Copy]:
    mail = message_from_bytes(raw, policy=PARSED)
    return {str(mail["To"]): (dict(mail.items()), mail.get_content().strip())}  # type: ignore[attr-defined]


READERS: dict[str, Any] = {
    "mailgun": _of_mailgun,
    "sendgrid": _of_sendgrid,
    "postmark": _of_postmark,
    "resend": _of_resend,
    "ses": _of_ses,
    "smtp": lambda envelope: _of_mime(envelope.message),
}


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("count", [1, 1_000])
def test_each_recipient_gets_headers_and_a_body_with_their_own_link(name: str, count: int) -> None:
    batch = linked(min(count, ADAPTERS[name].max_recipients))

    copies = copies_by(name, batch)

    assert copies.keys() == {message.address for message in batch.messages}
    for address, (headers, text) in copies.items():
        assert headers["List-Unsubscribe"] == f"<{URL}/{address}>"
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert headers["List-Id"] == "<newsletter.mg.example.com>"
        assert headers["Feedback-ID"] == "r:newsletter:mail:mailroom"
        assert text == f"Leave: {URL}/{address}"


@pytest.mark.parametrize("name", ADAPTERS)
def test_mail_without_a_topic_has_none_of_these_headers(name: str) -> None:
    request: Any = ADAPTERS[name].build(a_batch(1))

    body = request.message if name == "smtp" else request.body
    if name == "ses":
        body = base64.b64decode(json.loads(body)["Content"]["Raw"]["Data"])
    assert b"List-" not in body
    assert b"Feedback-ID" not in body


def test_a_link_is_not_broken_over_lines() -> None:
    batch = linked(1)
    long = f"{URL}/{'x' * 400}"
    batch = replace(batch, messages=[structs.replace(batch.messages[0], parts={"s1": "Bo", LINK_KEY: long})])

    for name in ("ses", "smtp"):
        assert copies_by(name, batch)[batch.messages[0].address][0]["List-Unsubscribe"] == f"<{long}>"


@pytest.mark.parametrize("name", ADAPTERS)
def test_each_recipient_may_also_leave_by_a_mail_of_their_own_where_a_mailbox_is_set(name: str) -> None:
    batch = linked(min(3, ADAPTERS[name].max_recipients))
    mailto = "mailto:leave@mg.example.com?subject=unsubscribe-"
    messages = [
        structs.replace(m, parts={**m.parts, MAILTO_KEY: beside(f"{mailto}{number}") if number != 1 else ""})
        for number, m in enumerate(batch.messages)
    ]

    copies = copies_by(name, replace(batch, messages=messages))

    for number, message in enumerate(messages):
        # The second one's links would be too long for one header.
        also = f", <{mailto}{number}>" if number != 1 else ""
        headers, text = copies[message.address]
        assert headers["List-Unsubscribe"] == f"<{URL}/{message.address}>{also}"
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert text == f"Leave: {URL}/{message.address}"


def test_what_stands_in_headers_alone_takes_no_room_of_sendgrids_substitutions() -> None:
    batch = linked(2)
    also = beside("mailto:leave@mg.example.com?subject=unsubscribe-" + "x" * 9_000)
    messages = [structs.replace(m, parts={**m.parts, MAILTO_KEY: also}) for m in batch.messages]

    request: Any = ADAPTERS["sendgrid"].build(replace(batch, messages=messages))

    for personal in json.loads(request.body)["personalizations"]:
        assert also in personal["headers"]["List-Unsubscribe"]
        assert not any("mailto:" in value for value in personal["substitutions"].values())


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_campaigns_own_headers_go_with_each_of_its_mails(name: str) -> None:
    count = min(2, ADAPTERS[name].max_recipients)
    plain, linked_ = a_batch(count), linked(count)
    own = (("X-Campaign", "spring %recipient"), ("Precedence", "bulk"))

    for batch in (plain, linked_):
        batch = replace(batch, content=replace(batch.content, headers=own))
        for headers, _ in copies_by(name, batch).values():
            assert (headers["X-Campaign"], headers["Precedence"]) == ("spring %recipient", "bulk")
            assert ("List-Unsubscribe" in headers) == bool(batch.content.topic)
