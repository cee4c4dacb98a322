"""A reader's own link to unsubscribe, in the header of their copy."""

import re
from collections.abc import Mapping
from typing import Final

from mailroom.domain.unsubscribe_links import UnsubscribeLinks

_HEADER: Final = re.compile(r"<(https?://[^>]+)>")


def link_in(headers: Mapping[str, str]) -> str:
    """The one link of List-Unsubscribe; '' where there is another number of them."""
    header = _HEADER.fullmatch(headers.get("List-Unsubscribe", ""))
    return header[1] if header else ""


def is_own(links: UnsubscribeLinks, link: str, *, address: str, topic: str) -> bool:
    """True if by this link this reader leaves this topic."""
    member = links.read(link.rpartition("/")[2])
    return member is not None and (member.address, member.topic) == (address, topic)
