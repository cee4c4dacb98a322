"""The API as a Flask application."""

from typing import Any

from flask import Flask, Response
from flask_smorest import Api

from mailroom.assembly import ApiServices
from mailroom.domain.limits import MAX_SMALL_BODY_BYTES
from scheduler_api import problems, recording
from scheduler_api.admission import admission
from scheduler_api.answers import Answers
from scheduler_api.routes import (
    audiences,
    dead_letters,
    dispatches,
    emails,
    providers,
    rate_limits,
    refusals,
    runs,
    schedules,
    sending,
    service,
    short,
    suppressions,
    templates,
    tokens,
    webhook_targets,
    webhooks,
)


class _Api(Api):
    """flask-smorest's API, with our one shape for errors."""

    ERROR_SCHEMA = problems.Problem

    _told = b""

    def _openapi_json(self) -> Any:
        """The document, written once: it needs no token, and writing it costs as much as many mails."""
        self._told = self._told or super()._openapi_json().get_data()
        return Response(self._told, mimetype="application/json")

    def handle_http_exception(self, error: Any) -> Any:
        return problems.from_http(error)


def create_app(services: ApiServices) -> Flask:
    """The whole API over what `assembly` built."""
    app = Flask(__name__)
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_SMALL_BODY_BYTES,
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
    app.extensions["services"] = services
    problems.install(app)
    recording.install(app)
    api = _Api(app, spec_kwargs={"extra_plugins": [Answers()]})
    for blueprint in (
        schedules.blueprint,
        audiences.blueprint,
        runs.blueprint,
        sending.blueprint,
        emails.blueprint,
        dispatches.blueprint,
        dead_letters.blueprint,
        providers.blueprint,
        rate_limits.blueprint,
        refusals.blueprint,
        suppressions.blueprint,
        templates.blueprint,
        tokens.blueprint,
        webhook_targets.blueprint,
    ):
        api.register_blueprint(blueprint)
    for plain in (webhooks.blueprint, service.blueprint, short.blueprint):
        app.register_blueprint(plain)
    app.extensions["admit"] = admission(app)
    app.extensions["openapi"] = api.spec.to_dict
    return app
