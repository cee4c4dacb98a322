"""The API as a Flask application."""

import json
import re
from typing import Any, Final

from flask import Flask, abort, request
from flask_smorest import Api

from mailroom.assembly import Front
from mailroom.domain.limits import MAX_BODY_BYTES
from scheduler_api import problems
from scheduler_api.routes import runs, schedules, service, suppressions, webhooks

_HALF_A_PAIR: Final = re.compile(rb"\\u[dD][89abABcdefCDEF]")


class _Api(Api):
    """flask-smorest's API, with our one shape for errors."""

    def handle_http_exception(self, error: Any) -> Any:
        return problems.from_http(error)


def create_app(front: Front) -> Flask:
    """The whole API over what `assembly` built."""
    app = Flask(__name__)
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        API_TITLE="Mailroom API",
        API_VERSION="v1",
        OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS={
            "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
            "security": [{"token": []}],
        },
    )
    app.extensions["front"] = front
    problems.install(app)
    app.before_request(_refuse_what_is_no_json)
    api = _Api(app)
    for blueprint in (schedules.blueprint, runs.blueprint, runs.dispatches, suppressions.blueprint):
        api.register_blueprint(blueprint)
    for plain in (webhooks.blueprint, service.blueprint):
        app.register_blueprint(plain)
    app.extensions["openapi"] = api.spec.to_dict
    return app


def _refuse_what_is_no_json() -> None:
    """NaN, and half of a surrogate pair, pass Python's JSON reader but are no JSON and cannot be stored."""
    if not request.path.startswith("/v1/") or not request.is_json:
        return
    raw = request.get_data()
    if b"NaN" not in raw and b"Infinity" not in raw and not _HALF_A_PAIR.search(raw):
        return
    try:
        json.dumps(json.loads(raw), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        abort(400, description="The body is not JSON: it holds NaN, Infinity, or half of a surrogate pair.")
