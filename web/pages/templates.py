"""Stored templates: the list, and one with its versions."""

from contextlib import suppress
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from mailroom.domain.content_checks import pictures_named
from mailroom.domain.errors import InvalidInput, TemplateNotFound
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.templates import Template, TemplateKind
from mailroom.services.mails import templates
from web.confirm import Question, ask
from web.forms.searches import TemplateSearchForm
from web.listing import Listing, asked_number
from web.session import principal, services, signed_in
from web.words import total

blueprint = Blueprint("templates", __name__)
_ROWS: Final = 50
_NAMED: Final = 20
_MOST_VERSION: Final = 1_000_000_000
_USED_BY: Final = {
    TemplateKind.TEMPLATE: "schedule",
    TemplateKind.LAYOUT: "template",
    TemplateKind.PARTIAL: "template",
}


@blueprint.get("/templates")
@signed_in()
def index() -> ResponseReturnValue:
    db, form = services().db, TemplateSearchForm(request.args)
    term, found, count = form.name.data.strip(), list[Template](), None
    try:
        count = templates.count(db, term)
        found = templates.search(db, term, after=request.args.get("after", ""), limit=_ROWS)
    except InvalidInput as error:
        form.refuse(error.faults)
    page = render_template(
        "templates.html",
        listing=Listing("templates.index", form.filters()),
        form=form,
        count=count,
        templates=found,
        users=templates.users(db, [one.name for one in found]),
        after=found[-1].name if len(found) == _ROWS else None,
    )
    return page, 422 if form.errors else 200


@blueprint.get("/templates/<name>")
@signed_in()
def show(name: str) -> str:
    """The newest version; also of a template that is deleted."""
    newest = templates.find(services().db, name)
    return _page(newest or templates.page_of_versions(services().db, name, before=None, limit=1)[0], newest)


@blueprint.get(f"/templates/<name>/versions/<int(max={_MOST_VERSION}):version>")
@signed_in()
def show_version(name: str, version: int) -> str:
    shown = templates.get_version(services().db, PinnedTemplate(name, version))
    return _page(shown, templates.find(services().db, name))


def _page(shown: Template, newest: Template | None) -> str:
    db, before = services().db, asked_number("before")
    versions = templates.page_of_versions(db, shown.name, before=before, limit=_ROWS)
    return render_template(
        "template.html",
        template=shown,
        newest=newest,
        is_newest=newest is not None and newest.version == shown.version,
        may_change=_may_change(newest),
        used=templates.use_of(db, shown),
        made_with_it=templates.made_with(db, shown.name, limit=_NAMED)
        if shown.kind is not TemplateKind.TEMPLATE
        else (),
        changed_since=templates.changed_since(db, shown) if newest and newest.version == shown.version else (),
        pictures=pictures_named(shown.html),
        versions=versions,
        older=versions[-1].version if len(versions) == _ROWS else None,
    )


@blueprint.get("/templates/<name>/delete")
@signed_in("mail")
def ask_delete(name: str) -> ResponseReturnValue:
    template = templates.get(services().db, name)
    question = Question(f"Delete {template.kind} “{name}”?", "Delete", _about_use(template))
    return ask(question, act=url_for("templates.delete", name=name), back=url_for("templates.show", name=name))


def _about_use(template: Template) -> list[str]:
    used, noun = templates.use_of(services().db, template), _USED_BY[template.kind]
    keep = "uses it, and keeps the version that it has" if used.rows == 1 else "use it, and keep what they have"
    after = "Emails and schedules that name it" if noun == "schedule" else "Templates that name it"
    return [
        f"{total(used, noun)} {keep}." if used.rows else f"No {noun} uses it.",
        f"Its versions stay. {after} from then on are refused.",
    ]


@blueprint.post("/templates/<name>/delete")
@signed_in("mail")
def delete(name: str) -> ResponseReturnValue:
    """Deleting again changes nothing."""
    with suppress(TemplateNotFound):
        templates.remove(services().db, name, actor=principal())
    flash(f"“{name}” is deleted. What was made with it stays as it is.")
    return redirect(url_for("templates.index"), 303)


def _may_change(newest: Template | None) -> bool:
    """True if the person may change this template, or make it anew where it is deleted."""
    return templates.may_change(newest, principal()) if newest else principal().may("mail")
