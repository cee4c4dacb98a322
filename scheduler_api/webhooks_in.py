"""The webhooks' intake as a Flask application of its own, so that a flood of events does not slow the API down. The
links in mails lead here too: they work while the API is away."""

from flask import Flask

from mailroom.assembly import ApiServices
from mailroom.watching.exposition import WEBHOOKS
from scheduler_api.every_app import equip
from scheduler_api.routes import service, unsubscribe, webhooks


def create_app(services: ApiServices) -> Flask:
    """Webhooks and the page behind unsubscribe links, as the API takes them in too; health, readiness and metrics;
    nothing else."""
    app = Flask(__name__)
    equip(app, services, parts=(WEBHOOKS,))
    for plain in (webhooks.blueprint, unsubscribe.blueprint, service.blueprint):
        app.register_blueprint(plain)
    return app
