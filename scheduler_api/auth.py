"""Bearer tokens: `Authorization: Bearer mr_...`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import current_app, g, request

from mailroom.assembly import ApiServices
from mailroom.domain.callers import client_address
from mailroom.domain.limits import MAX_SMALL_BODY_BYTES, MAX_VALUES
from mailroom.domain.principals import Principal
from scheduler_api.arguments import check_around
from scheduler_api.bodies import Reader, take_body
from scheduler_api.reading import read

P = ParamSpec("P")
R = TypeVar("R")


def services() -> ApiServices:
    """What this application was built with."""
    found: ApiServices = current_app.extensions["services"]
    return found


def client() -> str:
    """The address of the caller. X-Forwarded-For is believed only from a trusted proxy."""
    trusted = services().settings.limits.trusted_proxies
    return client_address(request.remote_addr or "", request.headers.getlist("X-Forwarded-For"), trusted)


def principal() -> Principal:
    """Who is calling; known inside a view under `requires`."""
    found: Principal = g.principal
    return found


@dataclass(frozen=True, slots=True)
class Asks:
    """The scopes that a guarded view asks for (one of them is enough), and the most bytes of a body that it takes."""

    scopes: tuple[str, ...]
    most: int


def requires(
    *any_of: str, most: int = MAX_SMALL_BODY_BYTES, values: int = MAX_VALUES, reader: Reader = read
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view be called only with a token that carries one of these scopes; then read the body, of at most `most`
    bytes and `values` values. Raises AccessRefused, ScopeMissing, TooMany."""

    def guard(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            g.principal = caller()
            services().limits.check_request(g.principal)
            g.principal.require(*any_of)
            take_body(most, values=values, reader=reader)
            check_around(view)
            return view(*args, **kwargs)

        guarded.asks = Asks(any_of, most)  # type: ignore[attr-defined]
        return guarded

    return guard


def caller() -> Principal:
    """The caller whose token the request carries. Raises AccessRefused, Unavailable."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    presented = token.strip() if kind.lower() == "bearer" else ""
    return services().doorkeeper.authenticate(presented, now=datetime.now(UTC))
