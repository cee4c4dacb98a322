"""How many bytes of a body the server may take. The server asks with the request's head, before it reads the body."""

from collections.abc import Callable
from typing import Any, Final

from flask import Flask, request

from mailroom.domain.errors import MailroomError
from mailroom.domain.limits import MAX_SMALL_BODY_BYTES, MAX_WEBHOOK_BYTES
from scheduler_api.auth import Asks, caller

_WEBHOOKS: Final = "webhooks"


def admission(app: Flask) -> Callable[[dict[str, Any]], int]:
    """Returns a function from a head's WSGI environ to a number of bytes. The number is 0 if the caller has no valid
    token, or one without the scope; the application refuses such a request later."""

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
