"""Signing in with a token. The cookie names a stored session; each request checks whether it is still valid."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Final, ParamSpec, TypeVar, cast

from flask import current_app, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from mailroom.assembly.api import ApiServices
from mailroom.domain.callers import client_address
from mailroom.domain.errors import AccessRefused
from mailroom.domain.ids import DispatchId
from mailroom.domain.principals import Principal, scope_of
from mailroom.services.operations import sessions, sign_in_links
from mailroom.services.operations.token_check import authenticate
from web.forms.sign_in import SignInForm

P = ParamSpec("P")
R = TypeVar("R")
_ID: Final = "session_id"
_MOST_KEPT: Final = 48 * 1024  # characters of a form: it travels through the page of signing in


def services() -> ApiServices:
    """What this application was built with."""
    built: ApiServices = current_app.extensions["services"]
    return built


def client() -> str:
    """The address of the visitor. X-Forwarded-For is believed only from a trusted proxy."""
    trusted = services().settings.limits.trusted_proxies
    return client_address(request.remote_addr or "", request.headers.getlist("X-Forwarded-For"), trusted)


def principal() -> Principal:
    """Who is signed in; known inside a page under `signed_in`."""
    who: Principal = g.principal
    return who


def may(*any_of: str) -> bool:
    """True if the signed-in token carries one of these scopes. Pages show only the buttons that it may press."""
    who: Principal | None = g.get("principal")
    return who is not None and any(who.may(scope) for scope in any_of)


def may_decide(dispatch: str) -> bool:
    """True if the signed-in token may decide about this dispatch."""
    return may(scope_of(DispatchId(dispatch)))


def caller() -> Principal:
    """Who is signed in, by the browser's cookie. Raises AccessRefused, Unavailable."""
    idle, now = services().settings.web.session_idle, datetime.now(UTC)
    return sessions.principal_of(services().db, session.get(_ID, ""), idle=idle, now=now)


def sign_in(token: str) -> Principal:
    """Raises AccessRefused, TooMany."""
    services().limits.check_sign_in(client())
    now = datetime.now(UTC)
    return _begin(authenticate(services().db, token.strip(), now=now), now)


def sign_in_by_link(secret: str) -> Principal:
    """Use a link of `mailroom up` up. Raises AccessRefused, TooMany."""
    services().limits.check_sign_in(client())
    now = datetime.now(UTC)
    return _begin(sign_in_links.redeem(services().db, secret, now=now), now)


def _begin(actor: Principal, now: datetime) -> Principal:
    """A new session in the place of this browser's old one."""
    sign_out()
    session.clear()
    session[_ID] = sessions.begin(services().db, actor, lifetime=services().settings.web.session_lifetime, now=now)
    session.permanent = True
    g.principal = actor
    return actor


def sign_out() -> None:
    """End the session, even for a kept copy of its cookie. The forms of open pages keep a valid CSRF token until the
    next sign-in, so that these pages can say that the session has expired."""
    if id_ := session.pop(_ID, ""):
        sessions.end(services().db, id_)


def has_session() -> bool:
    """True if the browser has signed in, as far as its cookie tells."""
    return _ID in session


def signed_in(*any_of: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A page for those who are signed in, with a token that carries one of these scopes (none named: `read`); others
    are sent to sign in."""

    def guard(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                g.principal = caller()
            except AccessRefused:
                return cast("R", _to_sign_in())  # Flask takes it in the place of any page
            g.principal.require(*(any_of or ("read",)))
            return view(*args, **kwargs)

        return guarded

    return guard


def _to_sign_in() -> ResponseReturnValue:
    """Send the visitor to sign in. The fields of a sent form go along, and are there again after signing in."""
    if session.pop(_ID, ""):
        flash("Your session has expired.", "problem")
    goes_to = request.full_path.rstrip("?")
    if request.method != "POST":
        return redirect(url_for("signing.show", next=goes_to))
    typed = json.dumps([pair for pair in request.form.items(multi=True) if pair[0] != "csrf_token"])
    if len(typed) > _MOST_KEPT:
        flash("What you typed is too long to be kept here: go back in your browser to find it.", "problem")
        typed, goes_to = "", "/"
    elif any(upload.filename for upload in request.files.values()):
        flash("The file that you chose is not kept: choose it again.", "problem")
    return render_template("sign_in.html", form=SignInForm(data={"next": goes_to, "typed_before": typed})), 401
