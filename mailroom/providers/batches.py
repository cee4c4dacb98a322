"""Calls that carry many mails, one for each recipient, where the vendor answers about each mail by its place.

A refusal need not name its recipient, so the connection gives each answer the recipients of its request.
"""

from collections.abc import Iterable
from typing import Final

from mailroom.providers.base import SendInParts
from mailroom.providers.connection import LiveConnection, Reply, Request

# Bytes of one call: each mail is written out, and a sender has as many calls in memory as it has connections.
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024


class BatchRequest(Request, frozen=True):
    """`recipients`: the address of each mail, in the body's order; empty if the body is one mail, to whomever."""

    recipients: tuple[str, ...] = ()


class BatchReply(Reply, frozen=True):
    """An answer, with the recipients of its request."""

    recipients: tuple[str, ...] = ()


class BatchConnection(LiveConnection):
    """LiveConnection for BatchRequest: answers are BatchReply."""

    _recipients: tuple[str, ...] = ()

    def begin(self, request: Request) -> None:
        super().begin(request)
        self._recipients = request.recipients if isinstance(request, BatchRequest) else ()

    def advance(self) -> BatchReply | None:
        reply = super().advance()
        return BatchReply(reply.status, reply.headers, reply.body, self._recipients) if reply is not None else None


def as_array(mails: Iterable[bytes]) -> bytes:
    """The JSON array of these mails, each in JSON. Raises SendInParts if they exceed MAX_BATCH_BYTES together; a single
    mail may have any size."""
    whole: list[bytes] = []
    size = 0
    for mail in mails:
        size += len(mail)
        if whole and size > MAX_BATCH_BYTES:
            raise SendInParts(len(whole))
        whole.append(mail)
    return b"[" + b",".join(whole) + b"]"
