"""How much of a large body may come: the server asks when it has a request's head, before it takes the body."""

from collections.abc import Callable
from typing import Any, Final

from flask import Flask, request

from mailroom.domain.errors import MailroomError
from mailroom.domain.limits import MAX_SMALL_BODY_BYTES, MAX_WEBHOOK_BYTES
from scheduler_api.auth import Asks, caller

_WEBHOOKS: Final = "webhooks"


def admission(app: Flask) -> Callable[[dict[str, Any]], int]:
    """From the environ of a head to a number of bytes: 0 for a caller that is not known or lacks the scope. What the
    application then refuses, it refuses by itself."""

    def admit(environ: dict[str, Any]) -> int:
        with app.request_context(environ):
            if request.blueprint == _WEBHOOKS:
                return MAX_WEBHOOK_BYTES
            asks: Asks | None = getattr(app.view_functions.get(request.endpoint or ""), "asks", None)
            if asks is None or asks.most <= MAX_SMALL_BODY_BYTES:
                return MAX_SMALL_BODY_BYTES
            try:
                caller().require(*asks.scopes)
            except MailroomError:
                return 0
            return asks.most

    return admit
