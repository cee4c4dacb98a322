"""`/v1/subscribe`: a visitor asks for a topic, by a form on any page or by JSON. Nobody is signed in, and no answer
tells anything about an address."""

from collections.abc import Mapping
from typing import Any, Final

import structlog
from flask import Blueprint, Response, abort, jsonify, request

from mailroom.domain.confirm_links import OWNER
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.errors import Fault, InvalidInput, MailroomError, NotFound, TooMany, Unavailable
from mailroom.domain.limits import MAX_SUBSCRIPTION_BYTES
from mailroom.domain.subscription_forms import FIELDS, PATH, TRAP, check_input
from mailroom.domain.topics import Topic
from mailroom.services.common.clock import server_now
from mailroom.services.consent import topics
from mailroom.services.consent.subscribing import subscribe as take_in
from scheduler_api import reader_pages
from scheduler_api.arguments import TWICE
from scheduler_api.auth import client, services
from scheduler_api.bodies import document, raw_body, take_body

blueprint = Blueprint("subscribe", __name__, template_folder="../templates")
log = structlog.get_logger()
_TEMPLATE: Final = "subscribe.html"
_FORMS: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
# Any page may post: forms need no permission for it, no cookie goes along, and the answer holds no secret.
_ANY_PAGE: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "86400",
}
_UNKNOWN: Final = "is no field of this form"


@blueprint.post(PATH)
def subscribe() -> Response:
    """202, whatever is known of the address: with a page for a form, with `{"status": "accepted"}` for JSON."""
    if request.mimetype not in _FORMS:
        _subscribed(_of_json())
        accepted = jsonify(status="accepted")
        accepted.status_code = 202
        return accepted
    raw_body(MAX_SUBSCRIPTION_BYTES)
    try:
        return reader_pages.page(_TEMPLATE, 202, topic=_subscribed(_of_form()))
    except MailroomError as error:
        return _refused(error)


@blueprint.after_request
def let_any_page_ask(response: Response) -> Response:
    response.headers.update(_ANY_PAGE)
    return response


def _subscribed(raw: Mapping[str, object]) -> Topic:
    """The topic that was asked for. Raises InvalidInput, TopicNotFound, TooMany, Unavailable."""
    asked = check_input(raw)
    services().limits.check_subscription(client(), asked.address)
    topic = topics.get(services().db, asked.topic)
    if raw.get(TRAP):
        log.info("form_filled_in_by_a_program", topic=topic.id)  # which learns nothing of it
        return topic
    db, links = services().db, services().confirm_links
    take_in(db, topic, asked, now=server_now(db), links=links, hand_in=_hand_in)
    return topic


def _hand_in(draft: EmailDraft, key: str) -> object:
    return services().outbox.hand_in(draft, owner=OWNER, key=key)


def _of_json() -> dict[str, Any]:
    take_body(MAX_SUBSCRIPTION_BYTES)
    body = document()
    if not isinstance(body, dict):
        abort(400, description="Send a JSON object with topic and address.")
    if unknown := body.keys() - {*FIELDS}:
        raise InvalidInput(*(Fault(name[:100], _UNKNOWN) for name in sorted(unknown)[:10]))
    return {name: value for name, value in body.items() if value is not None}


def _of_form() -> dict[str, str]:
    """Fields that are not ours, such as a button's, are left aside."""
    values = {name: request.form.getlist(name) for name in (*FIELDS, TRAP)}
    if doubled := [name for name, given in values.items() if len(given) > 1]:
        raise InvalidInput(*(Fault(name, TWICE) for name in doubled))
    return {name: given[0] for name, given in values.items() if given}


def _refused(error: MailroomError) -> Response:
    """What went wrong, as a page. Other errors are bugs, and rise."""
    match error:
        case InvalidInput():
            words = [f"{_LABELS.get(fault.path, fault.path)}: {fault.message}." for fault in error.faults]
            return reader_pages.page(_TEMPLATE, 422, trouble=words)
        case NotFound():
            return reader_pages.page(_TEMPLATE, 404, trouble=["The form asks for something that is not there."])
        case TooMany():
            return reader_pages.too_often(error, _TEMPLATE, trouble=["This was done too often. Try again later."])
        case Unavailable():
            return reader_pages.away(_TEMPLATE, trouble=[reader_pages.AWAY])
    raise error


_LABELS: Final = {"address": "Email address", "name": "Name", "topic": "Form"}
