"""Signing in with a token. The session remembers which token it was; each request asks whether it still holds."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import current_app, g, redirect, request, session, url_for

from mailroom.assembly import Front
from mailroom.domain.callers import client_address
from mailroom.domain.errors import AccessRefused
from mailroom.services import access
from mailroom.services.access import Principal

P = ParamSpec("P")
R = TypeVar("R")
_TOKEN = "token_id"  # noqa: S105 - the name of a field


def front() -> Front:
    """What this application was built with."""
    found: Front = current_app.extensions["front"]
    return found


def client() -> str:
    """The address of whoever asks: a header is believed only of a trusted proxy."""
    trusted = front().settings.limits.trusted_proxies
    return client_address(request.remote_addr or "", request.headers.getlist("X-Forwarded-For"), trusted)


def principal() -> Principal:
    """Who is signed in; known inside a page under `signed_in`."""
    found: Principal = g.principal
    return found


def sign_in(token: str) -> Principal:
    """Raises AccessRefused, TooMany."""
    front().limits.check_sign_in(client())
    who = access.authenticate(front().db, token.strip(), now=datetime.now(UTC))
    session.clear()
    session[_TOKEN] = who.id
    session.permanent = True
    return who


def sign_out() -> None:
    session.clear()


def signed_in(*any_of: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A page for those who are signed in, with a token that carries one of these scopes (none named: `read`); others
    are sent to sign in."""

    def guard(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                g.principal = access.still_valid(front().db, session.get(_TOKEN, ""), now=datetime.now(UTC))
            except AccessRefused:
                session.clear()
                goes_to = request.full_path.rstrip("?") if request.method == "GET" else "/"
                return redirect(url_for("signing.show", next=goes_to))  # type: ignore[return-value]
            g.principal.require(*(any_of or ("read",)))
            return view(*args, **kwargs)

        return guarded

    return guard
