"""`/webhooks/{provider}`: what providers tell later. Stored before it is answered."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from flask import Blueprint, Response, jsonify, request

from mailroom.domain.events import Event
from mailroom.domain.limits import MAX_WEBHOOK_BYTES
from mailroom.providers.mailgun import webhooks as mailgun
from mailroom.providers.reading import json_of, moment
from mailroom.providers.sendgrid import webhooks as sendgrid
from mailroom.providers.ses import webhooks as ses
from mailroom.services.event_intake import Intake
from scheduler_api.auth import front
from scheduler_api.problems import problem

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")
log = structlog.get_logger()


@blueprint.post("/mailgun")
def from_mailgun() -> Response:
    """200: stored, or known already. 401: the signature fits none of our keys (Mailgun tries again, so a key that was
    just rotated loses nothing). 406: malformed, stale or replayed; Mailgun does not try again. 503: try again."""
    request.max_content_length = MAX_WEBHOOK_BYTES
    settings = front().settings.mailgun
    try:
        document = _json(request.get_data())
        token = mailgun.verify(document, [settings.signing_key], now=datetime.now(UTC))
        event = mailgun.parse(document, settings.domain, token)
    except mailgun.BadSignature as error:
        return _refused(401, "bad_signature", str(error))
    except mailgun.Stale as error:
        return _refused(406, "stale", str(error))
    except mailgun.Malformed as error:
        return _refused(406, "malformed", str(error))
    verdict = front().intake.submit(event)
    front().arrivals.note("mailgun")
    if verdict is Intake.REPLAYED:
        return _refused(406, "replayed", "this token came before, with another event")
    return jsonify(status=verdict)


@blueprint.post("/sendgrid")
def from_sendgrid() -> Response:
    """200: all of its events are stored, or known already. 401: the signature does not fit. 400: this is no event.
    503: try again; what was stored is known the next time."""
    request.max_content_length = MAX_WEBHOOK_BYTES
    key, raw = front().settings.sendgrid.verification_key, request.get_data()
    if not key:
        return _refused(404, "not_set_up", "SendGrid is not among the providers", provider="sendgrid")
    try:
        signature, timestamp = (request.headers.get(name, "") for name in (sendgrid.SIGNATURE, sendgrid.TIMESTAMP))
        sendgrid.verify(raw, signature, timestamp, public_key=key)
        found = sendgrid.parse(raw, moment(timestamp) or datetime.now(UTC))
    except sendgrid.BadSignature as error:
        return _refused(401, "bad_signature", str(error), provider="sendgrid")
    except sendgrid.Malformed as error:
        return _refused(400, "malformed", str(error), provider="sendgrid")
    return _stored(found, "sendgrid")


@blueprint.post("/ses")
def from_ses() -> Response:
    """200: all of its events are stored, or known already; a subscription of a topic of ours is confirmed. 401: it is
    not signed by AWS, or for no topic of ours. 400: this is nothing of SNS. 503: SNS tries again."""
    request.max_content_length = MAX_WEBHOOK_BYTES
    topics = front().settings.ses.topics
    if not topics:
        return _refused(404, "not_set_up", "SES is not among the providers", provider="ses")
    try:
        envelope = ses.verify(json_of(request.get_data()), topics, now=datetime.now(UTC))
        found = ses.parse(envelope) if envelope["Type"] == ses.NOTIFICATION else []
        if envelope["Type"] == ses.CONFIRMATION:
            ses.confirm(envelope)
            log.info("subscription_confirmed", provider="ses", topic=envelope["TopicArn"])
    except ses.BadSignature as error:
        return _refused(401, "bad_signature", str(error), provider="ses")
    except ses.Malformed as error:
        return _refused(400, "malformed", str(error), provider="ses")
    return _stored(found, "ses")


def _stored(found: Sequence[Event], provider: str) -> Response:
    """All of them stored, or nothing said: then the provider sends them again."""
    for answer in front().intake.submit_many(found):
        if isinstance(answer, Exception):
            raise answer
    front().arrivals.note(provider)
    return jsonify(status="stored", events=len(found))


def _json(raw: bytes) -> Any:
    try:
        document = json.loads(raw, parse_constant=_no_constants)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        raise mailgun.Malformed("the body is not JSON") from None
    return document


def _no_constants(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _refused(status: int, code: str, detail: str, *, provider: str = "mailgun") -> Response:
    log.warning("webhook_refused", provider=provider, code=code, detail=detail)
    return problem(status, code, "The webhook was refused", detail)
