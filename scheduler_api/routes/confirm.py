"""`/c/{token}`: the page behind the link in a confirmation mail. The token alone says who asked for which topic."""

from datetime import UTC, datetime
from typing import Final

from flask import Blueprint, Response

from mailroom.domain.confirm_links import SubscriptionRequest
from mailroom.domain.errors import TooMany, TopicNotFound, Unavailable
from mailroom.services.common.clock import server_now
from mailroom.services.consent import topics
from mailroom.services.consent.joining import Confirmed, confirm
from scheduler_api import reader_pages
from scheduler_api.auth import services

blueprint = Blueprint("confirm", __name__, url_prefix="/c", template_folder="../templates")
_TEMPLATE: Final = "confirm.html"
_NO_LINK: Final = "This link does not work. Copy it whole from the email."
_ENDED: Final = "This link no longer works. To subscribe, fill in the form again."
_LEFT: Final = (
    "You have unsubscribed since this email was sent, so nothing was changed. To subscribe, fill in the form again."
)


@blueprint.get("/<token>")
def show(token: str) -> Response:
    """Changes nothing: programs that look for harmful pages follow links."""
    return _answered(token, act=False)


@blueprint.post("/<token>")
def act(token: str) -> Response:
    """Join the link's topic."""
    return _answered(token, act=True)


def _answered(token: str, *, act: bool) -> Response:
    asked = services().confirm_links.read(token)
    if asked is None:
        return reader_pages.page(_TEMPLATE, 404, trouble=_NO_LINK)
    try:
        name = topics.get(services().db, asked.topic).name
        if not act:
            return _question(asked, name)
        services().limits.check_link(token)
        return _outcome(confirm(services().db, asked, now=server_now(services().db)), asked, name)
    except TopicNotFound:  # of a database that was put back to an older copy
        return reader_pages.page(_TEMPLATE, 404, trouble=_NO_LINK)
    except TooMany as error:
        return reader_pages.too_often(error, _TEMPLATE, trouble=reader_pages.TOO_OFTEN)
    except Unavailable:
        return reader_pages.away(_TEMPLATE, trouble=reader_pages.AWAY)


def _question(asked: SubscriptionRequest, name: str) -> Response:
    if datetime.now(UTC) >= asked.until:
        return reader_pages.page(_TEMPLATE, 410, trouble=_ENDED)
    return reader_pages.page(_TEMPLATE, 200, address=asked.address, name=name)


def _outcome(outcome: Confirmed, asked: SubscriptionRequest, name: str) -> Response:
    match outcome:
        case Confirmed.ENDED:
            return reader_pages.page(_TEMPLATE, 410, trouble=_ENDED)
        case Confirmed.LEFT_SINCE:
            return reader_pages.page(_TEMPLATE, 410, trouble=_LEFT)
    blocked = outcome is Confirmed.BLOCKED
    return reader_pages.page(_TEMPLATE, 200, address=asked.address, name=name, done=not blocked, blocked=blocked)
