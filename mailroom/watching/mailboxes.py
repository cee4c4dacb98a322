"""Sender: the mails that it found in mailboxes."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

REGISTRY: Final = CollectorRegistry()
_MAILS: Final = Counter(
    "mailroom_mailbox_mails_total",
    "Mails found in mailboxes, by what became of them",
    ["result"],
    registry=REGISTRY,
)


def mail_found(result: str) -> None:
    _MAILS.labels(result).inc()
