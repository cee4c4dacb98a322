"""Health, readiness, metrics, and the documents."""

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, render_template, request

from mailroom.services.operations import metrics as service_metrics
from mailroom.services.operations.writability import MONGODB, why_nothing_is_sent
from mailroom.watching import exposition, system
from scheduler_api.auth import services
from scheduler_api.media_types import prefers
from scheduler_api.problems import FROM_HTTP, STATUS, problem

blueprint = Blueprint("service", __name__)
reference = Blueprint("reference", __name__)


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
    """For Prometheus: what this process counts, and the figures of the whole system; see docs/watching.md. A caller
    that prefers JSON gets only the answer that metrics are there."""
    if prefers(request.headers.get("Accept", ""), "application/json", to="text/plain"):
        response = jsonify(metrics="ok")
    else:
        response = Response(_figures(), content_type=exposition.CONTENT_TYPE)
    response.vary.add("Accept")
    return response


def _figures() -> bytes:
    own = exposition.exposed(*current_app.extensions["parts"])
    if exposition.API not in current_app.extensions["parts"]:
        return own
    stores = services().writability.look()
    writable: system.Values = {(store.lower(),): float(not why) for store, why in stores.items()}
    figures = {**services().figures.look(), "mailroom_store_writable": writable}
    return own + system.exposed(figures)


@reference.get("/docs")
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
