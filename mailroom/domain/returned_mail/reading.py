"""Read a mail that came into a mailbox, at a bounded cost, whoever wrote it.

Only the beginning of a mail is read: a report stands before the mail that it returns.
"""

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from typing import Final

#: Bytes of a mail that are read.
MOST_READ: Final = 128 * 1024
_MOST_PARTS: Final = 32  # that may lie within each other; the parser is slow in deep ones
_MOST_HEADER: Final = 2_000  # characters of a header that are looked at


class UnreadableMail(Exception):
    """The mail is no mail, or would cost too much to read."""


def parsed(raw: bytes) -> Message:
    """The mail, as far as MOST_READ. Raises UnreadableMail."""
    raw = raw[:MOST_READ]
    if len(re.findall(rb"boundary[\s*\d]{0,20}=", raw, re.IGNORECASE)) > _MOST_PARTS:
        raise UnreadableMail(f"more than {_MOST_PARTS} multiparts")
    try:
        mail = message_from_bytes(raw)
    except Exception as error:  # the parser meets whatever strangers send
        raise UnreadableMail(f"{type(error).__name__} {error}"[:200]) from error
    if not mail.keys():
        raise UnreadableMail("it has no headers")
    return mail


def header(mail: Message, name: str) -> str:
    """A header in plain words, in one line; '' without it."""
    raw = str(mail.get(name) or "")[:_MOST_HEADER]
    try:
        pieces = [
            piece.decode(charset or "ascii", "replace") if isinstance(piece, bytes) else piece
            for piece, charset in decode_header(raw)
        ]
    except (HeaderParseError, LookupError, ValueError):
        pieces = [raw]
    # Half a surrogate pair, as UTF-7 may hold one, cannot be stored.
    return " ".join("".join(pieces).encode("utf-8", "replace").decode().split())


def part(mail: Message, *types: str) -> Message | None:
    """The first part of one of these content types; None without one. Not looked for in mails within the mail."""
    return next((found for found in _parts(mail) if found.get_content_type() in types), None)


def text_of(mail: Message) -> str:
    """The words of the mail that are meant for people: its first plain text, or its HTML without tags; '' if there is
    none."""
    found = part(mail, "text/plain") or part(mail, "text/html")
    if found is None:
        return ""
    content = found.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    words = content.decode("utf-8", "replace")
    return re.sub(r"<[^<>]{0,1000}>", " ", words) if found.get_content_subtype() == "html" else words


def _parts(mail: Message) -> Iterator[Message]:
    yield mail
    if mail.get_content_maintype() != "multipart" or not isinstance(payload := mail.get_payload(), list):
        return
    for inner in payload:
        if isinstance(inner, Message):
            yield from _parts(inner)
