"""Settings become clients and adapters: the one place that builds things. Nothing here is global."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from config.settings import Sending, Settings
from mailroom.coordination.circuits import Circuits
from mailroom.coordination.counters import Counters
from mailroom.coordination.etcd import Etcd
from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.coordination.leases import Leases
from mailroom.coordination.mirror import Mirror
from mailroom.coordination.rates import Rates
from mailroom.coordination.redis_client import RedisWrites
from mailroom.domain.circuits import CircuitRule
from mailroom.domain.doubts import Timing, Unaskable
from mailroom.domain.emails.model import RANK_OF, Priority
from mailroom.domain.events import Event
from mailroom.domain.ids import RunId
from mailroom.domain.reports import Report
from mailroom.domain.retries import Delays
from mailroom.domain.runs import Run
from mailroom.providers.base import Adapter
from mailroom.providers.mailgun.sending import MailgunAdapter
from mailroom.providers.mailgun.webhook_setup import MailgunTarget
from mailroom.providers.sendgrid.sending import SendGridAdapter
from mailroom.providers.sendgrid.webhook_setup import SendGridTarget
from mailroom.providers.ses.webhook_setup import SesTarget
from mailroom.providers.smtp.sending import SmtpAdapter
from mailroom.providers.webhook_setup import Target
from mailroom.services.common.group_commit import GroupCommit
from mailroom.services.common.shared_answers import Shared
from mailroom.services.feedback.intake import Intake, group_intake
from mailroom.services.feedback.webhook_targets import Arrivals
from mailroom.services.mails.accept import Outbox
from mailroom.services.operations.caller_limits import CallerBudget
from mailroom.services.operations.rejected_requests import RejectedRequestRecord
from mailroom.services.operations.tokens import TokenCache
from mailroom.services.operations.writability import Writability, of_stores
from mailroom.services.reconciliation.conclusions import Policy
from mailroom.services.reports.counts import run_report
from mailroom.services.schedules.pause import Brakes
from mailroom.storage.database import Db, connect
from mailroom.storage.indexes import ensure_indexes
from mailroom.storage.retention import keep_for


@dataclass(frozen=True, slots=True)
class ApiServices:
    """What the API and the pages work with."""

    settings: Settings
    db: Db
    intake: GroupCommit[Event, Intake]
    outbox: Outbox
    circuits: Circuits
    rates: Rates
    arrivals: Arrivals
    refusals: RejectedRequestRecord
    doorkeeper: TokenCache
    limits: CallerBudget
    brakes: Brakes
    reports: Shared[RunId, tuple[Run, Report]]
    writability: Writability


def build_api_services(settings: Settings, *, app: str) -> ApiServices:
    """Connects lazily: the servers may still be on their way up."""
    db = connect(settings.stores.mongo_url, app=app)
    return ApiServices(
        settings,
        db,
        group_intake(db),
        Outbox(db, lanes=settings.sending.mail_lanes, providers=settings.sending.providers),
        build_circuits(settings, of=db.name),
        Rates(settings.stores.redis_url, of=db.name),
        Arrivals(db),
        RejectedRequestRecord(db),
        TokenCache(db),
        build_limits(settings, of=db.name),
        Brakes(Holds(settings.stores.redis_url, of=db.name), Fences(settings.stores.redis_url, of=db.name)),
        Shared(lambda run_id: run_report(db, run_id)),
        build_writability(settings, db),
    )


def build_writability(settings: Settings, db: Db) -> Writability:
    """Whether the stores take writes."""
    return of_stores(db, Etcd(settings.stores.etcd_urls), RedisWrites(settings.stores.redis_url))


def build_limits(settings: Settings, *, of: str) -> CallerBudget:
    """How often callers may do what, in the database of this name."""
    limits = settings.limits
    return CallerBudget(
        Counters(settings.stores.redis_url, of=of),
        sign_ins_per_minute=limits.sign_ins_per_minute,
        requests_per_minute=limits.requests_per_minute,
        reports_per_minute=limits.reports_per_minute,
        mails_per_day=limits.mails_per_day,
    )


@dataclass(frozen=True, slots=True)
class SenderServices:
    """What a sender works with."""

    settings: Settings
    db: Db
    leases: Leases
    fences: Fences
    holds: Holds
    mirror: Mirror
    circuits: Circuits
    rates: Rates
    adapters: Mapping[str, Adapter]  # in the settings' order
    policy: Policy


def build_sender_services(settings: Settings, *, sender: str) -> SenderServices:
    """`sender` is this process's name, unique among all that run."""
    stores, sending = settings.stores, settings.sending
    db = connect(stores.mongo_url, app="sender")
    return SenderServices(
        settings=settings,
        db=db,
        leases=Leases(stores.etcd_urls, sender=sender, ttl_s=sending.lease_ttl_s),
        fences=Fences(stores.redis_url, of=db.name),
        holds=Holds(stores.redis_url, of=db.name),
        mirror=Mirror(stores.redis_url, of=db.name),
        circuits=build_circuits(settings, of=db.name),
        rates=Rates(stores.redis_url, of=db.name),
        adapters={name: build_adapter(settings, name) for name in sending.providers},
        policy=build_policy(sending),
    )


def build_circuits(settings: Settings, *, of: str) -> Circuits:
    """The providers' circuits, of the database of this name."""
    sending = settings.sending
    rule = CircuitRule(
        window=timedelta(seconds=sending.circuit_window_s),
        failures=sending.circuit_failures,
        cooldown=timedelta(seconds=sending.circuit_cooldown_s),
    )
    return Circuits(settings.stores.redis_url, rule, of=of)


def build_policy(sending: Sending) -> Policy:
    """How doubts are settled."""
    timing = Timing(
        call_timeout=timedelta(seconds=sending.call_timeout_s),
        idle_limit=timedelta(seconds=sending.idle_limit_s),
        settle=timedelta(seconds=sending.settle_s),
        log_retention=timedelta(seconds=sending.log_retention_s),
    )
    by_rank = {RANK_OF[Priority(name)]: delays for name, delays in sending.retry_delays_by_priority.items()}
    return Policy(timing, Delays(sending.retry_delays, by_rank), Unaskable(sending.unaskable))


def build_adapter(settings: Settings, name: str) -> Adapter:
    """The adapter of a provider that the settings name."""
    mailgun, sendgrid, ses = settings.mailgun, settings.sendgrid, settings.ses
    bounds: Any = {
        "call_timeout_s": settings.sending.call_timeout_s,
        "idle_limit_s": settings.sending.idle_limit_s,
    }
    match name:
        case "mailgun":
            return MailgunAdapter(domain=mailgun.domain, base_url=mailgun.base_url, api_key=mailgun.api_key, **bounds)
        case "sendgrid":
            return SendGridAdapter(base_url=sendgrid.base_url, api_key=sendgrid.api_key, **bounds)
        case "ses":
            # boto3 takes half a second and 20 MB, for nothing where SES is not used.
            from mailroom.providers.ses.sending import SesAdapter
            from mailroom.providers.ses.signing import Signer

            signer = Signer(
                region=ses.region,
                access_key=ses.access_key,
                secret_key=ses.secret_key,
                session_token=ses.session_token,
            )
            return SesAdapter(base_url=ses.base_url, signer=signer, configuration_set=ses.configuration_set, **bounds)
        case "smtp":
            return SmtpAdapter(url=settings.smtp.url, **bounds)
        case _:
            raise LookupError(f"there is no provider {name}")


def build_target(settings: Settings, name: str) -> Target:
    """Where a provider of the settings sends its webhooks. Raises LookupError for one that has none."""
    mailgun, sendgrid, ses = settings.mailgun, settings.sendgrid, settings.ses
    if name not in settings.sending.providers:
        raise LookupError(f"{name} is not among the providers")
    match name:
        case "mailgun":
            return MailgunTarget(base_url=mailgun.base_url, domain=mailgun.domain, api_key=mailgun.api_key)
        case "sendgrid":
            key = sendgrid.verification_key
            return SendGridTarget(base_url=sendgrid.base_url, api_key=sendgrid.api_key, verification_key=key)
        case "ses":
            return SesTarget(
                region=ses.region,
                topics=ses.topics,
                access_key=ses.access_key,
                secret_key=ses.secret_key,
                session_token=ses.session_token,
                endpoint=ses.sns_url or None,
            )
        case _:
            raise LookupError(f"{name} sends no webhooks")


def prepare_database(settings: Settings) -> Db:
    """The database with every index that the queries and the retention need. Safe to call by every process at its
    start."""
    db, kept = connect(settings.stores.mongo_url, app="prepare"), settings.retention
    ensure_indexes(db)
    for collection, span in (("events", kept.events), ("bodies", kept.bodies), ("refusals", kept.refusals)):
        keep_for(db, collection, span)
    return db
