"""What a run sent to a recipient, as it was rendered then."""

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from mailroom.domain.errors import MessageNotFound
from mailroom.domain.ids import MessageId, RunId, address_digest_of, message_id
from mailroom.services.reports import runs as run_views
from mailroom.services.reports import sent_mails
from mailroom.services.schedules import view as schedule_view
from web import mail_frames, zones
from web.session import services, signed_in

blueprint = Blueprint("sent_mails", __name__)


@blueprint.get("/runs/<run_id>/sent")
@signed_in()
def find(run_id: str) -> ResponseReturnValue:
    """The mail to the address that is asked for, or to the first recipient."""
    address, db = request.args.get("contact", "").strip(), services().db
    run = run_views.get(db, RunId(run_id))
    found = message_id(run.id, address) if address else sent_mails.first_of(db, run.id)
    if found is None:
        flash("This run has no emails yet.", "problem")
        return redirect(url_for("runs.show", run_id=run_id))
    width = mail_frames.width_of(request.args.get("width", ""))
    try:
        return _page(found, width)
    except MessageNotFound:
        flash(f"{address} is not among the recipients of this run.", "problem")
        return redirect(url_for("runs.show", run_id=run_id))


@blueprint.get("/runs/<run_id>/mails/<digest>/content")
@signed_in()
def show(run_id: str, digest: str) -> ResponseReturnValue:
    return _page(MessageId(f"{run_id}/{digest}"), mail_frames.width_of(request.args.get("width", "")))


@blueprint.get("/runs/<run_id>/mails/<digest>/body")
@signed_in()
def body(run_id: str, digest: str) -> Response:
    message = MessageId(f"{run_id}/{digest}")
    return mail_frames.framed(sent_mails.content_of_message(services().db, message, link=services().links.example))


def _page(message: MessageId, width: str) -> ResponseReturnValue:
    sent = sent_mails.of_message(services().db, message, link=services().links.example)
    schedule = schedule_view.get(services().db, sent.run.schedule_id).schedule
    zones.show_in(schedule.recurrence.zone)
    page = render_template(
        "sent_mail.html",
        sent=sent,
        run=sent.run,
        mail=sent.content,
        schedule=schedule,
        digest=address_digest_of(message),
        before=address_digest_of(sent.before) if sent.before else None,
        after=address_digest_of(sent.after) if sent.after else None,
        width=width,
    )
    response = make_response(page)
    response.headers["Content-Security-Policy"] = mail_frames.PAGE_POLICY
    return response
