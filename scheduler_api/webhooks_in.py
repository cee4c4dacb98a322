"""The webhooks' intake as a Flask application of its own, so that a flood of events does not slow the API down. The
links in mails lead here too, and forms to subscribe: they work while the API is away."""

from flask import Flask

from mailroom.assembly.api import ApiServices
from mailroom.watching.exposition import WEBHOOKS
from scheduler_api.every_app import equip
from scheduler_api.routes import confirm, service, subscribe, unsubscribe, webhooks


def create_app(services: ApiServices) -> Flask:
    """Webhooks, the pages behind links in mails, and what forms to subscribe post, as the API takes them in too;
    health, readiness and metrics; nothing else."""
    app = Flask(__name__)
    equip(app, services, parts=(WEBHOOKS,))
    for plain in (webhooks, unsubscribe, subscribe, confirm, service):
        app.register_blueprint(plain.blueprint)
    return app
