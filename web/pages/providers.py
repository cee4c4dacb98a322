"""Who carries the mail: order, enabled or not, circuits, and how fast mail may go."""

import time
from typing import Any, Final

from flask import Blueprint, flash, redirect, render_template, request, url_for

from mailroom.assembly import build_target
from mailroom.domain.errors import InvalidInput, MailroomError, Unavailable
from mailroom.domain.rates import LimitKind, Per
from mailroom.services.feedback import webhook_targets
from mailroom.services.operations import providers, rate_limits
from web.session import principal, services, signed_in

blueprint = Blueprint("providers", __name__)
_WAIT_S: Final = 15


@blueprint.get("/providers")
@signed_in()
def index() -> str:
    return _page({})


@blueprint.post("/providers/<name>/<any(enable,disable):what>")
@signed_in("admin")
def enable(name: str, what: str) -> Any:
    enabled = what == "enable"
    try:
        left = providers.enable(services().db, services().circuits, _configured(), name, enabled, by=principal().name)
    except InvalidInput as error:
        flash(f"Not done: {'; '.join(fault.message for fault in error.faults)}.")
        return _back()
    flash(f"{name} accepts mail." if enabled else f"{name} accepts no mail; it is still asked about emails in doubt.")
    if not left:
        flash("No provider is enabled now: nothing is sent until one is.")
    return _back()


@blueprint.post("/providers/<name>/first")
@signed_in("admin")
def first(name: str) -> Any:
    """Put it before all others."""
    standing = [one.name for one in providers.listing(services().db, services().circuits, _configured())]
    names = [name, *(one for one in standing if one != name)]
    try:
        providers.reorder(services().db, _configured(), names, by=principal().name)
        flash(f"{name} is the primary provider.")
    except InvalidInput as error:
        flash(f"Not done: {'; '.join(fault.message for fault in error.faults)}.")
    return _back()


@blueprint.post("/providers/limits")
@signed_in("admin")
def limit() -> Any:
    """Set a limit. What is wrong comes back with the form as it was filled in."""
    form = request.form.to_dict()
    try:
        mails = int(form.get("mails", "")) if form.get("mails", "").strip().isdigit() else None
        draft = {"mails": mails, "per": form.get("per"), "warm_up": rate_limits.read_warm_up(form.get("warm_up", ""))}
        kind, _, name = form.get("of", "").strip().rpartition("/")
        put = rate_limits.put(
            services().db, services().rates, _configured(), kind or LimitKind.DOMAIN, name, draft, by=principal().name
        )
    except InvalidInput as error:
        return _page({fault.path: fault.message for fault in error.faults}, form), 422
    flash(f"{put.limit.name}: {put.mails_now:,} per {put.limit.per} from now on.")
    return _back()


@blueprint.post("/providers/limits/<any(provider,domain):kind>/<name>/remove")
@signed_in("admin")
def remove_limit(kind: str, name: str) -> Any:
    try:
        rate_limits.remove(services().db, services().rates, kind, name, by=principal().name)
        flash(f"{name} has no limit any more.")
    except MailroomError as error:
        flash(f"Not done: {error}.")
    return _back()


@blueprint.post("/providers/<name>/webhooks")
@signed_in("admin")
def push_target(name: str) -> Any:
    """Push our URL, and wait a moment for a test event."""
    try:
        target = build_target(services().settings, name)
        pushed = webhook_targets.push(
            services().db,
            target,
            name,
            request.form.get("url", ""),
            by=principal().name,
            wait_s=_WAIT_S,
            sleep=time.sleep,
        )
        if pushed.arrived_after_s is None:
            flash(f"{name} was told of {pushed.url}, but no test event came within {_WAIT_S} s: can it be reached?")
        else:
            flash(f"{name} sends its webhooks to {pushed.url}: a test event came after {pushed.arrived_after_s:.1f} s.")
    except (LookupError, InvalidInput, Unavailable) as error:
        flash(f"Not done: {error}.")
    return _back()


def _page(faults: dict[str, str], form: dict[str, str] | None = None) -> str:
    db = services().db
    return render_template(
        "providers.html",
        providers=providers.listing(db, services().circuits, _configured()),
        limits=rate_limits.listing(db, services().rates),
        spans=list(Per),
        faults=faults,
        form=form or {},
        webhooks=webhook_targets.listing(db),
        public_url=services().settings.web.public_url,
        targets=[f"{LimitKind.PROVIDER}/{name}" for name in _configured()],
    )


def _configured() -> tuple[str, ...]:
    return services().settings.sending.providers


def _back() -> Any:
    return redirect(url_for("providers.index"), 303)
