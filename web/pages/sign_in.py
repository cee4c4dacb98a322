"""Signing in and out."""

import json
import re
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from mailroom.domain.errors import AccessRefused, TooMany
from web import session

blueprint = Blueprint("signing", __name__)


@blueprint.get("/sign-in")
def show() -> str:
    return render_template("sign_in.html", next=request.args.get("next", "/"), typed="", error=None)


@blueprint.post("/sign-in")
def enter() -> Any:
    goes_to, typed = (request.form.get(name, "") for name in ("next", "typed"))
    try:
        session.sign_in(request.form.get("token", ""))
    except AccessRefused:
        error = "This token is not known here, or it is expired or revoked."
        return render_template("sign_in.html", next=goes_to, typed=typed, error=error), 401
    except TooMany as error:
        words = f"Too many tries from your address. Try again in {error.retry_after_s} seconds."
        wait = {"Retry-After": str(error.retry_after_s)}
        return render_template("sign_in.html", next=goes_to, typed=typed, error=words), 429, wait
    # Only our own pages: `//elsewhere`, `/\elsewhere` and `/<tab>/elsewhere` lead off the site.
    safe = re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", goes_to) is not None
    kept = _pairs(typed)
    if safe and kept is not None:
        return render_template("go_on.html", goes_to=goes_to, pairs=kept)
    return redirect(goes_to if safe else url_for("schedules.index"))


@blueprint.post("/sign-out")
def leave() -> Any:
    session.sign_out()
    return redirect(url_for("signing.show"))


def _pairs(typed: str) -> list[tuple[str, str]] | None:
    """The fields of a form that was sent after its session had ended; None without such a form."""
    try:
        read = json.loads(typed) if typed else None
        return None if read is None else [(str(name), str(value)) for name, value in read]
    except (ValueError, TypeError, RecursionError):
        return None
