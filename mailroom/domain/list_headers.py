"""Headers of mail that a reader may leave: RFC 8058 (one click), RFC 2369 and 2919, and Gmail's Feedback-ID.

Source: rfc-editor.org, and support.google.com/a/answer/81126 and /mail/answer/6254652 (read 2026-11).
"""

from typing import Final

from mailroom.domain.addresses import parse_mailbox

NAMES: Final = ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID")
_ONE_CLICK: Final = "List-Unsubscribe=One-Click"
_SENDER: Final = "mailroom"


def list_headers(topic: str, *, sender: str, link: str, origin: str, also: str = "") -> dict[str, str]:
    """The headers for a reader with this link, or a provider's placeholder for it. `also`: what `beside` gives, or a
    placeholder for that. `sender`: the From mailbox. `origin`: the schedule, or `single`. Empty without a topic."""
    if not topic:
        return {}
    domain = parse_mailbox(sender).address.rpartition("@")[2].encode("idna").decode()
    values = (f"<{link}>{also}", _ONE_CLICK, f"<{topic}.{domain}>", f"{origin}:{topic}:mail:{_SENDER}")
    return dict(zip(NAMES, values, strict=True))


def beside(mailto: str) -> str:
    """What stands behind the https link in List-Unsubscribe; empty without a link by mail."""
    return f", <{mailto}>" if mailto else ""
