"""Providers in JSON."""

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.services.operations.providers import ShownProvider
from scheduler_api.arguments import Patch, RequestBody


class CircuitOut(Schema):
    state = fields.String()
    until = fields.String(allow_none=True)
    good = fields.Integer()
    bad = fields.Integer()
    why = fields.String()


class ProviderFaultOut(Schema):
    why = fields.String()
    since = fields.AwareDateTime()
    slow = fields.Boolean(metadata={"description": "It takes mail, but others get it, because they are quicker."})


class ProviderOut(Schema):
    name = fields.String()
    enabled = fields.Boolean()
    circuit = fields.Nested(CircuitOut, allow_none=True)
    fault = fields.Nested(
        ProviderFaultOut,
        allow_none=True,
        metadata={"description": "Why it takes nothing from this account, if it does not."},
    )
    share = fields.Integer(
        allow_none=True,
        metadata={"description": "Its weight beside the others; null: it gets what the others do not take."},
    )
    shares_by_domain = fields.Dict(
        fields.String(), fields.Integer(), metadata={"description": "Its weight for mail to these domains only."}
    )


class Providers(Schema):
    items = fields.List(fields.Nested(ProviderOut))


class ProviderEdit(Patch):
    enabled = fields.Boolean()


class Order(RequestBody):
    order = fields.List(fields.String(validate=validate.Length(max=50)), required=True)


def provider(one: ShownProvider) -> dict[str, Any]:
    circuit = one.circuit
    return {
        "name": one.name,
        "enabled": one.enabled,
        "fault": {"why": one.fault.why, "since": one.fault.since, "slow": one.fault.slow} if one.fault else None,
        "share": one.share,
        "shares_by_domain": dict(one.shares_by_domain),
        "circuit": circuit
        and {
            "state": circuit.state,
            "until": circuit.until.isoformat() if circuit.until else None,
            "good": circuit.good,
            "bad": circuit.bad,
            "why": circuit.why,
        },
    }


def listing(found: Sequence[ShownProvider]) -> dict[str, Any]:
    return {"items": [provider(one) for one in found]}
