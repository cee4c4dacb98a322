"""Bearer tokens: `Authorization: Bearer mr_...`."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import current_app, g, request

from mailroom.assembly import Front
from mailroom.domain.callers import client_address
from mailroom.services.access import Principal
from scheduler_api.bodies import check_body

P = ParamSpec("P")
R = TypeVar("R")


def front() -> Front:
    """What this application was built with."""
    found: Front = current_app.extensions["front"]
    return found


def client() -> str:
    """The address of the caller: a header is believed only of a trusted proxy."""
    trusted = front().settings.limits.trusted_proxies
    return client_address(request.remote_addr or "", request.headers.getlist("X-Forwarded-For"), trusted)


def principal() -> Principal:
    """Who is calling; known inside a view under `requires`."""
    found: Principal = g.principal
    return found


def requires(*any_of: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view be called only with a token that carries one of these scopes. Raises AccessRefused, ScopeMissing."""

    def guard(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            kind, _, token = request.headers.get("Authorization", "").partition(" ")
            presented = token.strip() if kind.lower() == "bearer" else ""
            g.principal = front().doorkeeper.authenticate(presented, now=datetime.now(UTC))
            front().limits.check_request(g.principal)
            g.principal.require(*any_of)
            check_body()
            return view(*args, **kwargs)

        return guarded

    return guard
