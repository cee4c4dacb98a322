"""Health, readiness, metrics, and the documents."""

from datetime import datetime
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from mailroom.services.feedback import webhook_targets
from mailroom.services.operations import metrics as service_metrics
from mailroom.services.operations import undrained_lanes
from mailroom.services.operations.writability import MONGODB, why_nothing_is_sent
from scheduler_api.auth import services
from scheduler_api.problems import FROM_HTTP, STATUS, problem

blueprint = Blueprint("service", __name__)
_LANES_NAMED = 20


@blueprint.get("/health")
def health() -> Any:
    """This process is alive."""
    return jsonify(health="ok")


@blueprint.get("/ready")
def ready() -> Any:
    """200 while requests are taken in, which needs MongoDB to take writes; else 503. `sending` is false, with its
    reason, while nothing is sent all the same: Redis or etcd takes no writes, or it is stopped."""
    found = services().writability.look()
    if found[MONGODB]:
        return problem(503, "unavailable", found[MONGODB], (), **{"Retry-After": "5"})
    why = why_nothing_is_sent(found) or service_metrics.why_senders_hold(services().db)
    return jsonify(ready=True, sending=False, reason=why) if why else jsonify(ready=True, sending=True)


@blueprint.get("/metrics")
def metrics() -> Response:
    """For Prometheus: how many schedules and dispatches are in each state. `in_doubt` wants an alarm."""
    registry = CollectorRegistry()
    shapes = {"schedules": "Schedules by state", "dispatches": "Dispatches that are not through, or failed, by state"}
    for noun, counts in service_metrics.counts(services().db).items():
        gauge = Gauge(f"mailroom_{noun}", shapes[noun], ["state"], registry=registry)
        for state, count in counts.items():
            gauge.labels(state).set(count)
    words = "Signed events that could not be read, kept raw"
    unread = Gauge("mailroom_webhook_events_unread", words, ["provider"], registry=registry)
    for provider, target in webhook_targets.listing(services().db).items():
        unread.labels(provider).set(target.get("unread", 0))
    standing = service_metrics.standing(services().db)
    for name, words, value in (
        ("held", "1 while senders hold because MongoDB is an older copy", float(standing.held)),
        ("sending_stopped", "1 while all sending is stopped by a person", float(standing.stopped)),
        ("runs_paused", "Runs that are paused", float(standing.paused)),
        ("ledger_imbalances", "Things that did not balance in the newest ledger", float(standing.ledger_wrong)),
        ("ledger_time_seconds", "When the newest ledger was made", _epoch(standing.ledger_at)),
    ):
        Gauge(f"mailroom_{name}", words, registry=registry).set(value)
    _show_undrained(registry)
    _show_writable(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _show_writable(registry: CollectorRegistry) -> None:
    words = "1 while a store takes a write, tried every few seconds"
    writable = Gauge("mailroom_store_writable", words, ["store"], registry=registry)
    for store, why in services().writability.look().items():
        writable.labels(store.lower()).set(not why)


def _show_undrained(registry: CollectorRegistry) -> None:
    found = undrained_lanes.undrained(services().db)
    words = "Lanes with work older than a minute that no sender drains; wants an alarm"
    Gauge("mailroom_undrained_lanes", words, registry=registry).set(len(found))
    oldest = Gauge(
        "mailroom_undrained_seconds",
        "For how long work waits in such a lane, of the oldest",
        ["lane"],
        registry=registry,
    )
    for one in found[:_LANES_NAMED]:
        oldest.labels(one.lane).set(one.age.total_seconds())


def _epoch(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


@blueprint.get("/docs")
def docs() -> str:
    """The API's reference, made from its OpenAPI document, once; nothing is loaded from outside."""
    page: str = current_app.extensions.get("docs_page") or _docs()
    current_app.extensions["docs_page"] = page
    return page


def _docs() -> str:
    spec = current_app.extensions["openapi"]()
    codes = [(code, status, title) for _, status, code, title in STATUS] + list(FROM_HTTP)
    return render_template("docs.html", spec=spec, problems=codes, named=lambda schema: _named(spec, schema))


def _named(spec: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any] | None:
    """The component that a schema refers to; None for a plain one."""
    reference = schema.get("$ref") or next((part.get("$ref") for part in schema.get("allOf", ())), None)
    return spec["components"]["schemas"][reference.rpartition("/")[2]] if reference else None


@blueprint.route("/<any(schedules, emails, tokens):noun>", methods=["GET", "POST", "PATCH", "DELETE"])
@blueprint.route("/<any(schedules, emails, tokens):noun>/<path:rest>", methods=["GET", "POST", "PATCH", "DELETE"])
def to_v1(noun: str, rest: str = "") -> Any:
    """The short paths lead to their /v1 twins, method and body kept."""
    query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
    return redirect(f"/v1/{noun}{'/' + quote(rest) if rest else ''}{query}", 308)
