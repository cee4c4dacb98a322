"""`/webhooks/{provider}`: what providers tell later. Stored before it is answered."""

import json
from datetime import UTC, datetime
from typing import Any

import structlog
from flask import Blueprint, Response, jsonify, request

from mailroom.domain.limits import MAX_WEBHOOK_BYTES
from mailroom.providers.mailgun import webhooks as mailgun
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
    if verdict is Intake.REPLAYED:
        return _refused(406, "replayed", "this token came before, with another event")
    return jsonify(status=verdict)


def _json(raw: bytes) -> Any:
    try:
        document = json.loads(raw, parse_constant=_no_constants)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        raise mailgun.Malformed("the body is not JSON") from None
    return document


def _no_constants(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _refused(status: int, code: str, detail: str) -> Response:
    log.warning("webhook_refused", provider="mailgun", code=code, detail=detail)
    return problem(status, code, "The webhook was refused", detail)
