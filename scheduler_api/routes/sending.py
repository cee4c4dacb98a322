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
    """Whether anything is sent; who stopped it and when; and which calls are still under way."""
    return schemas.switch(sending_switch.switch(services().db, services().brakes.mirror, services().brakes.fences))


@blueprint.post("/stop")
@requires("admin")
@blueprint.response(200, schemas.SendingOut)
def stop() -> Any:
    """Send nothing any more, of campaigns and single mails, until `start`. Calls that were begun are finished, and are
    named; mails are still taken in, and wait. Stopping again changes nothing."""
    brakes = services().brakes
    return schemas.switch(sending_switch.stop(services().db, brakes.mirror, brakes.fences, by=principal().name))


@blueprint.post("/start")
@requires("admin")
@blueprint.response(200, schemas.SendingOut)
def start() -> Any:
    """Send again: what waits goes, and due instants that were missed are decided by each schedule's misfire rule."""
    brakes = services().brakes
    return schemas.switch(sending_switch.start(services().db, brakes.mirror, brakes.fences, by=principal().name))
