"""`/v1/webhook-targets`: register our URL as the target of a provider's webhooks, and test it."""

import time
from typing import Any

from mailroom.assembly.providers import build_target
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.services.feedback import webhook_targets
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas import webhook_targets as schemas

blueprint = Blueprint(
    "webhook_targets", __name__, url_prefix="/v1/webhook-targets", description="Where providers send their webhooks."
)


@blueprint.get("")
@requires("read")
@blueprint.response(200, schemas.Targets)
def index() -> Any:
    """The targets that Mailroom has registered, and when webhooks came last."""
    found = webhook_targets.listing(services().db)
    return schemas.listing(found, services().settings.sending.providers)


@blueprint.post("")
@requires("admin")
@blueprint.arguments(schemas.TargetIn)
@blueprint.response(200, schemas.PushedOut)
def push(body: dict[str, Any]) -> Any:
    """Make `url`/webhooks/{provider} a target of its webhooks, and wait for a test event to arrive there, if the
    provider has one."""
    settings, name = services().settings, body["provider"]
    try:
        target = build_target(settings, name)
    except LookupError as error:
        raise InvalidInput(Fault("provider", str(error))) from None
    base = body.get("url") or settings.web.public_url
    pushed = webhook_targets.push(
        services().db, target, name, base, by=principal().name, wait_s=body["wait_s"], sleep=time.sleep
    )
    return schemas.pushed(pushed)
