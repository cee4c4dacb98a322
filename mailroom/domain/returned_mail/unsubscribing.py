"""Mails by which readers leave a topic: their subject holds the token of the link in the mail that they got."""

import re
from email.message import Message
from typing import Final

from mailroom.domain.returned_mail.reading import header
from mailroom.domain.unsubscribe_links import Membership, UnsubscribeLinks

_TOKEN: Final = re.compile(r"unsubscribe-([A-Za-z0-9_-]{20,1500})", re.IGNORECASE)
_LINK: Final = re.compile(rb"/u/([A-Za-z0-9_-]{20,1500})")
_MOST_LINKS: Final = 50


def membership_of_subject(mail: Message, links: UnsubscribeLinks) -> Membership | None:
    """The reader and the topic that the subject names; None unless its token is one of ours."""
    subject = header(mail, "Subject")
    # A mail program may have broken the long line in two.
    for text in (subject, subject.replace(" ", "")):
        if (found := _TOKEN.search(text)) and (membership := links.read(found[1])):
            return membership
    return None


def membership_of_link(raw: bytes, links: UnsubscribeLinks) -> Membership | None:
    """The reader and the topic of the first link of ours in a mail that is returned with a complaint; None without
    one."""
    tokens = dict.fromkeys(match[1].decode() for match in _LINK.finditer(raw))
    return next((found for token in list(tokens)[:_MOST_LINKS] if (found := links.read(token))), None)
