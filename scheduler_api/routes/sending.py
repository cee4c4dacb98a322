"""`/v1/sending`: the one switch that stops all sending."""

from typing import Any

from marshmallow import Schema, fields

from mailroom.services.common import sending_switch
from mailroom.services.common.sending_switch import Switch
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas.runs import CallOut, calls, iso

blueprint = Blueprint("sending", __name__, url_prefix="/v1/sending", description="The one switch for all sending.")


class SendingOut(Schema):
    sending = fields.Boolean(metadata={"description": "false while all sending is stopped"})
    by = fields.String(allow_none=True, metadata={"description": "who stopped or started it last"})
    since = fields.String(allow_none=True)
    in_flight = fields.List(
        fields.Nested(CallOut),
        metadata={"description": "while it is stopped: calls that were begun before, and are not yet through"},
    )
    in_flight_is_sure = fields.Boolean(
        metadata={"description": "false while Redis does not answer: some of these calls may not be made"}
    )


@blueprint.get("")
@requires("read")
@blueprint.response(200, SendingOut)
def show() -> Any:
    """Whether anything is sent; who stopped it and when; and which calls are still under way."""
    return _shown(sending_switch.switch(services().db, services().brakes.mirror, services().brakes.fences))


@blueprint.post("/stop")
@requires("admin")
@blueprint.response(200, SendingOut)
def stop() -> Any:
    """Send nothing any more, of campaigns and single mails, until `start`. Calls that were begun are finished, and are
    named; mails are still taken in, and wait. Stopping again changes nothing."""
    brakes = services().brakes
    return _shown(sending_switch.stop(services().db, brakes.mirror, brakes.fences, by=principal().name))


@blueprint.post("/start")
@requires("admin")
@blueprint.response(200, SendingOut)
def start() -> Any:
    """Send again: what waits goes, and due instants that were missed are decided by each schedule's misfire rule."""
    brakes = services().brakes
    return _shown(sending_switch.start(services().db, brakes.mirror, brakes.fences, by=principal().name))


def _shown(now: Switch) -> dict[str, Any]:
    return {
        "sending": now.sending,
        "by": now.hold.by or None,
        "since": iso(now.hold.at),
        "in_flight": calls(now.in_flight),
        "in_flight_is_sure": now.sure,
    }
