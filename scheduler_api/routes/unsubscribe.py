"""`/u/{token}`: the page behind the link in a mail, and RFC 8058's one click. The token alone says whose link it is: no
cookie, no sign-in, no script."""

from typing import Final

from flask import Blueprint, Response, request

from mailroom.domain.consent import BY_ONE_CLICK, BY_PAGE
from mailroom.domain.errors import TooMany, Unavailable
from mailroom.domain.events import SuppressionReason
from mailroom.domain.suppressions import CAMPAIGNS
from mailroom.domain.unsubscribe_links import Membership
from mailroom.services.consent import membership as memberships
from scheduler_api import reader_pages
from scheduler_api.auth import services

blueprint = Blueprint("unsubscribe", __name__, url_prefix="/u", template_folder="../templates")
_TEMPLATE: Final = "unsubscribe.html"
_EXAMPLE: Final = (
    "This is the link of a preview or of a test, and unsubscribes nobody. In the campaign itself each recipient has a "
    "link of their own."
)


@blueprint.get("/<token>")
def show(token: str) -> Response:
    """Changes nothing: programs that look for harmful pages follow links."""
    links = services().links
    membership = links.read(token)
    if membership is None:
        return _example(200) if links.is_example(token) else _no_such_link()
    return _page(membership)


@blueprint.post("/<token>")
def act(token: str) -> Response:
    """Leave the link's topic at once, unless the page's form says something else."""
    links = services().links
    membership = links.read(token)
    if membership is None:
        return _example(404) if links.is_example(token) else _no_such_link()
    try:
        services().limits.check_link(token)
        said = _do(membership)
    except TooMany as error:
        return reader_pages.too_often(error, _TEMPLATE, trouble=reader_pages.TOO_OFTEN)
    except Unavailable:
        return _away()
    return _page(membership, said)


def _do(membership: Membership) -> str:
    """Returns what was done, in words for the reader. Raises Unavailable."""
    db, form = services().db, request.form
    if "join" not in form and "leave" not in form:
        memberships.leave(db, membership, membership.topic, by=BY_ONE_CLICK)
        return "You are unsubscribed."
    if form.get("leave") == CAMPAIGNS:
        memberships.leave(db, membership, CAMPAIGNS, by=BY_PAGE)
        return "You are unsubscribed from all campaigns."
    choices = memberships.choices(db, membership.address, of=membership.topic)
    names = {choice.topic.id: choice.topic.name for choice in choices}
    if (topic := form.get("join", "")) in names:
        memberships.join(db, membership, topic, by=BY_PAGE)
        reason = next(choice.reason for choice in choices if choice.topic.id == topic)
        if reason not in ("", SuppressionReason.UNSUBSCRIBED):  # of the widest scope: joining does not lift it
            return f"{names[topic]} is still blocked for this address."
        return f"You get {names[topic]} again."
    if (topic := form.get("leave", "")) in names:
        memberships.leave(db, membership, topic, by=BY_PAGE)
        return f"You are unsubscribed from {names[topic]}."
    return "Nothing was changed: choose again below."


def _page(membership: Membership, said: str = "") -> Response:
    try:
        choices = memberships.choices(services().db, membership.address, of=membership.topic)
    except Unavailable:
        # What was done is done, whether it can be shown or not.
        return reader_pages.page(_TEMPLATE, 200, address=membership.address, said=said, done=True) if said else _away()
    own = next((choice for choice in choices if choice.topic.id == membership.topic), None)
    others = [choice for choice in choices if choice.topic.id != membership.topic]
    return reader_pages.page(_TEMPLATE, 200, address=membership.address, own=own, others=others, said=said)


def _example(status: int) -> Response:
    return reader_pages.page(_TEMPLATE, status, trouble=_EXAMPLE)


def _no_such_link() -> Response:
    return reader_pages.page(_TEMPLATE, 404, trouble="This link does not work. Copy it whole from the email.")


def _away() -> Response:
    return reader_pages.away(_TEMPLATE, trouble=reader_pages.NOT_DONE)
