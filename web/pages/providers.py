"""Providers: their order, whether they accept mail, their health, rate limits, and webhooks."""

import time
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mailroom.assembly.providers import build_sending_domains, build_target
from mailroom.domain.errors import InvalidInput, LimitNotFound, ProviderNotFound, SendingStopped, Unavailable
from mailroom.domain.rates import LimitKind, Per
from mailroom.domain.words import counted
from mailroom.services.feedback import webhook_targets
from mailroom.services.operations import providers, rate_limits, sending_domains
from mailroom.storage.webhook_targets import NOT_PUSHED
from web.flashes import flash_problem
from web.forms.provider import RateLimitForm, WebhookForm
from web.session import principal, services, signed_in

blueprint = Blueprint("providers", __name__)
_WAIT_S: Final = 15


@blueprint.get("/providers")
@signed_in()
def index() -> str:
    return _page()


@blueprint.get("/providers/domains")
@signed_in()
def domains() -> str:
    """What DNS has of the sending domains. It is asked at each view."""
    settings = services().settings
    known = build_sending_domains(settings)
    return render_template(
        "sending_domains.html",
        domains=sending_domains.check(known, settings.sending.dns_servers),
        unnamed=[name for name in _configured() if name not in {one.provider for one in known}],
    )


@blueprint.post("/providers/<name>/<any(enable,disable):what>")
@signed_in("admin")
def enable(name: str, what: str) -> ResponseReturnValue:
    enabled = what == "enable"
    try:
        left = providers.enable(services().db, services().circuits, _configured(), name, enabled, by=principal().name)
    except InvalidInput as error:
        flash_problem("; ".join(fault.message for fault in error.faults))
        return _back()
    flash(f"{name} accepts mail." if enabled else f"{name} accepts no mail; it is still asked about emails in doubt.")
    if not left:
        flash("No provider is enabled now: nothing is sent until one is.", "problem")
    return _back()


@blueprint.post("/providers/<name>/first")
@signed_in("admin")
def first(name: str) -> ResponseReturnValue:
    """Put it before all others."""
    standing = [provider.name for provider in providers.listing(services().db, services().circuits, _configured())]
    names = [name, *(other for other in standing if other != name)]
    try:
        providers.reorder(services().db, _configured(), names, by=principal().name)
        flash(f"{name} is the primary provider.")
    except InvalidInput as error:
        flash_problem("; ".join(fault.message for fault in error.faults))
    return _back()


@blueprint.post("/providers/limits")
@signed_in("admin")
def limit() -> ResponseReturnValue:
    form = RateLimitForm(request.form)
    db, rates, by = services().db, services().rates, principal().name
    try:
        kind, name = form.target()
        put = rate_limits.put(db, rates, _configured(), kind, name, form.draft(), by=by)
    except InvalidInput as error:
        form.refuse(error.faults)
        return _page(form), 422
    except ProviderNotFound as error:
        form.complain("of", str(error))
        return _page(form), 422
    flash(f"{put.limit.name}: {counted(put.mails_now, 'email')} per {put.limit.per} from now on.")
    return _back()


def restored(typed: MultiDict[str, str]) -> str:
    """The page with the limit that was typed before a session ended. Nothing is saved."""
    return _page(RateLimitForm(typed))


@blueprint.post("/providers/limits/<any(provider,domain):kind>/<name>/remove")
@signed_in("admin")
def remove_limit(kind: str, name: str) -> ResponseReturnValue:
    try:
        rate_limits.remove(services().db, services().rates, kind, name, by=principal().name)
        flash(f"{name} has no limit any more.")
    except LimitNotFound:
        flash(f"{name} has no limit any more.")
    return _back()


@blueprint.post("/providers/<name>/webhooks")
@signed_in("admin")
def push_target(name: str) -> ResponseReturnValue:
    """Register our URL at the provider, and wait a moment for a test event."""
    form = WebhookForm(request.form)
    db, by = services().db, principal().name
    try:
        target = build_target(services().settings, name)
        pushed = webhook_targets.push(db, target, name, form.url.data, by=by, wait_s=_WAIT_S, sleep=time.sleep)
    except InvalidInput as error:
        for fault in error.faults:
            form.complain("url", fault.message)
        return _page(webhook=(name, form)), 422
    except (LookupError, SendingStopped, Unavailable) as error:
        form.complain("url", str(error))
        return _page(webhook=(name, form)), 409
    if not pushed.asked:
        flash(f"{name} was given {pushed.url}. It has no test event: after the next email, look at Last event here.")
    elif pushed.arrived_after_s is None:
        silent = f"{name} was given {pushed.url}, but no test event arrived within {_WAIT_S} s. Can it be reached?"
        flash(silent, "problem")
    else:
        flash(f"{name} sends its events to {pushed.url}: a test event came after {pushed.arrived_after_s:.1f} s.")
    return _back()


def _page(form: RateLimitForm | None = None, webhook: tuple[str, WebhookForm] | None = None) -> str:
    db = services().db
    listed = providers.listing(db, services().circuits, _configured(), services().shares)
    targets = webhook_targets.listing(db)
    urls = {one.name: WebhookForm(data={"url": services().settings.web.public_url}) for one in listed}
    return render_template(
        "providers.html",
        providers=listed,
        shared=bool(services().shares.providers),
        limits=rate_limits.listing(db, services().rates),
        form=form or RateLimitForm(data={"per": Per.HOUR}),
        webhooks={name: targets.get(name, NOT_PUSHED) for name in _configured()},
        webhook_forms=urls | dict([webhook] if webhook else []),
        targets=[f"{LimitKind.PROVIDER}/{name}" for name in _configured()],
    )


def _configured() -> tuple[str, ...]:
    return services().settings.sending.providers


def _back() -> ResponseReturnValue:
    return redirect(url_for("providers.index"), 303)
