"""One click as a mail program makes it (RFC 8058): a POST to the link in the mail's own header, and nothing else of the
mail."""

import re
from collections.abc import Mapping
from typing import Final

import requests

_LINK: Final = re.compile(r"<(https?://[^>]+)>")
_TIMEOUT_S: Final = 10
ASKED: Final = "List-Unsubscribe=One-Click"


class NoOneClick(Exception):
    """The mail offers no one click, or the link did not answer as it must; the message says why."""


def unsubscribe(headers: Mapping[str, str]) -> None:
    """Raises NoOneClick."""
    by_name = {name.lower(): value for name, value in headers.items()}
    link = _LINK.search(by_name.get("list-unsubscribe", ""))
    if link is None or by_name.get("list-unsubscribe-post", "").strip() != ASKED:
        raise NoOneClick("The mail has no one-click link.")
    kind = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "simulator"}
    try:
        # Without cookies; a redirect counts as a failure, as with mailbox providers.
        answer = requests.post(link[1], data=ASKED, headers=kind, timeout=_TIMEOUT_S, allow_redirects=False)
    except requests.RequestException as error:
        raise NoOneClick(f"The link did not answer: {type(error).__name__}.") from None
    if answer.status_code != 200:
        raise NoOneClick(f"The link answered {answer.status_code}.")
