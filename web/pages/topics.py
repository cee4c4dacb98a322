"""Topics: what readers get and may leave."""

from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mailroom.domain.errors import InvalidInput, StaleEdit, TopicExists
from mailroom.domain.subscription_forms import form_html
from mailroom.services.consent import topics
from web.forms.topic import TopicForm
from web.session import principal, services, signed_in

blueprint = Blueprint("topics", __name__)
_ROWS: Final = 200


@blueprint.get("/topics")
@signed_in()
def index() -> str:
    return _list(TopicForm())


@blueprint.post("/topics")
@signed_in("schedules")
def create() -> ResponseReturnValue:
    form = TopicForm(request.form)
    try:
        topic, _ = topics.create(services().db, {"id": form.id.data.strip(), **form.asked()}, by=principal().name)
    except InvalidInput as error:
        form.refuse(error.faults)
        return _list(form), 422
    except TopicExists as error:
        form.complain("id", str(error))
        return _list(form), 409
    flash(f"Topic “{topic.name}” is saved.")
    return redirect(url_for("topics.index"), 303)


@blueprint.get("/topics/<id_>")
@signed_in("schedules")
def edit(id_: str) -> str:
    return _edit(TopicForm.of(topics.get(services().db, id_)), id_)


@blueprint.post("/topics/<id_>")
@signed_in("schedules")
def change(id_: str) -> ResponseReturnValue:
    form = TopicForm(request.form)
    seen = int(form.version.data) if form.version.data.isdecimal() else None
    try:
        topic = topics.change(services().db, id_, form.asked(), seen_version=seen, by=principal().name)
    except InvalidInput as error:
        form.refuse(error.faults)
        return _edit(form, id_), 422
    except StaleEdit:
        flash("Somebody else has changed this topic. These are its values now.", "problem")
        return redirect(url_for("topics.edit", id_=id_), 303)
    flash(f"Topic “{topic.name}” is saved. Schedules get the new footer when they are saved again.")
    return redirect(url_for("topics.index"), 303)


def restored(typed: MultiDict[str, str]) -> str:
    """The page with the values that were typed before a session ended. Nothing is saved."""
    return _list(TopicForm(typed))


def _list(form: TopicForm) -> str:
    return render_template("topics.html", topics=topics.page(services().db, limit=_ROWS), form=form)


def _edit(form: TopicForm, id_: str) -> str:
    made = services()
    html = form_html(topics.get(made.db, id_), made.settings.web.public_url)
    return render_template("topic_form.html", form=form, id=id_, html=html)
