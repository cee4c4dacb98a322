"""The switch for all sending in JSON."""

from typing import Any

from marshmallow import Schema, fields

from mailroom.services.common.sending_switch import Switch
from scheduler_api.schemas.instants import iso
from scheduler_api.schemas.tolls import IS_SURE_DOC, CallOut, calls


class SendingOut(Schema):
    sending = fields.Boolean(metadata={"description": "false while all sending is stopped"})
    by = fields.String(allow_none=True, metadata={"description": "who stopped or started it last"})
    since = fields.String(allow_none=True)
    in_flight = fields.List(
        fields.Nested(CallOut),
        metadata={"description": "while it is stopped: calls that were begun before, and are not yet through"},
    )
    in_flight_is_sure = fields.Boolean(metadata={"description": IS_SURE_DOC})


def switch(now: Switch) -> dict[str, Any]:
    return {
        "sending": now.sending,
        "by": now.hold.by or None,
        "since": iso(now.hold.at),
        "in_flight": calls(now.in_flight),
        "in_flight_is_sure": now.sure,
    }
