"""The simulator's own routes: its knobs and faults, and the record that tests count in."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, jsonify, request

from simulator.api import world
from simulator.behaviour import Fault
from simulator.inbox import filled, filled_headers

control = Blueprint("control", __name__, url_prefix="/simulator")


@control.get("/health")
def health() -> Any:
    return jsonify(health="ok")


@control.route("/behaviour", methods=["GET", "PUT"])
def behaviour() -> Any:
    """GET shows the knobs, PUT turns those that are named."""
    knobs = world().behaviour.knobs
    if request.method == "PUT":
        try:
            knobs = world().behaviour.turn(request.get_json())
        except (ValueError, AttributeError, TypeError) as error:
            return jsonify(message=str(error)), 400
        world().set_idle_limit(knobs.idle_limit_s)
    return jsonify(asdict(knobs))


@control.route("/faults", methods=["GET", "POST", "DELETE"])
def faults() -> Any:
    """POST `{"fault": "500_after", "times": 3}` (0: until cleared), DELETE clears."""
    if request.method == "POST":
        body = request.get_json()
        if not isinstance(body, dict) or body.get("fault") not in [*Fault]:
            return jsonify(message=f"'fault' is one of {', '.join(Fault)}"), 400
        try:
            world().behaviour.add_fault(Fault(body["fault"]), body.get("times", 1))
        except ValueError as error:
            return jsonify(message=str(error)), 400
    if request.method == "DELETE":
        world().behaviour.clear_faults()
    return jsonify(faults=[{"fault": fault, "times": times} for fault, times in world().behaviour.faults()])


def _after() -> int:
    return min(max(request.args.get("after", 0, type=int), 0), 2**62)


@control.get("/record/calls")
def calls() -> Any:
    """Every accepted call after `after` (its number), a thousand at a time: what it said, and to how many."""
    rows = world().store.rows(
        "SELECT id, message_id, accepted_at, recipients, sender, subject, text, html, headers, variables, tags, shown,"
        " files FROM calls"
        " WHERE id > ? AND test_mode = 0 ORDER BY id LIMIT 1000",
        (_after(),),
    )
    return jsonify(items=[dict(row) for row in rows])


@control.get("/record/mails")
def mails() -> Any:
    """Every copy that went out after `after` (its number)."""
    rows = world().store.rows(
        "SELECT id, call_id, recipient, subject, user_variables, accepted_at FROM mails"
        " WHERE id > ? AND test = 0 ORDER BY id LIMIT 20000",
        (_after(),),
    )
    return jsonify(items=[dict(row) for row in rows])


@control.get("/record/copies")
def copies() -> Any:
    """Every copy that went out after `after` (its number), a thousand at a time, as its recipient reads it: subject,
    text, HTML and headers, with everything filled in."""
    rows = world().store.rows(
        "SELECT m.*, c.text, c.html, c.headers FROM mails m JOIN calls c ON c.id = m.call_id"
        " WHERE m.id > ? AND m.test = 0 ORDER BY m.id LIMIT 1000",
        (_after(),),
    )
    return jsonify(items=[_as_read(row) for row in rows])


def _as_read(row: Any) -> dict[str, Any]:
    bodies = {name: filled(row, row[name]) for name in ("text", "html")}
    whole = {name: row[name] for name in ("id", "call_id", "recipient", "subject")}
    return {**whole, **bodies, "headers": filled_headers(row)}


@control.get("/record/summary")
def summary() -> Any:
    """How many calls and copies there are, how many webhooks still wait, and how many calls were received, refused ones
    included, since the start."""
    return jsonify({**world().store.counts(), "received": world().behaviour.received})
