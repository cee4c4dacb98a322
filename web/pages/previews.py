"""A schedule's mail as one of its recipients would read it. Its HTML is shown in a frame without any rights: what a
mail holds acts on nothing of ours, and loads nothing but pictures."""

import re
import secrets
from typing import Final

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from mailroom.domain.content_checks import hints_for
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import ScheduleId
from mailroom.domain.words import counted
from mailroom.services.schedules import rendering, send_test
from mailroom.services.schedules import view as schedule_view
from mailroom.services.schedules.rendering import RenderedMail
from web.flashes import flash_problem
from web.session import principal, services, signed_in

blueprint = Blueprint("previews", __name__)
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_BODY_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src http: https: data:; frame-ancestors 'self'"
)
_WIDTHS: Final = ("desktop", "phone")


@blueprint.get("/schedules/<schedule_id>/preview")
@signed_in()
def show(schedule_id: str) -> ResponseReturnValue:
    contact, mail, problems = request.args.get("contact", "").strip(), None, []
    try:
        mail = _rendered(schedule_id, contact)
    except InvalidInput as error:
        problems = [
            fault.message if fault.path == "contact" else f"{fault.path}: {fault.message}" for fault in error.faults
        ]
    asked = request.args.get("width", "")
    page = render_template(
        "preview.html",
        stored=schedule_view.get(services().db, ScheduleId(schedule_id)),
        contact=contact,
        mail=mail,
        problems=problems,
        hints=hints_for(mail.text, mail.html) if mail else [],
        nonce=secrets.token_hex(16),
        width=asked if asked in _WIDTHS else _WIDTHS[0],
    )
    response = make_response(page, 422 if problems else 200)
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


@blueprint.get("/schedules/<schedule_id>/preview/body")
@signed_in()
def body(schedule_id: str) -> Response:
    mail = _rendered(schedule_id, request.args.get("contact", "").strip())
    response = Response(f'<!doctype html><meta charset="utf-8">{mail.html}', mimetype="text/html")
    response.headers["Content-Security-Policy"] = _BODY_POLICY
    return response


@blueprint.post("/schedules/<schedule_id>/preview/test")
@signed_in("schedules")
def test(schedule_id: str) -> ResponseReturnValue:
    """The form's nonce names the test: pressing twice sends one."""
    contact, typed = request.form.get("contact", "").strip(), request.form.get("to", "")
    to, nonce = [address for address in re.split(r"[\s,;]+", typed) if address], request.form.get("nonce", "")[:64]
    try:
        drafts = send_test.drafts_of(_rendered(schedule_id, contact), ScheduleId(schedule_id), to, key=f"form-{nonce}")
    except InvalidInput as error:
        flash_problem("; ".join(fault.message for fault in error.faults))
        return redirect(url_for("previews.show", schedule_id=schedule_id, contact=contact or None), 303)
    answers = services().outbox.hand_in_many(drafts, owner=principal().owner)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    flash(f"The test is on its way to {counted(len(answers), 'address', 'addresses')}.")
    return redirect(url_for("previews.show", schedule_id=schedule_id, contact=contact or None), 303)


def _in_words(fault: Fault) -> str:
    return fault.message if fault.path == "contact" else f"{fault.path}: {fault.message}"


def _rendered(schedule_id: str, contact: str) -> RenderedMail:
    """Raises ScheduleNotFound, InvalidInput."""
    link = services().links.example
    return rendering.of_schedule(services().db, ScheduleId(schedule_id), contact or None, link=link)
