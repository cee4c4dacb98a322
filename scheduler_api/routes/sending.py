"""`/v1/sending`: the one switch that stops all sending."""

from typing import Any

from mailroom.services.common import sending_switch
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas import sending as schemas

blueprint = Blueprint("sending", __name__, url_prefix="/v1/sending", description="The one switch for all sending.")


@blueprint.get("")
@requires("read")
@blueprint.response(200, schemas.SendingOut)
def show() -> Any:
    """The switch: whether mail is sent; who stopped sending, and when; and the calls still under way."""
    return schemas.switch(sending_switch.switch(services().db, services().brakes.mirror, services().brakes.fences))


@blueprint.post("/stop")
@requires("admin")
@blueprint.response(200, schemas.SendingOut)
def stop() -> Any:
    """Stop all sending, of campaigns and single mails, until `start`. Calls that have begun are finished, and the
    answer names them; mails are still taken in, and wait. Stopping again changes nothing."""
    brakes = services().brakes
    return schemas.switch(sending_switch.stop(services().db, brakes.mirror, brakes.fences, by=principal().name))


@blueprint.post("/start")
@requires("admin")
@blueprint.response(200, schemas.SendingOut)
def start() -> Any:
    """Start sending again: waiting mails go, and each schedule's misfire rule decides about missed instants."""
    brakes = services().brakes
    return schemas.switch(sending_switch.start(services().db, brakes.mirror, brakes.fences, by=principal().name))
