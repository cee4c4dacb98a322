"""What a pause, a resumption, a cancellation or archiving costs, in JSON: how the mails stand."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from marshmallow import Schema, fields

from mailroom.services.schedules.pause import InHand, Toll
from scheduler_api.schemas.runs import RunOut

IS_SURE_DOC: Final = (
    "false while Redis does not answer, or just after it failed over: some of these calls may not be made"
)


class CallOut(Schema):
    dispatch_id = fields.String()
    mails = fields.Integer()


class TollOut(Schema):
    """How the mails stand, where something was paused, resumed, cancelled or archived."""

    runs = fields.List(fields.String(), metadata={"description": "the runs that these numbers are of"})
    sent = fields.Integer(metadata={"description": "mails that a provider has taken"})
    held = fields.Integer(metadata={"description": "mails that wait; of a paused run none of them goes"})
    cancelled = fields.Integer(metadata={"description": "mails that do not go any more"})
    in_doubt = fields.Integer(metadata={"description": "mails of which it is, or stays, unknown whether they went out"})
    all_counted = fields.Boolean(
        metadata={
            "description": "false while a run to segments or several audiences is being planned: mails that are not "
            "planned yet are in no number here"
        }
    )
    mails_in_flight = fields.Integer()
    in_flight = fields.List(
        fields.Nested(CallOut),
        metadata={"description": "the calls that were under way at this moment: these go all the same, no others do"},
    )
    in_flight_is_sure = fields.Boolean(metadata={"description": IS_SURE_DOC})


class PausedRunOut(RunOut):
    mails = fields.Nested(TollOut)


def with_toll(shown: Mapping[str, Any], counted: Toll) -> dict[str, Any]:
    """The thing that was paused, resumed, cancelled or archived, with the counts of its mails."""
    return {**shown, "mails": toll(counted)}


def toll(counted: Toll) -> dict[str, Any]:
    return {
        "runs": list(counted.runs),
        "sent": counted.sent,
        "held": counted.held,
        "cancelled": counted.cancelled,
        "in_doubt": counted.in_doubt,
        "all_counted": counted.whole,
        "mails_in_flight": counted.mails_in_flight,
        "in_flight": calls(counted.in_flight),
        "in_flight_is_sure": counted.sure,
    }


def calls(in_flight: Sequence[InHand]) -> list[dict[str, Any]]:
    return [{"dispatch_id": call.id, "mails": call.messages} for call in in_flight]
