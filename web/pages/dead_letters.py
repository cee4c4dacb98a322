"""Failed provider requests and their reasons: retried, or dismissed, after a question."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.searches import DeadLetterSearch
from mailroom.domain.words import counted
from mailroom.services.operations import dead_letters
from mailroom.services.operations.dead_letters import Chosen
from mailroom.services.reports import descriptions
from web.confirm import Question, ask
from web.flashes import flash_problem
from web.session import principal, services, signed_in

blueprint = Blueprint("dead_letters", __name__)
_ROWS: Final = 50
_NAMED: Final = 500  # requests that a question names one by one: their ids fit into a form
_REASONS: Final = 5  # that are shown


@blueprint.get("/dead-letters")
@signed_in()
def index() -> str:
    found = dead_letters.page(services().db, _search(request.args), after=request.args.get("after", ""), limit=_ROWS)
    return render_template(
        "dead_letters.html",
        letters=found,
        descriptions=descriptions.describe(services().db, [letter.id for letter in found]),
        run_id=request.args.get("run_id", ""),
        code=request.args.get("code", ""),
        after=found[-1].id if len(found) == _ROWS else None,
    )


@blueprint.post("/dead-letters/ask")
@signed_in("mail", "schedules")
def ask_act() -> ResponseReturnValue:
    """Ask about the selected requests, or all of the filter that was on the page, with their number."""
    verb, _, extent = request.form.get("do", "").partition(" ")
    chosen = _reachable(_ids(request.form) if extent == "selected" else _search(request.form))
    ids, more = _named(chosen)
    if not ids:
        flash("Nothing was selected." if extent == "selected" else "Nothing has failed.", "problem")
        return _back()
    requests = f"more than {counted(len(ids), 'failed request')}" if more else counted(len(ids), "failed request")
    if verb == "requeue":
        question = f"Retry {requests}?", "Retry", "Their emails are sent again. Retry after the cause is fixed."
    else:
        question = f"Dismiss {requests}?", "Dismiss", "They leave this list and stay failed. This cannot be undone."
    title, button, detail = question
    fields: dict[str, str | Sequence[str]] = {"do": f"{verb} all"} if more else {"do": f"{verb} selected", "id": ids}
    return ask(
        Question(title, button, [detail], fields | _filter(request.form), destructive=verb != "requeue"),
        act=url_for("dead_letters.act"),
        back=url_for("dead_letters.index", **_filter(request.form)),
    )


@blueprint.post("/dead-letters")
@signed_in("mail", "schedules")
def act() -> ResponseReturnValue:
    """Retry or dismiss. A request that is not on the list any more is passed over; one that has failed again since is
    retried again."""
    verb, _, extent = request.form.get("do", "").partition(" ")
    db, by = services().db, principal().name
    chosen = _reachable(_ids(request.form) if extent == "selected" else _search(request.form))
    if verb == "requeue":
        done = dead_letters.requeue(db, chosen, by=by)
        flash(f"{counted(done.done, 'request')} {'is' if done.done == 1 else 'are'} retried.")
        for reason in list(done.refused.values())[:_REASONS]:
            flash_problem(reason)
    elif verb == "drop":
        flash(f"{counted(dead_letters.drop(db, chosen, by=by), 'request')} dismissed. Dismissed requests stay failed.")
    return _back()


def _reachable(chosen: Chosen) -> Chosen:
    """Those that this token may decide about; the reason for each other is flashed."""
    reachable, beyond = dead_letters.within_reach(chosen, principal())
    for reason in sorted(set(beyond.values())):
        flash_problem(f"{counted(len(beyond), 'request')}: {reason}")
    return reachable


def _named(chosen: Chosen) -> tuple[list[str], bool]:
    """The ids of the first requests, and whether there are more."""
    if not isinstance(chosen, DeadLetterSearch):
        return list(chosen), False
    rows = dead_letters.page(services().db, chosen, after="", limit=_NAMED + 1)
    return [row.id for row in rows[:_NAMED]], len(rows) > _NAMED


def _ids(form: MultiDict[str, str]) -> list[DispatchId]:
    return [DispatchId(id_) for id_ in form.getlist("id")]


def _filter(form: Mapping[str, str]) -> dict[str, Any]:  # type: ignore[explicit-any]  # for url_for
    return {name: form[name] for name in ("run_id", "code") if form.get(name)}


def _search(asked: Mapping[str, str]) -> DeadLetterSearch:
    run_id, code = asked.get("run_id", "").strip(), asked.get("code", "").strip()
    return DeadLetterSearch(
        RunId(run_id) if run_id else None, code=int(code) if re.fullmatch("[0-9]{1,6}", code) else None
    )


def _back() -> ResponseReturnValue:
    return redirect(url_for("dead_letters.index", **_filter(request.form)), 303)
