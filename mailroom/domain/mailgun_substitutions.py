"""Mailgun's own substitutions, such as `%unsubscribe_url%`. Mailgun fills them in; any other provider would send them
as they are written."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

_MAILGUNS: Final = re.compile(r"%(?:tag_|mailing_list_)?unsubscribe_(?:url|email)%", re.IGNORECASE)


def of_mailgun(texts: Iterable[str]) -> str | None:
    """The first substitution in any of these texts; None if they have none."""
    for text in texts:
        if found := _MAILGUNS.search(text):
            return found[0]
    return None


@lru_cache(maxsize=64)
def in_content(subject: str, text: str, html: str) -> str | None:
    """As `of_mailgun`, remembered for content that is sent again and again."""
    return of_mailgun((subject, text, html))
