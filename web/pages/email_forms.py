"""One email sent by hand: the form, with a sample to start from."""

from datetime import UTC, datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.errors import IdempotencyMismatch, InvalidInput, TooMany
from mailroom.domain.messages.states import MessageState
from mailroom.services.mails.accept import AcceptedMail
from mailroom.services.operations import capped_mails
from web.forms.email import EmailForm
from web.session import principal, services, signed_in

blueprint = Blueprint("email_forms", __name__)


@blueprint.get("/emails/new")
@signed_in("mail")
def new() -> str:
    """An empty form, or with `?sample=1` one that can be sent as it is."""
    if request.args.get("sample"):
        return _page(EmailForm.sample(services().settings.mailgun.domain or "example.com"))
    return _page(EmailForm.empty())


@blueprint.post("/emails/new")
@signed_in("mail")
def create() -> ResponseReturnValue:
    """Hand the email in, and show its page. The form's nonce names it: sent twice, it is one."""
    form = EmailForm(request.form)
    files = [file for file in request.files.getlist(form.attachments.name) if file.filename]
    draft = form.draft(files)
    try:
        if form.errors:
            raise InvalidInput(*services().outbox.faults_of(draft))
        accepted = _hand_in(draft, f"form-{form.nonce.data[:64]}")
    except InvalidInput as error:
        form.refuse(error.faults)
        form.ask_for_files_again(files)
        return _page(form), 422
    except IdempotencyMismatch:
        form.renew()
        form.complain("subject", "This form was sent before with other values. Send again to send a second email.")
        form.ask_for_files_again(files)
        return _page(form), 409
    except TooMany as error:
        form.complain("", f"{error}; try again later")
        form.ask_for_files_again(files)
        return _page(form), 429, {"Retry-After": str(error.retry_after_s)}
    if accepted.new:
        nobody = accepted.status is MessageState.SUPPRESSED
        flash("Nobody gets this email: its recipients are suppressed." if nobody else "Email accepted.")
    return redirect(url_for("emails.show", email_id=accepted.id), 303)


def restored(typed: MultiDict[str, str]) -> str:
    """The form with the values that were typed before a session ended. Nothing is sent."""
    principal().require("mail")
    return _page(EmailForm(typed))


def _hand_in(draft: EmailDraft, key: str) -> AcceptedMail:
    return capped_mails.hand_in(
        services().outbox, services().limits, draft, key, actor=principal(), now=datetime.now(UTC)
    )


def _page(form: EmailForm) -> str:
    return render_template("email_form.html", form=form)
