"""`/v1/providers`: in what order they get new work, and how they do."""

from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.errors import ProviderNotFound
from mailroom.services.operations import providers
from mailroom.services.operations.providers import ShownProvider
from scheduler_api.arguments import Blueprint, Patch, RequestBody
from scheduler_api.auth import principal, requires, services

blueprint = Blueprint("providers", __name__, url_prefix="/v1/providers", description="Who carries the mail.")


class CircuitOut(Schema):
    state = fields.String()
    until = fields.String(allow_none=True)
    good = fields.Integer()
    bad = fields.Integer()
    why = fields.String()


class ProviderFaultOut(Schema):
    why = fields.String()
    since = fields.AwareDateTime()


class ProviderOut(Schema):
    name = fields.String()
    enabled = fields.Boolean()
    circuit = fields.Nested(CircuitOut, allow_none=True)
    fault = fields.Nested(
        ProviderFaultOut,
        allow_none=True,
        metadata={"description": "Why it takes nothing from this account, if it does not."},
    )


class Providers(Schema):
    items = fields.List(fields.Nested(ProviderOut))


class ProviderEdit(Patch):
    enabled = fields.Boolean()


class Order(RequestBody):
    order = fields.List(fields.String(validate=validate.Length(max=50)), required=True)


@blueprint.get("")
@requires("read")
@blueprint.response(200, Providers)
def index() -> Any:
    """Providers in the order in force, with their circuits: `open` gets no new work, `half` a probe now and then."""
    return _listing()


@blueprint.put("")
@requires("admin")
@blueprint.arguments(Order)
@blueprint.response(200, Providers)
def reorder(body: dict[str, Any]) -> Any:
    """Set the order: the first that works gets new work. Senders follow within a second."""
    providers.reorder(services().db, _configured(), body["order"], by=principal().name)
    return _listing()


@blueprint.patch("/<name>")
@requires("admin")
@blueprint.arguments(ProviderEdit)
@blueprint.response(200, Providers)
def edit(body: dict[str, Any], name: str) -> Any:
    """Enable it, which closes its circuit too, or disable it: it gets no new work."""
    if "enabled" in body:
        providers.enable(services().db, services().circuits, _configured(), name, body["enabled"], by=principal().name)
    elif name not in _configured():
        raise ProviderNotFound(name)
    return _listing()


def _configured() -> tuple[str, ...]:
    return services().settings.sending.providers


def _listing() -> dict[str, Any]:
    found = providers.listing(services().db, services().circuits, _configured())
    return {"items": [_shown(one) for one in found]}


def _shown(one: ShownProvider) -> dict[str, Any]:
    circuit = one.circuit
    return {
        "name": one.name,
        "enabled": one.enabled,
        "fault": {"why": one.fault.why, "since": one.fault.since} if one.fault else None,
        "circuit": circuit
        and {
            "state": circuit.state,
            "until": circuit.until.isoformat() if circuit.until else None,
            "good": circuit.good,
            "bad": circuit.bad,
            "why": circuit.why,
        },
    }
