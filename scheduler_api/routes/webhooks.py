"""`/webhooks/{provider}`: what providers tell later. Stored before it is answered."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import structlog
from flask import Blueprint, Response, jsonify, request

from mailroom.domain.events import Event
from mailroom.domain.limits import MAX_WEBHOOK_BYTES
from mailroom.providers.mailgun import webhooks as mailgun
from mailroom.providers.parsing import json_of, moment
from mailroom.providers.sendgrid import webhooks as sendgrid
from mailroom.providers.ses import webhooks as ses
from mailroom.providers.webhooks import BadSignature, Malformed, Stale
from mailroom.services.feedback.intake import Intake
from scheduler_api.auth import services
from scheduler_api.bodies import raw_body
from scheduler_api.problems import problem
from scheduler_api.reading import Unreadable, mended

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")
log = structlog.get_logger()


@blueprint.post("/mailgun")
def from_mailgun() -> Response:
    """200: stored, or known already. 401: the signature fits none of our keys (Mailgun tries again, so a key that was
    just rotated loses nothing). 406: malformed, stale or replayed; Mailgun does not try again. 503: try again."""
    settings, raw, now = services().settings.mailgun, raw_body(MAX_WEBHOOK_BYTES), datetime.now(UTC)
    keys = [settings.signing_key]
    try:
        document = json_of(_mended(raw, lambda: mailgun.verify_within(raw, keys, now=now)))
        token = mailgun.verify(document, keys, now=now)
        event = mailgun.parse(document, settings.domain, token)
    except BadSignature as error:
        return _refused(401, "bad_signature", str(error))
    except Stale as error:
        return _refused(406, "stale", str(error))
    except Malformed as error:
        return _refused(406, "malformed", str(error))
    verdict = services().intake.submit(event)
    services().arrivals.note("mailgun", request.args.get("mark", ""))
    if verdict is Intake.REPLAYED:
        return _refused(406, "replayed", "this token came before, with another event")
    return jsonify(status=verdict)


@blueprint.post("/sendgrid")
def from_sendgrid() -> Response:
    """200: all of its events are stored, or known already. 401: the signature does not fit. 400: this is no event.
    503: try again; what was stored is known the next time."""
    key, raw = services().settings.sendgrid.verification_key, raw_body(MAX_WEBHOOK_BYTES)
    if not key:
        return _refused(404, "not_set_up", "SendGrid is not among the providers", provider="sendgrid")
    try:
        signature, timestamp = (request.headers.get(name, "") for name in (sendgrid.SIGNATURE, sendgrid.TIMESTAMP))
        sendgrid.verify(raw, signature, timestamp, public_key=key)
        found = sendgrid.parse(_mended(raw), moment(timestamp) or datetime.now(UTC))
    except BadSignature as error:
        return _refused(401, "bad_signature", str(error), provider="sendgrid")
    except Malformed as error:
        return _refused(400, "malformed", str(error), provider="sendgrid")
    return _stored(found, "sendgrid")


@blueprint.post("/ses")
def from_ses() -> Response:
    """200: all of its events are stored, or known already; a subscription of a topic of ours is confirmed. 401: it is
    not signed by AWS, or for no topic of ours. 400: this is nothing of SNS. 503: SNS tries again."""
    topics = services().settings.ses.topics
    if not topics:
        return _refused(404, "not_set_up", "SES is not among the providers", provider="ses")
    try:
        envelope = ses.verify(json_of(raw_body(MAX_WEBHOOK_BYTES)), topics, now=datetime.now(UTC))
        found = ses.parse(_storable(envelope)) if envelope["Type"] == ses.NOTIFICATION else []
        if envelope["Type"] == ses.CONFIRMATION:
            ses.confirm(envelope)
            log.info("subscription_confirmed", provider="ses", topic=envelope["TopicArn"])
    except BadSignature as error:
        return _refused(401, "bad_signature", str(error), provider="ses")
    except Malformed as error:
        return _refused(400, "malformed", str(error), provider="ses")
    return _stored(found, "ses")


def _stored(found: Sequence[Event], provider: str) -> Response:
    """All of them stored, or nothing said: then the provider sends them again."""
    for answer in services().intake.submit_many(found):
        if isinstance(answer, Exception):
            raise answer
    services().arrivals.note(provider, request.args.get("mark", ""))
    return jsonify(status="stored", events=len(found))


def _storable(envelope: Mapping[str, str]) -> Mapping[str, str]:
    """The envelope with a message that can be stored. Call it after `verify`: the signature covers the message as it
    came."""
    message = _mended(envelope["Message"].encode("utf-8", "surrogatepass"))
    return {**envelope, "Message": message.decode("utf-8", "replace")}


def _verified_already() -> None:
    """The signature covers the body as it came, and was checked before."""


def _mended(raw: bytes, require_signed: Callable[[], object] = _verified_already) -> bytes:
    """The body as JSON that can be stored; unchanged if it is no JSON at all."""
    try:
        return mended(raw, require_signed)
    except Unreadable:
        return raw


def _refused(status: int, code: str, detail: str, *, provider: str = "mailgun") -> Response:
    log.warning("webhook_refused", provider=provider, code=code, detail=detail)
    return problem(status, code, detail)
