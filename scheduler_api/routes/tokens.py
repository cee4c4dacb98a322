"""`/v1/tokens`: made, listed, rotated, revoked. A token's text is shown once, in the answer that makes it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.services.operations import tokens as token_service
from mailroom.services.operations.token_check import token_id_of
from mailroom.services.operations.tokens import OVERLAP
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas import tokens as schemas

blueprint = Blueprint("tokens", __name__, url_prefix="/v1/tokens", description="Who may use the API and the pages.")


@blueprint.post("")
@requires("admin")
@blueprint.arguments(schemas.TokenIn)
@blueprint.response(201, schemas.NewToken)
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
@blueprint.arguments(schemas.RotateIn, required=False)
@blueprint.response(201, schemas.NewToken)
def rotate(body: dict[str, Any], token_id: str) -> Any:
    """Make a new token in the place of this one: same owner, name, scopes and limits. An Idempotency-Key that came with
    the old token names the same mail with the new one. The old token is let in for `overlap_s` more."""
    overlap = timedelta(seconds=body["overlap_s"]) if "overlap_s" in body else OVERLAP
    text = token_service.rotate(services().db, token_id, now=datetime.now(UTC), overlap=overlap)
    services().doorkeeper.forget()
    return _new(text)


@blueprint.get("")
@requires("read")
@blueprint.response(200, schemas.Presented)
def presented() -> Any:
    """The token presented and its scopes; 401 if it is not valid. For `admin` all other tokens too."""
    shown = schemas.token(token_service.known(services().db, principal().id)) | {"valid": True}
    if "admin" in principal().scopes:
        shown["tokens"] = [schemas.token(token) for token in token_service.everyone(services().db)]
    return shown


@blueprint.delete("/<token_id>")
@requires("admin")
@blueprint.response(204)
def revoke(token_id: str) -> None:
    """Revoke a token: it is refused from now on."""
    token_service.revoke(services().db, token_id, now=datetime.now(UTC))
    services().doorkeeper.forget()


def _new(text: str) -> dict[str, Any]:
    return schemas.token(token_service.known(services().db, token_id_of(text))) | {"token": text}
