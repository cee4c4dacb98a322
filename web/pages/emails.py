"""Transactional emails: found by recipient, tag or state, and the activity of one."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from mailroom.domain.ids import EmailId
from mailroom.domain.messages.states import MessageState
from mailroom.domain.searches import EmailOrder, EmailSearch
from mailroom.domain.words import counted
from mailroom.services.mails import counts as email_counts
from mailroom.services.mails import view as mail_view
from mailroom.services.mails.view import EmailView
from mailroom.services.resending import mails as resend_mails
from web import cursors
from web.confirm import Question, ask
from web.flashes import done_or_flashed, flash_problem
from web.forms.searches import EmailSearchForm
from web.listing import Listing, asked_order
from web.session import principal, services, signed_in

blueprint = Blueprint("emails", __name__)
_ROWS = 50
_MOVING: Final = frozenset({MessageState.QUEUED, MessageState.SENT})  # and soon in another state
_RELOADS_FOR: Final = timedelta(minutes=2)
_ORDERS: Final = {EmailOrder.NEWEST: "Newest", EmailOrder.OLDEST: "Oldest"}


@blueprint.get("/emails")
@signed_in()
def index() -> str:
    """The emails to a recipient or with a tag, or those in a state."""
    db, form, status = services().db, EmailSearchForm(request.args), request.args.get("status", "")
    sought = form.filters()
    state = MessageState(status) if status in list(MessageState) and not any(sought.values()) else None
    order = asked_order(EmailOrder.NEWEST)
    listing = Listing("emails.index", sought | {"status": state or ""}, order, EmailOrder.NEWEST)
    after = cursors.decode(request.args.get("after"))
    if state:
        count = None
        emails, last = mail_view.page_in_state(db, state, before=after, limit=_ROWS)
    else:
        search = EmailSearch(sought["recipient"] or None, sought["tag"] or None)
        count = email_counts.count(db, search)
        emails = mail_view.page(db, search, order, before=after, limit=_ROWS)
        last = (emails[-1].email.created_at, emails[-1].email.id) if len(emails) == _ROWS else None
    return render_template(
        "emails.html",
        listing=listing,
        form=form,
        orders=_ORDERS,
        sought=any(sought.values()),
        state=state or "",
        states={value: value.replace("_", " ").capitalize() for value in MessageState},
        count=count,
        emails=emails,
        after=cursors.encode(*last) if last else None,
    )


@blueprint.get("/emails/<email_id>")
@signed_in()
def show(email_id: str) -> str:
    shown = mail_view.get(services().db, EmailId(email_id))
    return render_template(
        "email.html",
        shown=shown,
        moves=shown.state in _MOVING and datetime.now(UTC) - shown.updated_at < _RELOADS_FOR,
        steps=mail_view.events_of(services().db, EmailId(email_id)),
        left=resend_mails.left(services().db, EmailId(email_id)),
    )


@blueprint.get("/emails/<email_id>/send-again")
@signed_in("mail")
def ask_send_again(email_id: str) -> ResponseReturnValue:
    shown, left = _shown(email_id), resend_mails.left(services().db, EmailId(email_id))
    if not left:
        flash_problem("no recipient is left to resend to")
        return _to(email_id)
    question = Question(
        f"Resend “{shown.email.subject}” to {counted(left, 'recipient')}?",
        "Resend",
        ["It goes to exactly the recipients that were not reached. Emails in doubt are not resent."],
        {"nonce": secrets.token_hex(16)},
        destructive=False,
    )
    return ask(question, act=url_for("emails.send_again", email_id=email_id), back=_page_of(email_id))


@blueprint.post("/emails/<email_id>/send-again")
@signed_in("mail")
def send_again(email_id: str) -> ResponseReturnValue:
    """The form's nonce names the email: pressing twice makes one."""
    key, lanes = f"form-{request.form.get('nonce', '')[:64]}", services().settings.sending.mail_lanes
    source, owner = EmailId(email_id), principal().owner
    again = done_or_flashed(
        lambda: resend_mails.send_again(
            services().db, source, owner=owner, key=key, lanes=lanes, files=services().bodies
        )
    )
    return _to(again[0] if again else email_id)


@blueprint.get("/emails/<email_id>/cancel")
@signed_in("mail")
def ask_cancel(email_id: str) -> str:
    shown = _shown(email_id)
    question = Question(
        f"Cancel “{shown.email.subject}”?",
        "Cancel email",
        [f"It is not sent to its {counted(len(shown.recipients), 'recipient')}. This cannot be undone."],
    )
    return ask(question, act=url_for("emails.cancel", email_id=email_id), back=_page_of(email_id))


@blueprint.post("/emails/<email_id>/cancel")
@signed_in("mail")
def cancel(email_id: str) -> ResponseReturnValue:
    if done_or_flashed(lambda: mail_view.cancel(services().db, EmailId(email_id))):
        flash("Cancelled: it is not sent.")
    return _to(email_id)


def _shown(email_id: str) -> EmailView:
    return mail_view.get(services().db, EmailId(email_id))


def _page_of(email_id: str) -> str:
    return url_for("emails.show", email_id=email_id)


def _to(email_id: str) -> ResponseReturnValue:
    return redirect(_page_of(email_id), 303)
