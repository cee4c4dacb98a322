"""Build the services of the API and the pages."""

from collections.abc import Mapping
from dataclasses import dataclass

from config.settings import Settings
from mailroom.assembly.api_and_sender import (
    build_body_files,
    build_circuits,
    build_fetcher,
    build_letterboxes,
    build_shares,
    build_writability,
)
from mailroom.assembly.links import build_confirm_links, build_links
from mailroom.assembly.providers import build_webhooks
from mailroom.coordination.circuits import Circuits
from mailroom.coordination.counters import Counters
from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.coordination.rate_buckets import Rates
from mailroom.domain.confirm_links import ConfirmLinks
from mailroom.domain.events import Event
from mailroom.domain.ids import RunId
from mailroom.domain.repeated_events import Intake
from mailroom.domain.reports import Report
from mailroom.domain.runs import Run
from mailroom.domain.shares import Shares
from mailroom.domain.unsubscribe_links import UnsubscribeLinks
from mailroom.feeds.fetching import Fetcher
from mailroom.providers.webhooks import WebhookFace
from mailroom.services.common.group_commit import GroupCommit
from mailroom.services.common.shared_answers import Shared
from mailroom.services.feedback.intake import group_intake
from mailroom.services.feedback.webhook_targets import Arrivals
from mailroom.services.mails.accept import Outbox
from mailroom.services.operations.caller_limits import CallerBudget
from mailroom.services.operations.rejected_requests import RejectedRequestRecord
from mailroom.services.operations.served_requests import ServedRequestRecord
from mailroom.services.operations.system_figures import SystemFigures, of_system
from mailroom.services.operations.token_check import TokenCache
from mailroom.services.operations.writability import Writability
from mailroom.services.reports.counts import run_report
from mailroom.services.schedules.pause import Brakes
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.database import Db, connect


@dataclass(frozen=True, slots=True)
class ApiServices:
    """The services of the API and the pages."""

    settings: Settings
    db: Db
    bodies: BodyFiles
    intake: GroupCommit[Event, Intake]
    outbox: Outbox
    circuits: Circuits
    rates: Rates
    webhooks: Mapping[str, WebhookFace]  # of the configured providers
    arrivals: Arrivals
    refusals: RejectedRequestRecord
    requests: ServedRequestRecord
    doorkeeper: TokenCache
    limits: CallerBudget
    brakes: Brakes
    reports: Shared[RunId, tuple[Run, Report]]
    writability: Writability
    figures: SystemFigures
    shares: Shares
    links: UnsubscribeLinks
    feeds: Fetcher
    confirm_links: ConfirmLinks


def build_api_services(settings: Settings, *, app: str) -> ApiServices:
    """Build the services of the API and the pages. Connects lazily, because the servers may still be starting."""
    stores, sending = settings.stores, settings.sending
    db = connect(stores.mongo_url, app=app)
    files, webhooks, links = build_body_files(settings, db), build_webhooks(settings), build_links(settings.web)
    return ApiServices(
        settings=settings,
        db=db,
        bodies=files,
        intake=group_intake(db),
        outbox=Outbox(db, lanes=sending.mail_lanes, providers=sending.providers, files=files, links=links),
        circuits=build_circuits(settings, of=db.name),
        rates=Rates(stores.redis_url, of=db.name),
        webhooks=webhooks,
        arrivals=Arrivals(db),
        refusals=RejectedRequestRecord(db),
        requests=ServedRequestRecord(db),
        doorkeeper=TokenCache(db),
        limits=_build_limits(settings, of=db.name),
        brakes=Brakes(Holds(stores.redis_url, of=db.name), Fences(stores.redis_url, of=db.name)),
        reports=Shared(lambda run_id: run_report(db, run_id)),
        writability=build_writability(settings, db),
        figures=of_system(
            db,
            calls_at_once=sending.concurrency,
            telling=list(webhooks),
            boxes=build_letterboxes(settings.returned_mail),
        ),
        shares=build_shares(sending),
        links=links,
        feeds=build_fetcher(settings.feeds),
        confirm_links=build_confirm_links(settings.web),
    )


def _build_limits(settings: Settings, *, of: str) -> CallerBudget:
    """Build the limits of callers. `of`: the name of the database that they count for."""
    limits = settings.limits
    return CallerBudget(
        Counters(settings.stores.redis_url, of=of),
        sign_ins_per_minute=limits.sign_ins_per_minute,
        requests_per_minute=limits.requests_per_minute,
        reports_per_minute=limits.reports_per_minute,
        subscriptions_per_minute=limits.subscriptions_per_minute,
        all_subscriptions_per_minute=limits.all_subscriptions_per_minute,
        mails_per_day=limits.mails_per_day,
    )
