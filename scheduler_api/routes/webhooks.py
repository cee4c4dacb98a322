"""`/webhooks/{provider}`: what providers report later. Stored before it is answered."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import structlog
from flask import Blueprint, Response, jsonify, request

from mailroom.domain.events import Event
from mailroom.domain.limits import MAX_WEBHOOK_BYTES
from mailroom.domain.repeated_events import Intake
from mailroom.providers.webhooks import BadSignature, Delivery, WebhookRefused
from mailroom.services.feedback.traced import trace_events
from mailroom.watching import feedback, traces
from scheduler_api.auth import services
from scheduler_api.bodies import raw_body
from scheduler_api.problems import problem

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")
log = structlog.get_logger()
_VENDORS: Final = {
    "mailgun": "Mailgun",
    "sendgrid": "SendGrid",
    "ses": "SES",
    "postmark": "Postmark",
    "resend": "Resend",
}


@blueprint.post(f"/<any({', '.join(_VENDORS)}):provider>")
def receive(provider: str) -> Response:
    """200: all events are stored, or known already; a subscription of a topic of ours is confirmed. 401: the signature
    fits none of our keys, or the secret in the URL is not ours (providers try again, so a key that was just rotated
    loses nothing). 404: the provider is not set up. 400, to Mailgun 406, to Postmark 403: malformed, stale or replayed;
    sending it again would not help. 503: try again."""
    face = services().webhooks.get(provider)
    if face is None:
        return _refused(provider, 404, "not_set_up", f"{_VENDORS[provider]} is not among the providers")
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        verified = face.verify(Delivery(raw_body(MAX_WEBHOOK_BYTES), headers, datetime.now(UTC)))
        face.confirm(verified)
        events = face.parse(verified)
    except WebhookRefused as error:
        status = 401 if isinstance(error, BadSignature) else face.refused_for_good
        return _refused(provider, status, error.code, str(error))
    verdicts = _stored(events)
    services().arrivals.note(provider, request.args.get("mark", "") if request.query_string else "")
    if not face.one_event:
        return jsonify(status=Intake.STORED, events=len(events))
    if Intake.REPLAYED in verdicts:
        detail = "this token came before, with another event"
        return _refused(provider, face.refused_for_good, "replayed", detail)
    return jsonify(status=verdicts[0])


def _stored(events: Sequence[Event]) -> list[Intake]:
    """A verdict for each event. Raises if one could not be stored: then the provider sends all of them again."""
    verdicts = []
    for answer in services().intake.submit_many(events):
        if isinstance(answer, Exception):
            raise answer
        verdicts.append(answer)
    _count(events, verdicts)
    fresh = [event for event, verdict in zip(events, verdicts, strict=True) if verdict is Intake.STORED]
    if traces.is_on():
        trace_events(services().db, fresh, now=datetime.now(UTC))
    return verdicts


def _count(events: Sequence[Event], verdicts: Sequence[Intake]) -> None:
    now = datetime.now(UTC)
    for event, verdict in zip(events, verdicts, strict=True):
        feedback.event_taken(event.provider, verdict)
        if verdict is Intake.STORED:
            feedback.event_stored(event.provider, now - event.at)


def _refused(provider: str, status: int, code: str, detail: str) -> Response:
    feedback.refused(provider, code)
    log.warning("webhook_refused", provider=provider, code=code, detail=detail)
    return problem(status, code, detail)
