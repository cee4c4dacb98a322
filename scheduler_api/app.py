"""The API as a Flask application."""

from collections.abc import Sequence
from typing import Any

from flask import Flask, Response
from flask_smorest import Api

from mailroom.assembly.api import ApiServices
from mailroom.watching.exposition import API
from scheduler_api import problems
from scheduler_api.answers import Answers
from scheduler_api.every_app import equip
from scheduler_api.routes import (
    audience_contacts,
    audiences,
    confirm,
    contacts,
    dead_letters,
    dispatches,
    emails,
    mail,
    messages,
    providers,
    rate_limits,
    refusals,
    rendering,
    requests,
    runs,
    schedules,
    segments,
    sending,
    service,
    subscribe,
    suppressions,
    templates,
    tokens,
    topics,
    unsubscribe,
    webhook_targets,
    webhooks,
    workers,
)
from scheduler_api.short_paths import AppWithTwins


class _Api(Api):
    """flask-smorest's API with problem details as the only error body."""

    ERROR_SCHEMA = problems.Problem

    _told = b""

    def _openapi_json(self) -> Any:
        """Written once: anybody may ask for the document, and writing it costs as much as many mails."""
        self._told = self._told or super()._openapi_json().get_data()
        return Response(self._told, mimetype="application/json")

    def handle_http_exception(self, error: Any) -> Any:
        return problems.from_http(error)


def create_app(services: ApiServices, *, beside: Sequence[str] = ()) -> Flask:
    """The whole API over what `assembly` built. `beside`: the other parts in this process, whose metrics it shows."""
    app = AppWithTwins(__name__)
    equip(app, services, parts=(API, *beside))
    app.config.update(
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
    api = _Api(app, spec_kwargs={"extra_plugins": [Answers()]})
    for blueprint in (
        schedules.blueprint,
        rendering.blueprint,
        audiences.blueprint,
        audience_contacts.blueprint,
        segments.blueprint,
        runs.blueprint,
        sending.blueprint,
        emails.blueprint,
        dispatches.blueprint,
        dead_letters.blueprint,
        messages.blueprint,
        providers.blueprint,
        rate_limits.blueprint,
        refusals.blueprint,
        requests.blueprint,
        suppressions.blueprint,
        templates.blueprint,
        tokens.blueprint,
        topics.blueprint,
        contacts.blueprint,
        webhook_targets.blueprint,
        workers.blueprint,
    ):
        api.register_blueprint(blueprint)
    for plain in (webhooks, unsubscribe, subscribe, confirm, service, mail):
        app.register_blueprint(plain.blueprint)
    app.register_blueprint(service.reference)
    app.extensions["openapi"] = api.spec.to_dict
    return app
