"""What a server reports about the delivery of a mail: `message/delivery-status`.

Source: RFC 3464 (2.2 per message, 2.3 per recipient), RFC 3463 (read 2026-12).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Final

from mailroom.domain.returned_mail.reading import header, part

_TYPES: Final = ("message/delivery-status", "message/global-delivery-status")
_STATUS: Final = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_CODE: Final = re.compile(r"\b([245]\d\d)\b")
_MOST_GROUPS: Final = 20
_BY_CLASS: Final = {"2": "delivered", "4": "delayed", "5": "failed"}
_ACTIONS: Final = ("failed", "delayed", "delivered", "relayed", "expanded")


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """The report about one recipient. `action`: a word of RFC 3464. `status`: an enhanced code; '' without one.
    `code`: of the receiving server's answer; None without one. `words`: that answer."""

    action: str
    status: str
    code: int | None
    words: str


def status_of(mail: Message) -> DeliveryStatus | None:
    """The report in this mail; None without one. The mail went to one recipient, so the gravest group is the one."""
    reported = part(mail, *_TYPES)
    if reported is None:
        return None
    groups = [found for group in _groups(reported) if (found := _status(group))]
    return min(groups, key=lambda one: _ACTIONS.index(one.action), default=None)


def _groups(reported: Message) -> Iterator[Message]:
    payload = reported.get_payload()
    if isinstance(payload, list):
        yield from (group for group in payload[:_MOST_GROUPS] if isinstance(group, Message))


def _status(group: Message) -> DeliveryStatus | None:
    """None for the group about the whole message, and for one without a word about what became of the recipient."""
    action = (header(group, "Action").lower().split() or [""])[0].rstrip(";")
    status = _STATUS.search(header(group, "Status"))
    if action not in _ACTIONS:
        if status is None:
            return None
        action = _BY_CLASS[status[1]]
    _, _, words = header(group, "Diagnostic-Code").partition(";")
    words = words.strip() or header(group, "Diagnostic-Code")
    code = _CODE.search(_STATUS.sub(" ", words))
    return DeliveryStatus(action, status[0] if status else "", int(code[1]) if code else None, words)
