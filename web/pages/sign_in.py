"""Signing in and out."""

import json
import re

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException

from mailroom.domain.errors import AccessRefused, TooMany
from web import session
from web.forms.sign_in import SignInForm

blueprint = Blueprint("signing", __name__)


@blueprint.get("/sign-in")
def show() -> str:
    return _page(SignInForm(data={"next": request.args.get("next", "/")}))


@blueprint.post("/sign-in")
def enter() -> ResponseReturnValue:
    """Go on to the page that was asked for; to the form that was sent after its session had ended, as it was typed."""
    form = SignInForm(request.form)
    try:
        session.sign_in(form.token.data)
    except AccessRefused:
        form.complain("token", "This token is not known here, or it is expired or revoked.")
        return _page(form), 401
    except TooMany as error:
        return _too_many(form, error)
    goes_to = form.next.data
    # Only our own pages: `//elsewhere`, `/\elsewhere` and `/<tab>/elsewhere` lead off the site.
    safe = re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", goes_to) is not None
    pairs = _pairs(form.typed_before.data)
    if safe and pairs is not None:
        return _restored(goes_to, pairs)
    return redirect(goes_to if safe else url_for("schedules.index"))


@blueprint.get("/sign-in/link")
def by_link() -> ResponseReturnValue:
    """Sign in by a link that works once. Its secret is in the query, because paths may be logged. Only a person's visit
    uses it up: no HEAD, and no page that a browser fetches ahead."""
    if request.method == "HEAD" or "prefetch" in request.headers.get("Sec-Purpose", ""):
        return "", 503
    form = SignInForm(data={"next": "/"})
    try:
        session.sign_in_by_link(request.args.get("secret", ""))
    except AccessRefused:
        form.complain("token", "This link was used before, or is more than 10 minutes old. Sign in with a token.")
        return _page(form), 401
    except TooMany as error:
        return _too_many(form, error)
    return redirect(url_for("schedules.index"), 303)


@blueprint.post("/sign-out")
def leave() -> ResponseReturnValue:
    session.sign_out()
    return redirect(url_for("signing.show"))


def _restored(goes_to: str, pairs: list[tuple[str, str]]) -> ResponseReturnValue:
    """The form with what was typed. A request of a page without such a form is shown, to be sent or discarded."""
    try:
        address = current_app.create_url_adapter(request)
        endpoint, args = address.match(goes_to.partition("?")[0], method="POST") if address else ("", {})
    except HTTPException:
        endpoint, args = "", {}
    restore = current_app.extensions["restored"].get(endpoint)
    if restore is None:
        return render_template("go_on.html", goes_to=goes_to, pairs=pairs)
    flash("You are signed in again. Your form was not sent yet: what you typed is still here.")
    form: ResponseReturnValue = restore(MultiDict(pairs), **args)
    return form


def _too_many(form: SignInForm, error: TooMany) -> ResponseReturnValue:
    form.complain("token", f"Too many tries from your address. Try again in {error.retry_after_s} seconds.")
    return _page(form), 429, {"Retry-After": str(error.retry_after_s)}


def _page(form: SignInForm) -> str:
    return render_template("sign_in.html", form=form)


def _pairs(typed: str) -> list[tuple[str, str]] | None:
    """The fields of a form that was sent after its session had ended; None without such a form."""
    try:
        read = json.loads(typed) if typed else None
        return None if read is None else [(str(name), str(value)) for name, value in read]
    except (ValueError, TypeError, RecursionError):
        return None
