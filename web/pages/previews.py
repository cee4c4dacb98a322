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
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import ScheduleId
from mailroom.domain.words import counted
from mailroom.services.mails.accept import AcceptedMail
from mailroom.services.operations import capped_mails
from mailroom.services.schedules import proofs, rendering, send_test
from mailroom.services.schedules import view as schedule_view
from mailroom.services.schedules.readers import Beside, Wanted
from web import mail_frames
from web.session import principal, services, signed_in

blueprint = Blueprint("previews", __name__)
_BETWEEN: Final = re.compile(r"[\s,;]+")  # two addresses
Drafts = Sequence[tuple[EmailDraft, str | None]]


@blueprint.get("/schedules/<schedule_id>/preview")
@signed_in()
def show(schedule_id: str) -> ResponseReturnValue:
    contact, turn = request.args.get("contact", "").strip(), request.args.get("turn", "")
    wanted = Beside(contact, before=turn == "previous") if contact and turn in ("next", "previous") else contact or None
    return _page(schedule_id, wanted, width=request.args.get("width", ""))


@blueprint.get("/schedules/<schedule_id>/preview/body")
@signed_in()
def body(schedule_id: str) -> Response:
    wanted, db = request.args.get("contact", "").strip() or None, services().db
    proof = proofs.of_schedule(db, ScheduleId(schedule_id))
    mail = rendering.render(db, proof, wanted, link=services().links.example, feeds=services().feeds)
    return mail_frames.framed(mail)


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
        return _page(schedule_id, contact or None, to=typed, faults=[mail_frames.in_words(one) for one in error.faults])
    flash(f"The test is on its way to {counted(len(sent), 'address', 'addresses')}.")
    return redirect(url_for("previews.show", schedule_id=schedule_id, contact=contact or None), 303)


def _page(
    schedule_id: str, wanted: Wanted, *, width: str = "", to: str = "", faults: Sequence[str] = ()
) -> ResponseReturnValue:
    """`to`: the addresses that were typed for a test; `faults`: what is wrong with them."""
    services().limits.check_report(principal())
    stored = schedule_view.get(services().db, ScheduleId(schedule_id))
    seen = mail_frames.seen(proofs.CampaignProof(stored.content), wanted)
    page = render_template(
        "preview.html",
        **seen.shown(),
        stored=stored,
        contact=seen.address if wanted else "",
        to=to,
        faults=faults,
        nonce=secrets.token_hex(16),
        width=mail_frames.width_of(width),
    )
    response = make_response(page, 422 if seen.problems or faults else 200)
    response.headers["Content-Security-Policy"] = mail_frames.PAGE_POLICY
    return response
