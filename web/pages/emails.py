"""Single mails: found by recipient, tag or state, and the story of one."""

import secrets
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from mailroom.domain.ids import EmailId
from mailroom.domain.messages import MessageState
from mailroom.domain.searches import EmailSearch
from mailroom.services.mails import view as mail_view
from mailroom.services.resending import mails as resend_mails
from web import cursors
from web.acting import done_or_told
from web.session import principal, services, signed_in

blueprint = Blueprint("emails", __name__)
_ROWS = 50


@blueprint.get("/emails")
@signed_in()
def index() -> str:
    db, before = services().db, cursors.decode(request.args.get("before"))
    recipient, tag = (request.args.get(name, "").strip() for name in ("recipient", "tag"))
    state = request.args.get("status", "")
    if state in list(MessageState):
        shown, last = mail_view.page_in_state(db, MessageState(state), before=before, limit=_ROWS)
    else:
        shown = mail_view.page(db, EmailSearch(recipient or None, tag or None), before=before, limit=_ROWS)
        last = (shown[-1].email["created_at"], shown[-1].email["_id"]) if len(shown) == _ROWS else None
    return render_template(
        "emails.html",
        emails=shown,
        recipient=recipient,
        tag=tag,
        state=state,
        states=list(MessageState),
        older=cursors.encode(*last) if last else None,
    )


@blueprint.get("/emails/<email_id>")
@signed_in()
def show(email_id: str) -> str:
    shown = mail_view.get(services().db, EmailId(email_id))
    return render_template(
        "email.html",
        shown=shown,
        steps=mail_view.events_of(services().db, EmailId(email_id)),
        left=resend_mails.left(services().db, EmailId(email_id)),
        nonce=secrets.token_hex(16),
    )


@blueprint.post("/emails/<email_id>/send-again")
@signed_in("mail")
def send_again(email_id: str) -> Any:
    """The page's nonce names the mail: pressing twice makes one."""
    key, lanes = f"form-{request.form.get('nonce', '')[:64]}", services().settings.sending.mail_lanes
    source, owner = EmailId(email_id), principal().owner
    again = done_or_told(lambda: resend_mails.send_again(services().db, source, owner=owner, key=key, lanes=lanes))
    return redirect(url_for("emails.show", email_id=again[0] if again else email_id), 303)


@blueprint.post("/emails/<email_id>/cancel")
@signed_in("mail")
def cancel(email_id: str) -> Any:
    if done_or_told(lambda: mail_view.cancel(services().db, EmailId(email_id))):
        flash("Cancelled: it is not sent.")
    return redirect(url_for("emails.show", email_id=email_id), 303)
