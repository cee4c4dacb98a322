"""The API's application, made once for each process of tests.

Making it takes 0.15 s of a processor's time, most of it for the OpenAPI document, which is the same for every test. All
that differs are the services, which a request finds in the application's extensions.
"""

from typing import Final

from flask import Flask

from mailroom.assembly.api import ApiServices
from scheduler_api.app import create_app

_MADE: Final[list[Flask]] = []


def api_app(services: ApiServices) -> Flask:
    """The application over these services, until it is asked for again."""
    if not _MADE:
        _MADE.append(create_app(services))
    (app,) = _MADE
    app.extensions["services"] = services
    return app
