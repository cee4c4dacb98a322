"""Mailgun's own substitutions, such as `%unsubscribe_url%`. Mailgun replaces them; any other provider would send them
verbatim."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

MAILGUNS: Final = re.compile(r"%(?:tag_|mailing_list_)?unsubscribe_(?:url|email)%", re.IGNORECASE)


def of_mailgun(texts: Iterable[str]) -> str | None:
    """The first substitution in these texts; None if there is none."""
    for text in texts:
        if match := MAILGUNS.search(text):
            return match[0]
    return None


@lru_cache(maxsize=64)
def in_content(subject: str, text: str, html: str) -> str | None:
    """As `of_mailgun`, cached for content that is sent repeatedly."""
    return of_mailgun((subject, text, html))
