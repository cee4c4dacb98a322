"""`/v1/tokens`: made, looked at, revoked. A token's text is shown once, in the answer that makes it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_NAME, MAX_RATE
from mailroom.domain.principals import SCOPES
from mailroom.services.operations import tokens as token_service
from mailroom.services.operations.tokens import MAX_OVERLAP_S, OVERLAP, KnownToken
from scheduler_api.arguments import Blueprint, RequestBody
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas.schedules import MomentField

blueprint = Blueprint("tokens", __name__, url_prefix="/v1/tokens", description="Who may use the API and the pages.")


class TokenIn(RequestBody):
    name = fields.String(required=True, validate=validate.Length(min=1, max=MAX_NAME))
    scopes = fields.List(
        fields.String(validate=validate.OneOf(list(SCOPES))), required=True, validate=validate.Length(min=1)
    )
    expires_at = MomentField(
        allow_none=True, metadata={"type": "string", "description": "ISO 8601 with an offset; never where left out"}
    )
    requests_per_minute = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(1, MAX_RATE),
        metadata={"description": "instead of MAILROOM_REQUESTS_PER_MINUTE"},
    )
    mails_per_day = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(1, MAX_RATE),
        metadata={"description": "single mails a day (UTC), instead of MAILROOM_MAILS_PER_DAY"},
    )


class RotateIn(RequestBody):
    overlap_s = fields.Integer(
        strict=True,
        validate=validate.Range(0, MAX_OVERLAP_S),
        metadata={
            "description": "seconds for which the old token is let in beside the new one; 0 ends it at once. "
            f"{int(OVERLAP.total_seconds())} if left out"
        },
    )


class TokenOut(Schema):
    id = fields.String()
    name = fields.String()
    owner = fields.String(metadata={"description": "stays the same when a token is rotated"})
    scopes = fields.List(fields.String())
    created_at = fields.String()
    expires_at = fields.String(allow_none=True)
    revoked_at = fields.String(allow_none=True)
    last_used_at = fields.String(allow_none=True)
    rotated_to = fields.String(allow_none=True)
    requests_per_minute = fields.Integer(allow_none=True)
    mails_per_day = fields.Integer(allow_none=True)


class NewToken(TokenOut):
    token = fields.String(metadata={"description": "shown now and never again"})


class Presented(TokenOut):
    valid = fields.Boolean()
    tokens = fields.List(fields.Nested(TokenOut), metadata={"description": "all of them, for scope admin"})


@blueprint.post("")
@requires("admin")
@blueprint.arguments(TokenIn)
@blueprint.response(201, NewToken)
def create(body: dict[str, Any]) -> Any:
    """Make a token. Its text is shown in this answer and never again."""
    expires_at = body.get("expires_at")
    if expires_at is not None and expires_at.tzinfo is None:
        raise InvalidInput(Fault("expires_at", "needs an offset, such as 2026-12-01T09:00:00+01:00"))
    limits = {name: body.get(name) for name in ("requests_per_minute", "mails_per_day")}
    text = token_service.create_token(
        services().db, name=body["name"], scopes=body["scopes"], now=datetime.now(UTC), expires_at=expires_at, **limits
    )
    return _new(text)


@blueprint.post("/<token_id>/rotate")
@requires("admin")
@blueprint.arguments(RotateIn, required=False)
@blueprint.response(201, NewToken)
def rotate(body: dict[str, Any], token_id: str) -> Any:
    """Make a new token in the place of this one: same owner, name, scopes and limits. An Idempotency-Key that came with
    the old token names the same mail with the new one. The old token is let in for `overlap_s` more."""
    overlap = timedelta(seconds=body["overlap_s"]) if "overlap_s" in body else OVERLAP
    text = token_service.rotate(services().db, token_id, now=datetime.now(UTC), overlap=overlap)
    services().doorkeeper.forget()
    return _new(text)


@blueprint.get("")
@requires("read")
@blueprint.response(200, Presented)
def presented() -> Any:
    """Whether the token presented is valid, and what it may do; 401 where it is not. For `admin` all others too."""
    shown = _shown(token_service.known(services().db, principal().id)) | {"valid": True}
    if "admin" in principal().scopes:
        shown["tokens"] = [_shown(token) for token in token_service.everyone(services().db)]
    return shown


@blueprint.delete("/<token_id>")
@requires("admin")
@blueprint.response(204)
def revoke(token_id: str) -> None:
    """Revoke a token: it is refused from now on."""
    token_service.revoke(services().db, token_id, now=datetime.now(UTC))
    services().doorkeeper.forget()


def _new(text: str) -> dict[str, Any]:
    return _shown(token_service.known(services().db, token_service.id_of(text))) | {"token": text}


def _shown(token: KnownToken) -> dict[str, Any]:
    times = ("created_at", "expires_at", "revoked_at", "last_used_at")
    told = {name: moment.isoformat() if (moment := getattr(token, name)) else None for name in times}
    plain = ("id", "name", "owner", "rotated_to", "requests_per_minute", "mails_per_day")
    return {**{name: getattr(token, name) for name in plain}, "scopes": sorted(token.scopes), **told}
