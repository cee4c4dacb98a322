"""`/v1/rate-limits`: limits on the rate of mail, by provider and by recipients' domain."""

from typing import Any

from mailroom.domain.rates import LimitKind
from mailroom.services.operations import rate_limits
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas import rate_limits as schemas

blueprint = Blueprint("rate_limits", __name__, url_prefix="/v1/rate-limits", description="How fast mail may go.")
_KIND = f"<any({','.join(LimitKind)}):kind>"


@blueprint.get("")
@requires("read")
@blueprint.response(200, schemas.Limits)
def index() -> Any:
    """Every limit, with its rate in force. All senders share them."""
    return {"items": [schemas.limit(one) for one in rate_limits.listing(services().db, services().rates)]}


@blueprint.put(f"/{_KIND}/<name>")
@requires("admin")
@blueprint.arguments(schemas.LimitIn)
@blueprint.response(200, schemas.LimitOut)
def put(body: dict[str, Any], kind: str, name: str) -> Any:
    """Set a limit: mails in a span, a tenth of which may go at once. Senders follow within seconds.

    Mails beyond the limit wait, and none is lost; mails of high priority count, and do not wait. An unchanged warm-up
    goes on. A `429` of the provider halves the rate; each minute without another one doubles it again.
    """
    configured = services().settings.sending.providers
    return schemas.limit(
        rate_limits.put(services().db, services().rates, configured, kind, name, body, by=principal().name)
    )


@blueprint.delete(f"/{_KIND}/<name>")
@requires("admin")
@blueprint.response(204)
def remove(kind: str, name: str) -> None:
    """Remove a limit."""
    rate_limits.remove(services().db, services().rates, kind, name, by=principal().name)
