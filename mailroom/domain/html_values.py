"""Values that are HTML, as a template declares them: sanitized whenever they stand in a mail.

nh3 (ammonia's parser and list of elements) keeps what text needs: no script, no style, no form, no attribute that acts,
links and pictures of the web alone, and every element closed. What is left can end no element around it.
"""

import re
from html import unescape
from typing import Final

import nh3
from markupsafe import Markup

from mailroom.domain.limits import MAX_HTML_VALUE, MAX_HTML_VALUE_TAGS

_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel"})
#: Elements after which a text begins a new line.
_LINES: Final = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6"})
_END_OF_LINE: Final = re.compile(r"<br>|</(?:p|div|li|tr|h[1-6])>")
_TAG: Final = re.compile(r"</?[a-z0-9]+>")


def sanitized(value: str) -> Markup:
    """Raises ValueError for HTML that is too long, or has too many tags: a parser's time grows faster than these."""
    _check(value)
    return Markup(nh3.clean(value, url_schemes=set(_SCHEMES), link_rel=None))  # noqa: S704  # made safe just here


def as_text(value: str) -> str:
    """The text of HTML, with a line for each paragraph. Raises ValueError as `sanitized`."""
    _check(value)
    lines = nh3.clean(value, tags=set(_LINES), attributes={"*": set()}, link_rel=None)
    return unescape(_TAG.sub("", _END_OF_LINE.sub("\n", lines))).strip()


def _check(value: str) -> None:
    if len(value) > MAX_HTML_VALUE:
        raise ValueError(f"|safe takes HTML of up to {MAX_HTML_VALUE:,} characters")
    if value.count("<") > MAX_HTML_VALUE_TAGS:
        raise ValueError(f"|safe takes HTML with up to {MAX_HTML_VALUE_TAGS:,} tags")
