"""Take in what a form asks for: a topic, for an address. Nothing that comes back tells anything about the address."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from mailroom.domain.confirm_links import ConfirmLinks, SubscriptionRequest
from mailroom.domain.confirmations import CONFIRM_URL, MAILED_AGAIN_AFTER, TOPIC, asked_at, renewed_before
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.errors import IdempotencyMismatch, InvalidInput, Unavailable
from mailroom.domain.subscription_forms import FormInput
from mailroom.domain.topics import Topic
from mailroom.services.consent.joining import join_by_form
from mailroom.services.consent.lifting import unsubscribes_of
from mailroom.storage import subscription_requests, suppressions
from mailroom.storage.database import Db
from mailroom.storage.mails import emails

log = structlog.get_logger()
TAG: Final = "confirmation"
#: Hands in a mail under a key: as `Outbox.hand_in`, for the owner OWNER. Raises what that raises.
HandIn = Callable[[EmailDraft, str], object]


def subscribe(db: Db, topic: Topic, asked: FormInput, *, now: datetime, links: ConfirmLinks, hand_in: HandIn) -> None:
    """Take in a form for this topic. Where the topic has it confirmed, the address gets one mail with a link, and no
    second one for a day while that link works, however often the form is posted and by how many processes. Otherwise
    the address joins, unless something holds the topic's mail back from it. `now`: by MongoDB's clock. Raises
    Unavailable: it may be posted again."""
    if not topic.double_opt_in:
        join_by_form(db, topic.id, asked.address, asked.name, now=now)
        return
    standing = _standing(db, topic, asked, now=now)
    # Also if the process that stored the request died before the mail was handed in: the same key makes one mail of it.
    if not emails.get_many(db, [standing.mail]):
        _hand_in(topic, standing, links.url(standing), hand_in)


def _standing(db: Db, topic: Topic, asked: FormInput, *, now: datetime) -> SubscriptionRequest:
    stored = suppressions.get(db, asked.address)
    left = unsubscribes_of(stored.entries if stored else (), topic.id)
    left_at = max((entry.since for entry in left.values()), default=None)
    at = asked_at(now, left_at)
    request = SubscriptionRequest(asked.address, topic.id, asked.name, at, at + topic.confirmation.within)
    return subscription_requests.put_unless_standing(
        db,
        request,
        renewed_before=renewed_before(now, left_at),
        expires_at=max(request.until, at + MAILED_AGAIN_AFTER),
    )


def _hand_in(topic: Topic, standing: SubscriptionRequest, url: str, hand_in: HandIn) -> None:
    """Hand in the mail. It has no topic itself: only the scope `all` holds it back."""
    confirmation = topic.confirmation
    draft = EmailDraft(
        sender=confirmation.sender,
        to=[standing.address],
        subject=confirmation.subject,
        text=confirmation.text,
        html=confirmation.html,
        variables={CONFIRM_URL: url, TOPIC: topic.name},
        tags=[TAG],
        metadata={"confirms": topic.id},
    )
    try:
        hand_in(draft, standing.key)
    except IdempotencyMismatch:
        pass  # somebody has changed the topic's words since another process handed the mail in
    except InvalidInput as error:
        # Not the visitor's fault: the topic was saved with it.
        log.error("confirmation_mail_refused", topic=topic.id, error=str(error)[:500])
        raise Unavailable("the confirmation mail cannot be sent") from None
    else:
        log.info("confirmation_mail_handed_in", topic=topic.id, email_id=standing.mail)
