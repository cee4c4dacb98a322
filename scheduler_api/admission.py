"""How much of a large body may come. The server asks once it has a request's head, before it takes the body."""

from collections.abc import Callable
from typing import Any, Final

from flask import Flask, request

from mailroom.domain.errors import MailroomError
from mailroom.domain.limits import MAX_SMALL_BODY_BYTES, MAX_WEBHOOK_BYTES
from scheduler_api.auth import Asks, caller

_WEBHOOKS: Final = "webhooks"


def admission(app: Flask) -> Callable[[dict[str, Any]], int]:
    """A function from the environ of a head to a number of bytes; 0 for a caller without a valid token or without the
    scope. The application itself refuses such a request later."""

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
