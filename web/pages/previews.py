"""A schedule's mail as one of its recipients would read it. Its HTML is shown in a frame without any rights: what a
mail holds acts on nothing of ours, and loads nothing but pictures."""

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import ScheduleId
from mailroom.domain.words import counted
from mailroom.services.mails.accept import AcceptedMail
from mailroom.services.operations import capped_mails
from mailroom.services.schedules import rendering, send_test
from mailroom.services.schedules import view as schedule_view
from mailroom.services.schedules.rendering import RenderedMail
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
_BETWEEN: Final = re.compile(r"[\s,;]+")  # two addresses
Drafts = Sequence[tuple[EmailDraft, str | None]]


@blueprint.get("/schedules/<schedule_id>/preview")
@signed_in()
def show(schedule_id: str) -> ResponseReturnValue:
    return _page(schedule_id, request.args.get("contact", "").strip(), width=request.args.get("width", ""))


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
    nonce, actor = request.form.get("nonce", "")[:64], principal()

    def hand_in(drafts: Drafts) -> list[AcceptedMail | Exception]:
        return capped_mails.hand_in_many(
            services().outbox, services().limits, drafts, actor=actor, now=datetime.now(UTC)
        )

    try:
        sent = send_test.send(
            services().db,
            ScheduleId(schedule_id),
            [address for address in _BETWEEN.split(typed) if address],
            contact=contact or None,
            link=services().links.example,
            feeds=services().feeds,
            key=f"form-{nonce}",
            hand_in=hand_in,
        )
    except InvalidInput as error:
        return _page(schedule_id, contact, to=typed, faults=[_in_words(fault) for fault in error.faults])
    flash(f"The test is on its way to {counted(len(sent), 'address', 'addresses')}.")
    return redirect(url_for("previews.show", schedule_id=schedule_id, contact=contact or None), 303)


def _page(
    schedule_id: str, contact: str, *, width: str = "", to: str = "", faults: Sequence[str] = ()
) -> ResponseReturnValue:
    """`to`: the addresses that were typed for a test; `faults`: what is wrong with them."""
    mail, problems = None, []
    try:
        mail = _rendered(schedule_id, contact)
    except InvalidInput as error:
        problems = [_in_words(fault) for fault in error.faults]
    page = render_template(
        "preview.html",
        stored=schedule_view.get(services().db, ScheduleId(schedule_id)),
        contact=contact,
        mail=mail,
        problems=problems,
        to=to,
        faults=faults,
        nonce=secrets.token_hex(16),
        width=width if width in _WIDTHS else _WIDTHS[0],
    )
    response = make_response(page, 422 if problems or faults else 200)
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


def _in_words(fault: Fault) -> str:
    name = fault.path.partition("[")[0]
    return fault.message if name in ("contact", "to") else f"{fault.path}: {fault.message}"


def _rendered(schedule_id: str, contact: str) -> RenderedMail:
    """Raises ScheduleNotFound, InvalidInput."""
    link, feeds = services().links.example, services().feeds
    return rendering.of_schedule(services().db, ScheduleId(schedule_id), contact or None, link=link, feeds=feeds)
