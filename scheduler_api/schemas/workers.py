"""The processes that work here, in JSON: what the API and `mailroom workers --json` show."""

from typing import Any

from marshmallow import Schema, fields

from mailroom.domain.workers import CHECK_IN_S, MOST_LANES_SHOWN, SILENT_AFTER, WorkerKind
from mailroom.services.operations.workers import WorkerView
from scheduler_api.paging import PageOut
from scheduler_api.schemas.instants import iso


class WorkerOut(Schema):
    id = fields.String(metadata={"description": "of a sender: the `worker` of its mails, the `sender` of its calls"})
    kind = fields.String(metadata={"description": ", ".join(WorkerKind)})
    host = fields.String(allow_none=True)
    address = fields.String(
        allow_none=True, metadata={"description": "the IP address by which the host reaches MongoDB"}
    )
    pid = fields.Integer(allow_none=True)
    version = fields.String(allow_none=True)
    protocol = fields.Integer(
        allow_none=True, metadata={"description": "the rules that a sender knows; no number counts as 0"}
    )
    since = fields.String(allow_none=True, metadata={"description": "when the process began"})
    last_check_in = fields.String(metadata={"description": f"at least every {CHECK_IN_S:.0f} seconds"})
    check_ins = fields.Integer(allow_none=True)
    silent = fields.Boolean(
        metadata={"description": f"true after {SILENT_AFTER.total_seconds():.0f} seconds without a check-in"}
    )
    lanes = fields.List(
        fields.String(), metadata={"description": f"the lanes that a sender holds, the first {MOST_LANES_SHOWN}"}
    )
    lanes_count = fields.Integer()
    in_flight = fields.Integer(
        allow_none=True,
        metadata={
            "description": "dispatches that a sender has claimed and not yet recorded; of the others the requests "
            "that are being answered"
        },
    )


class WorkerPage(PageOut):
    items = fields.List(fields.Nested(WorkerOut))


def worker(view: WorkerView) -> dict[str, Any]:
    shown = view.worker
    return {
        "id": shown.id,
        "kind": shown.kind,
        "host": shown.host,
        "address": shown.address,
        "pid": shown.pid,
        "version": shown.version,
        "protocol": shown.protocol,
        "since": iso(shown.since),
        "last_check_in": iso(shown.last_check_in),
        "check_ins": shown.check_ins,
        "silent": view.silent,
        "lanes": list(shown.lanes),
        "lanes_count": shown.lanes_count,
        "in_flight": shown.in_flight,
    }
