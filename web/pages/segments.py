"""Segments of an audience: counted before they are saved, saved, deleted."""

from contextlib import suppress

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from mailroom.domain.errors import InvalidInput, SegmentNotFound
from mailroom.domain.ids import AudienceId
from mailroom.services.audiences import counting, segments
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.audiences.counting import Numbers
from web.forms.segment import SegmentForm
from web.session import principal, services, signed_in

blueprint = Blueprint("segments", __name__)
_ROWS = 200


@blueprint.get("/audiences/<audience_id>/segments")
@signed_in()
def index(audience_id: str) -> str:
    return _page(AudienceId(audience_id), SegmentForm())


@blueprint.post("/audiences/<audience_id>/segments")
@signed_in("schedules")
def create(audience_id: str) -> ResponseReturnValue:
    form, audience = SegmentForm(request.form), AudienceId(audience_id)
    try:
        if request.form.get("action") == "count":
            return _counted(audience, form)
        made = segments.create(
            services().db,
            audience,
            name=form.name.data,
            filter_=form.filter.data,
            by=principal().name,
            events_kept=services().settings.retention.events,
        )
    except InvalidInput as error:
        form.refuse(error.faults)
        return _page(audience, form), 422
    flash(f"Segment “{made.name}” is saved. Choose it when you make a schedule.")
    return redirect(url_for("segments.index", audience_id=audience_id), 303)


@blueprint.post("/segments/<segment_id>/delete")
@signed_in("schedules")
def delete(segment_id: str) -> ResponseReturnValue:
    """Deleting again changes nothing."""
    try:
        audience = segments.get(services().db, segment_id).audience
    except SegmentNotFound:
        return redirect(url_for("audiences.index"), 303)
    with suppress(SegmentNotFound):
        segments.drop(services().db, segment_id, by=principal().name)
    flash("Segment deleted. Schedules that send to it still do.")
    return redirect(url_for("segments.index", audience_id=audience), 303)


def _counted(audience: AudienceId, form: SegmentForm) -> ResponseReturnValue:
    """The form as it was typed, with the number of contacts that its filter finds."""
    services().limits.check_report(principal())
    kept = services().settings.retention.events
    choice = segments.unsaved(services().db, audience, form.filter.data, events_kept=kept)
    return _page(audience, form, counting.count(services().db, [choice]))


def _page(audience_id: AudienceId, form: SegmentForm, numbers: Numbers | None = None) -> str:
    audience = audience_lists.get(services().db, audience_id)
    stored = segments.page(services().db, audience_id, after="", limit=_ROWS)
    return render_template("segments.html", audience=audience, segments=stored, form=form, numbers=numbers)
