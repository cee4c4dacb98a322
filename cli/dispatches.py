"""`mailroom dispatches`: list, show, resolve and requeue at the terminal."""

import click

from cli.answers import Body, answer
from cli.command_table import Noun
from cli.common import actor, services
from cli.paging import choice_of, paged
from cli.questions import asks, confirm
from cli.tables import print_fields, print_page, print_rows
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.words import counted
from mailroom.services.dispatching.requeue import requeue_failed
from mailroom.services.reconciliation import resolve
from mailroom.services.reconciliation.resolve import Resolution
from mailroom.services.reports import runs as run_views
from mailroom.services.reports.descriptions import describe
from mailroom.storage.database import Db
from scheduler_api import paging
from scheduler_api.schemas import dispatches as schemas
from scheduler_api.schemas.dead_letters import DoneOut
from scheduler_api.schemas.people import DispatchPage, described


@click.group(cls=Noun)
def dispatches() -> None:
    """Dispatches: one call to a provider each."""


@dispatches.command("list")
@click.option("--state", type=choice_of(DispatchState), default="in_doubt", show_default=True)
@click.option("--run", "run_id", help="Of a run, or the id of a single mail.")
@paged
def list_dispatches(state: str, run_id: str | None, limit: int, cursor: str | None) -> None:
    """Dispatches in a state, and why."""
    db, after, of = services().db, paging.decode_id(cursor), RunId(run_id) if run_id else None
    found = run_views.dispatches_of(db, state=DispatchState(state), run_id=of, after=after, limit=limit)
    about = describe(db, [dispatch.id for dispatch in found])
    page = paging.page_of(found, limit, lambda one: described(schemas.dispatch(one), about), paging.by_id)
    answer(DispatchPage, page, _show_page)


@dispatches.command("show")
@click.argument("dispatch_id")
def show_dispatch(dispatch_id: str) -> None:
    """A dispatch with its audit trail."""
    view = run_views.dispatch(services().db, DispatchId(dispatch_id))
    answer(schemas.DispatchOut, schemas.whole_dispatch(view), _show)


@dispatches.command("resolve")
@click.argument("dispatch_id")
@click.option("--went-out", "word", flag_value=Resolution.WENT_OUT.value, help="It went out: count it as sent.")
@click.option("--send-again", "word", flag_value=Resolution.SEND_AGAIN.value, help="It did not: make a new attempt.")
@asks
def resolve_dispatch(dispatch_id: str, word: str | None) -> None:
    """Decide about a dispatch whose outcome is unknown.

    --went-out is also for a dispatch in doubt, --send-again also for a failed one.
    """
    if word is None:
        raise click.UsageError("say --went-out or --send-again")
    db, id_ = services().db, DispatchId(dispatch_id)
    seen = run_views.dispatch(db, id_).dispatch
    emails = counted(seen.messages, "email")
    if word == Resolution.WENT_OUT:
        confirm(f"Mark {emails} as sent?", _about(db, id_), "The request is never made again.")
    else:
        failed = seen.state is DispatchState.FAILED
        risk = "It was not accepted before." if failed else "If it was accepted before, recipients get it twice."
        confirm(f"Resend {emails}?", _about(db, id_), risk)
    resolve.resolve(db, id_, Resolution(word), by=actor(), attempt=seen.attempt)

    def show(_: Body) -> None:
        click.echo(f"{dispatch_id}: {word.replace('_', ' ')}")

    answer(schemas.DispatchOut, schemas.whole_dispatch(run_views.dispatch(db, id_)), show)


@dispatches.command("requeue")
@click.argument("dispatch_id")
@asks
def requeue_dispatch(dispatch_id: str) -> None:
    """Send a dispatch again that failed: a new attempt, with all its tries."""
    db, id_ = services().db, DispatchId(dispatch_id)
    messages = run_views.dispatch(db, id_).dispatch.messages
    confirm(f"Retry a request with {counted(messages, 'email')}?", _about(db, id_))
    refused = requeue_failed(db, [id_], by=actor())
    for why in refused.values():
        raise click.ClickException(why)
    answer(DoneOut, {"done": 1, "refused": {}}, lambda _: click.echo(f"{dispatch_id}: to be sent again"))


def _about(db: Db, dispatch_id: DispatchId) -> str:
    """Its recipients and its subject."""
    of = describe(db, [dispatch_id]).get(dispatch_id)
    if of is None or not of.recipients:
        return f"Request: {dispatch_id}"
    others = f" and {of.recipients_count - 1:,} more" if of.recipients_count > 1 else ""
    return f"To {of.recipients[0]}{others}: {of.subject}"


def _show_page(body: Body) -> None:
    columns = {"id": "id", "messages": "messages", "attempt": "attempt", "to": "recipients", "subject": "subject"}
    print_page(body, {**columns, "reason": lambda one: one["reason"] or ""})


def _show(body: Body) -> None:
    print_fields({name: value for name, value in body.items() if name != "trail"})
    rows = [{"at": step["at"], "step": step["step"], "details": _details(step)} for step in body["trail"]]
    print_rows(rows, {"at": "at", "step": "step", "details": "details"})


def _details(step: Body) -> Body:
    return {name: value for name, value in step.items() if name not in ("at", "step")}
