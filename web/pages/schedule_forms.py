"""The schedule form: a new schedule, and an edit of one; each can be previewed."""

import re
from collections.abc import Sequence
from zoneinfo import ZoneInfo, available_timezones

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mailroom.assembly.providers import build_sending_domains
from mailroom.domain.drafts import Draft
from mailroom.domain.errors import Conflict, Fault, IdempotencyMismatch, InvalidInput, NotFound, StaleEdit
from mailroom.domain.feeds.model import FeedFields
from mailroom.domain.ids import ScheduleId
from mailroom.domain.recurrence.model import Occurrence
from mailroom.domain.template_filling import FIELDS
from mailroom.services.audiences import counting, segments
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.audiences.counting import Numbers
from mailroom.services.common import mailgun_only
from mailroom.services.consent import topics as topic_list
from mailroom.services.mails import templates
from mailroom.services.mails.templates import said_by_template
from mailroom.services.operations import sending_domains
from mailroom.services.schedules import create as create_schedule
from mailroom.services.schedules import drafts as schedule_drafts
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import feed_rules
from mailroom.services.schedules import view as schedule_view
from web import attachments, recipients, zones
from web.flashes import flash_problem
from web.forms.schedule import ScheduleForm
from web.session import principal, services, signed_in

blueprint = Blueprint("schedule_forms", __name__)
_PREVIEWED = 5
_TOPICS = 200
_AUDIENCES = 200  # the newest ones can be chosen
_SEGMENTS = 200
_TEMPLATES = 200


@blueprint.get("/schedules/new")
@signed_in("schedules")
def new() -> str:
    return _page(ScheduleForm.empty(**{name: request.args.get(name, "") for name in ("audience", "template")}))


@blueprint.post("/schedules/new")
@signed_in("schedules")
def create() -> ResponseReturnValue:
    """Save a new schedule. The form's nonce names it: sent twice, it is one."""
    if request.form.get("action") == "refused":
        return recipients.refused_report(services().db, request.form, owner=principal().owner)
    form = sent()
    if request.form.get("action") == "preview":
        return _previewed(form)
    try:
        form.look_at_recipients()
        draft = form.draft()
        if form.errors:
            form.refuse(schedule_drafts.faults_of(services().db, draft))
            return _page(form), 422
        _check_substitutions(form)
        _check_feed(draft.feed, whole=draft)
        key = f"form-{form.nonce.data[:64]}"
        stored, is_new = create_schedule.create(services().db, draft, owner=principal().owner, key=key)
    except InvalidInput as error:
        form.refuse(error.faults)
        return _page(form), 422
    except IdempotencyMismatch:
        form.renew()
        form.complain("name", "This form was saved before with other values. Save again to make a second schedule.")
        return _page(form), 409
    if is_new:
        flash("Schedule saved.")
        _warn_of_sender(form)
    return redirect(url_for("schedules.show", schedule_id=stored.schedule.id), 303)


@blueprint.get("/schedules/<schedule_id>/edit")
@signed_in("schedules")
def edit(schedule_id: str) -> str:
    stored = schedule_view.get(services().db, ScheduleId(schedule_id))
    return _page(ScheduleForm.of(stored), stored.schedule.id)


@blueprint.post("/schedules/<schedule_id>/edit")
@signed_in("schedules")
def change(schedule_id: str) -> ResponseReturnValue:
    """Save an edit, unless somebody else has changed the schedule since the form was opened."""
    stored = schedule_view.get(services().db, ScheduleId(schedule_id))
    if request.form.get("action") == "refused":
        return recipients.refused_report(services().db, request.form, owner=principal().owner)
    form = sent()
    if request.form.get("action") == "preview":
        return _previewed(form, stored.schedule.id)
    version = form.version.data
    try:
        form.look_at_recipients()
        changes = form.changes(stored)
        if form.errors:
            return _page(form, stored.schedule.id), 422
        _check_substitutions(form)
        _check_feed(changes.get("feed"))
        seen = int(version) if re.fullmatch("[0-9]{1,15}", version) else 0
        edit_schedule.edit(services().db, stored.schedule.id, changes, seen_version=seen)
    except InvalidInput as error:
        form.refuse(error.faults)
        return _page(form, stored.schedule.id), 422
    except StaleEdit:
        form.complain("name", "Somebody else has changed this schedule since you opened it. Open it again to see.")
        return _page(form, stored.schedule.id), 412
    except Conflict as error:
        flash_problem(error)
        return redirect(url_for("schedules.show", schedule_id=schedule_id), 303)
    flash("Changes saved. They apply to every run that is due from now on.")
    _warn_of_sender(form)
    return redirect(url_for("schedules.show", schedule_id=schedule_id), 303)


def restored(typed: MultiDict[str, str], schedule_id: str | None = None) -> str:
    """The form with the values that were typed before a session ended. Nothing is saved."""
    principal().require("schedules")
    form = ScheduleForm.sent(typed, recipients.read(services().db, typed, None, owner=principal().owner))
    return _page(_with_files(form, typed), ScheduleId(schedule_id) if schedule_id else None)


def refused(form: ScheduleForm, faults: Sequence[Fault], schedule_id: ScheduleId | None) -> ResponseReturnValue:
    """The form as it was typed, with these messages."""
    form.refuse(faults)
    return _page(form, schedule_id), 422


def _previewed(form: ScheduleForm, schedule_id: ScheduleId | None = None) -> ResponseReturnValue:
    """The form as it was typed, with the next runs or the faults of the rule."""
    upcoming: list[Occurrence] = []
    numbers: Numbers | None = None
    try:
        numbers = _numbers(form)
        rule = form.recurrence()
        if not form.errors:
            upcoming = schedule_view.preview(services().db, rule, _PREVIEWED)
    except InvalidInput as error:
        form.refuse(error.faults)
    _warn_of_sender(form)
    return _page(form, schedule_id, upcoming=upcoming, numbers=numbers), 422 if form.errors else 200


def _numbers(form: ScheduleForm) -> Numbers | None:
    """How many the schedule would go to today; None for a list of its own. Raises InvalidInput."""
    chosen = form.audience.data.strip()
    if not chosen or form.given.recipients:
        return None
    services().limits.check_report(principal())
    db = services().db
    try:
        goes, excluded = ([segments.choice(db, id_) for id_ in ids] for ids in ([chosen], form.exclude.data or ()))
    except NotFound as error:
        raise InvalidInput(Fault("audience", str(error))) from None
    return counting.count(db, goes, excluded, topic=form.topic.data.strip())


def sent() -> ScheduleForm:
    """The form of this request, as it was typed."""
    file = request.files.get("recipients_file")
    given = recipients.read(services().db, request.form, file, owner=principal().owner)
    return _with_files(ScheduleForm.sent(request.form, given), request.form)


def _with_files(form: ScheduleForm, typed: MultiDict[str, str]) -> ScheduleForm:
    name = form.template.data.strip()
    template = templates.find(services().db, name) if name else None
    html = template.html if template else form.html.data + form.markdown.data + form.mjml.data
    form.given_files = attachments.read(request.files.getlist("files"), typed, html)
    return form


def _warn_of_sender(form: ScheduleForm) -> None:
    settings = services().settings
    if words := sending_domains.warning(build_sending_domains(settings), settings.sending.providers, form.sender.data):
        flash(words, "problem")


def _check_substitutions(form: ScheduleForm) -> None:
    """Raises InvalidInput for content that only Mailgun could fill in."""
    said = {name: form[name].data for name in (*FIELDS, "markdown", "mjml", "preheader")}
    said |= said_by_template(services().db, form.template.data.strip())
    mailgun_only.check(services().db, services().settings.sending.providers, said)


def _check_feed(asked: FeedFields | None, *, whole: Draft | None = None) -> None:
    """Raises InvalidInput for a feed that the settings do not allow; with every other fault of the whole draft."""
    if faults := feed_rules.faults_of(services().feeds.rules, asked):
        others = schedule_drafts.faults_of(services().db, whole) if whole else ()
        raise InvalidInput(*faults, *others)


def _attached(schedule_id: ScheduleId) -> list[str]:
    """The names of the files that the schedule's mails carry."""
    return [file.filename for file in schedule_view.get(services().db, schedule_id).content.files]


def _page(
    form: ScheduleForm,
    schedule_id: ScheduleId | None = None,
    *,
    upcoming: list[Occurrence] | None = None,
    numbers: Numbers | None = None,
) -> str:
    audiences = audience_lists.page(services().db, before=None, limit=_AUDIENCES)
    parts = segments.of_all(services().db, [one.id for one in audiences], limit=_SEGMENTS)
    form.offer(audiences, parts, none="Keep the recipients as they are" if schedule_id else "Choose an audience")
    topics = topic_list.page(services().db, limit=_TOPICS)
    form.offer_topics(topics)
    form.offer_templates(templates.names(services().db, limit=_TEMPLATES))
    names = available_timezones()
    if (zone := form.time_zone.data.strip()) in names:
        zones.show_in(ZoneInfo(zone))
    return render_template(
        "schedule_form.html",
        form=form,
        schedule_id=schedule_id,
        upcoming=upcoming or [],
        numbers=numbers,
        footers=[topic.name for topic in topics if topic.footer],
        carried=attachments.carried(form.given_files),
        attached=_attached(schedule_id) if schedule_id else [],
        zones=sorted(name for name in names if "/" in name or name == "UTC"),
        **recipients.of_page(form.given),
    )
