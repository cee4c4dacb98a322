"""What a person has typed into the schedule form, as one recipient would read it. Nothing is saved: the fields travel
along in the page, and the form comes back with all of them."""

import re
from typing import Final

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mailroom.domain.emails.attachments import check_attachments
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import ScheduleId
from mailroom.services.schedules import carried_files, feed_rules, proofs
from mailroom.services.schedules import view as schedule_view
from mailroom.services.schedules.proofs import CampaignProof
from mailroom.services.schedules.readers import Beside, Wanted
from web import attachments, mail_frames
from web.forms.schedule import ScheduleForm
from web.pages import schedule_forms
from web.session import principal, services, signed_in

blueprint = Blueprint("draft_previews", __name__)
#: Fields that do not travel along, or anew.
_OWN: Final = re.compile("preview_.*|csrf_token|action|drop_upload|upload|attached|drop_files")


@blueprint.get("/schedules/new/preview")
@blueprint.get("/schedules/<schedule_id>/edit/preview")
@signed_in("schedules")
def unsent(schedule_id: str | None = None) -> ResponseReturnValue:
    """The address of the preview alone says nothing of what was typed."""
    return redirect(_address("schedule_forms.new", "schedule_forms.edit", schedule_id))


@blueprint.post("/schedules/new/preview")
@blueprint.post("/schedules/<schedule_id>/edit/preview")
@signed_in("schedules")
def show(schedule_id: str | None = None) -> ResponseReturnValue:
    """The email; the form with its messages, where no email can be made of it."""
    services().limits.check_report(principal())
    id_ = ScheduleId(schedule_id) if schedule_id else None
    form = schedule_forms.sent()
    try:
        return _page(form, _proof(form, id_), id_)
    except InvalidInput as error:
        if form.given.any:
            form.look_at_recipients()
        return schedule_forms.refused(form, error.faults, id_)


@blueprint.post("/schedules/new/form")
@blueprint.post("/schedules/<schedule_id>/edit/form")
@signed_in("schedules")
def go_back(schedule_id: str | None = None) -> ResponseReturnValue:
    return schedule_forms.restored(request.form, schedule_id)


def _proof(form: ScheduleForm, schedule_id: ScheduleId | None) -> CampaignProof:
    """Raises InvalidInput with every fault of the mail itself."""
    draft = form.draft()
    if faults := feed_rules.faults_of(services().feeds.rules, draft.feed):
        raise InvalidInput(*faults)
    if schedule_id is None:
        return proofs.of_form(services().db, draft)
    changes = form.changes(schedule_view.get(services().db, schedule_id))
    return proofs.of_edited_form(services().db, schedule_id, changes)


def _page(form: ScheduleForm, proof: CampaignProof, schedule_id: ScheduleId | None) -> ResponseReturnValue:
    act, typed = request.form.get("preview_act", ""), request.form.get("preview_contact", "").strip()
    width = act if act in mail_frames.WIDTHS else request.form.get("preview_width", "")
    seen, files = mail_frames.seen(proof, _wanted(act, typed)), check_attachments(form.given_files, faults=[])
    page = render_template(
        "draft_preview.html",
        **seen.shown() | {"mail": seen.mail and carried_files.for_browser(services().db, seen.mail, files)},
        contact="" if seen.reader else typed,
        width=mail_frames.width_of(width),
        pairs=_travelling(request.form, form),
        text_made=proof.content.as_written.text is None,
        shown_again=url_for("draft_previews.show", schedule_id=schedule_id),
        form_again=url_for("draft_previews.go_back", schedule_id=schedule_id),
        saved=_address("schedule_forms.create", "schedule_forms.change", schedule_id),
    )
    response = make_response(page, 422 if seen.problems else 200)
    response.headers["Content-Security-Policy"] = mail_frames.POLICY_WITH_MAIL
    return response


def _wanted(act: str, typed: str) -> Wanted:
    """The recipient beside the one that is seen, or the one that is typed."""
    if act in ("next", "previous") and (at := request.form.get("preview_at", "")):
        return Beside(at, before=act == "previous")
    return typed or None


def _travelling(fields: MultiDict[str, str], form: ScheduleForm) -> list[tuple[str, str]]:
    """The fields as they were typed, with the list that waits and the files that were chosen."""
    pairs = [pair for pair in fields.items(multi=True) if not _OWN.fullmatch(pair[0])]
    pairs += [(attachments.CARRIED, file) for file in attachments.carried(form.given_files)]
    return [*pairs, ("upload", form.given.upload)] if form.given.upload else pairs


def _address(new: str, edit: str, schedule_id: str | None) -> str:
    return url_for(edit, schedule_id=schedule_id) if schedule_id else url_for(new)
