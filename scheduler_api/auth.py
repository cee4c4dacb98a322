"""Bearer tokens: `Authorization: Bearer mr_...`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from flask import current_app, g, request

from mailroom.assembly.api import ApiServices
from mailroom.domain.callers import client_address
from mailroom.domain.limits import MAX_SMALL_BODY_BYTES, MAX_VALUES
from mailroom.domain.principals import Principal
from scheduler_api.arguments import check_around
from scheduler_api.bodies import Reader, take_body
from scheduler_api.reading import read

P = ParamSpec("P")
R = TypeVar("R")


def services() -> ApiServices:
    """The services that this application was built with."""
    return cast(ApiServices, current_app.extensions["services"])


def client() -> str:
    """The address of the caller. X-Forwarded-For is believed only from a trusted proxy."""
    trusted = services().settings.limits.trusted_proxies
    return client_address(request.remote_addr or "", request.headers.getlist("X-Forwarded-For"), trusted)


def principal() -> Principal:
    """The caller. Only for views under `requires`."""
    return cast(Principal, g.principal)


@dataclass(frozen=True, slots=True)
class Asks:
    """The scopes of which a guarded view needs one, and the largest body in bytes that it takes."""

    scopes: tuple[str, ...]
    most: int


def requires(
    *any_of: str, most: int = MAX_SMALL_BODY_BYTES, values: int = MAX_VALUES, reader: Reader = read
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Guard a view: the caller's token must carry one of these scopes. The body is read only after that check, and may
    have at most `most` bytes and `values` values. Raises AccessRefused, ScopeMissing, TooMany."""

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
    """The caller, by the token of the request. Raises AccessRefused, Unavailable."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    presented = token.strip() if kind.lower() == "bearer" else ""
    return services().doorkeeper.authenticate(presented, now=datetime.now(UTC))
