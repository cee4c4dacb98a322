"""`/v1/providers`: their order, and their health."""

from typing import Any

from mailroom.domain.errors import ProviderNotFound
from mailroom.services.operations import providers
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas import providers as schemas

blueprint = Blueprint("providers", __name__, url_prefix="/v1/providers", description="The providers, and their health.")


@blueprint.get("")
@requires("read")
@blueprint.response(200, schemas.Providers)
def index() -> Any:
    """Providers in the order in force, with their circuits: `open` gets no new work, `half` a probe now and then."""
    return _listing()


@blueprint.put("")
@requires("admin")
@blueprint.arguments(schemas.Order)
@blueprint.response(200, schemas.Providers)
def reorder(body: dict[str, Any]) -> Any:
    """Set the order: the first that works gets new work. Senders follow within a second."""
    providers.reorder(services().db, _configured(), body["order"], by=principal().name)
    return _listing()


@blueprint.patch("/<name>")
@requires("admin")
@blueprint.arguments(schemas.ProviderEdit)
@blueprint.response(200, schemas.Providers)
def edit(body: dict[str, Any], name: str) -> Any:
    """Enable a provider, which also closes its circuit, or disable it: then it gets no new work."""
    if "enabled" in body:
        providers.enable(services().db, services().circuits, _configured(), name, body["enabled"], by=principal().name)
    elif name not in _configured():
        raise ProviderNotFound(name)
    return _listing()


def _configured() -> tuple[str, ...]:
    return services().settings.sending.providers


def _listing() -> dict[str, Any]:
    made = services()
    return schemas.listing(providers.listing(made.db, made.circuits, _configured(), made.shares))
