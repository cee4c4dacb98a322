"""A schedule's mail as one of its recipients would read it. Its HTML is shown in a frame without any rights: what a
mail holds acts on nothing of ours, and loads nothing but pictures."""

from typing import Final

from flask import Blueprint, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import ScheduleId
from mailroom.services.schedules import rendering
from mailroom.services.schedules import view as schedule_view
from mailroom.services.schedules.rendering import RenderedMail
from web.session import services, signed_in

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


def _in_words(fault: Fault) -> str:
    return fault.message if fault.path == "contact" else f"{fault.path}: {fault.message}"


def _rendered(schedule_id: str, contact: str) -> RenderedMail:
    """Raises ScheduleNotFound, InvalidInput."""
    link = services().links.example
    return rendering.of_schedule(services().db, ScheduleId(schedule_id), contact or None, link=link)
