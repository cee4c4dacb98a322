"""Headers of mail that a reader may leave: RFC 8058 (one click), RFC 2369 and 2919, and Gmail's Feedback-ID.

Source: rfc-editor.org, and support.google.com/a/answer/81126 and /mail/answer/6254652 (read 2026-11).
"""

from mailroom.domain.addresses import parse_mailbox
from mailroom.domain.ids import schedule_of_run
from mailroom.providers.base import Batch

_ONE_CLICK = "List-Unsubscribe=One-Click"
_KIND, _SENDER = "campaign", "mailroom"


def list_headers(batch: Batch, link: str) -> dict[str, str]:
    """The headers for a recipient with this link, or a provider's placeholder for it. Empty without a topic."""
    topic = batch.content.topic
    if not topic:
        return {}
    domain = parse_mailbox(batch.content.sender).address.rpartition("@")[2].encode("idna").decode()
    return {
        "List-Unsubscribe": f"<{link}>",
        "List-Unsubscribe-Post": _ONE_CLICK,
        "List-Id": f"<{topic}.{domain}>",
        "Feedback-ID": f"{schedule_of_run(batch.run)}:{topic}:{_KIND}:{_SENDER}",
    }
