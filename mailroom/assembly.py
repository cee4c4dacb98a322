"""Build clients, adapters and services from the settings: the only place that does. Nothing here is global."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from config.feeds import FeedSettings
from config.mailboxes import ReturnedMail
from config.settings import Sending, Settings, Web
from config.shares import OTHERS
from mailroom.coordination.circuits import Circuits
from mailroom.coordination.counters import Counters
from mailroom.coordination.etcd import Etcd
from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.coordination.leases import Leases
from mailroom.coordination.mirror import Mirror
from mailroom.coordination.rate_buckets import Rates
from mailroom.coordination.redis_client import RedisWrites
from mailroom.domain.circuits import CircuitRule
from mailroom.domain.confirm_links import ConfirmLinks
from mailroom.domain.dispatches.doubts import Timing, Unaskable
from mailroom.domain.dispatches.retry_or_halve import Delays
from mailroom.domain.emails.model import RANK_OF, Priority
from mailroom.domain.errors import Unavailable
from mailroom.domain.events import Event
from mailroom.domain.feeds.rules import FeedRules, FeedSecret
from mailroom.domain.ids import RunId
from mailroom.domain.repeated_events import Intake
from mailroom.domain.reports import Report
from mailroom.domain.return_paths import ReturnPaths
from mailroom.domain.runs import Run
from mailroom.domain.sending_domains import SendingDomain
from mailroom.domain.shares import NO_SHARES, Shares
from mailroom.domain.unsubscribe_links import UnsubscribeLinks
from mailroom.feeds.fetching import Fetcher
from mailroom.mailboxes.imap import ImapFolder
from mailroom.providers.base import Adapter
from mailroom.providers.mailgun.sending import MailgunAdapter
from mailroom.providers.mailgun.suppression_lists import MailgunLists
from mailroom.providers.mailgun.webhook_setup import MailgunTarget
from mailroom.providers.mailgun.webhooks import MailgunWebhooks
from mailroom.providers.postmark.sending import PostmarkAdapter
from mailroom.providers.postmark.webhook_setup import PostmarkTarget
from mailroom.providers.postmark.webhooks import PostmarkWebhooks
from mailroom.providers.resend.sending import ResendAdapter
from mailroom.providers.resend.webhook_setup import ResendTarget
from mailroom.providers.resend.webhooks import ResendWebhooks
from mailroom.providers.sendgrid.sending import SendGridAdapter
from mailroom.providers.sendgrid.webhook_setup import SendGridTarget
from mailroom.providers.sendgrid.webhooks import SendGridWebhooks
from mailroom.providers.ses.webhook_setup import SesTarget
from mailroom.providers.ses.webhooks import SesWebhooks
from mailroom.providers.smtp.sending import SmtpAdapter
from mailroom.providers.webhook_setup import Target
from mailroom.providers.webhooks import WebhookFace
from mailroom.services.common.group_commit import GroupCommit
from mailroom.services.common.shared_answers import Shared
from mailroom.services.feedback.intake import group_intake
from mailroom.services.feedback.webhook_targets import Arrivals
from mailroom.services.mails.accept import Outbox
from mailroom.services.operations.caller_limits import CallerBudget
from mailroom.services.operations.campaign_checks import Senders
from mailroom.services.operations.mailboxes import Letterbox
from mailroom.services.operations.rejected_requests import RejectedRequestRecord
from mailroom.services.operations.returned_mail import Recognition
from mailroom.services.operations.served_requests import ServedRequestRecord
from mailroom.services.operations.system_figures import SystemFigures, of_system
from mailroom.services.operations.token_check import TokenCache
from mailroom.services.operations.writability import Writability, of_stores
from mailroom.services.reconciliation.conclusions import Policy
from mailroom.services.reports.counts import run_report
from mailroom.services.schedules.pause import Brakes
from mailroom.storage import migrations
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.body_files.s3_bucket import S3Bucket
from mailroom.storage.database import Db, connect
from mailroom.storage.indexes import ensure_indexes
from mailroom.storage.retention import keep_for

_MIGRATE_S: Final = 10.0  # of a start


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
    db = connect(settings.stores.mongo_url, app=app)
    files, webhooks, links = build_body_files(settings, db), build_webhooks(settings), build_links(settings.web)
    return ApiServices(
        settings,
        db,
        files,
        group_intake(db),
        Outbox(db, lanes=settings.sending.mail_lanes, providers=settings.sending.providers, files=files, links=links),
        build_circuits(settings, of=db.name),
        Rates(settings.stores.redis_url, of=db.name),
        webhooks,
        Arrivals(db),
        RejectedRequestRecord(db),
        ServedRequestRecord(db),
        TokenCache(db),
        build_limits(settings, of=db.name),
        Brakes(Holds(settings.stores.redis_url, of=db.name), Fences(settings.stores.redis_url, of=db.name)),
        Shared(lambda run_id: run_report(db, run_id)),
        build_writability(settings, db),
        of_system(
            db,
            calls_at_once=settings.sending.concurrency,
            telling=list(webhooks),
            boxes=build_letterboxes(settings.returned_mail),
        ),
        build_shares(settings.sending),
        links,
        build_fetcher(settings.feeds),
        build_confirm_links(settings.web),
    )


def build_writability(settings: Settings, db: Db) -> Writability:
    """Build the check whether the stores take writes."""
    return of_stores(db, Etcd(settings.stores.etcd_urls), RedisWrites(settings.stores.redis_url))


def build_limits(settings: Settings, *, of: str) -> CallerBudget:
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


@dataclass(frozen=True, slots=True)
class SenderServices:
    """The services of a sender."""

    settings: Settings
    db: Db
    bodies: BodyFiles
    leases: Leases
    fences: Fences
    holds: Holds
    mirror: Mirror
    circuits: Circuits
    rates: Rates
    adapters: Mapping[str, Adapter]  # in the settings' order
    policy: Policy
    shares: Shares = NO_SHARES
    links: UnsubscribeLinks | None = None  # without them mail of a topic is refused
    feeds: Fetcher = field(default_factory=lambda: Fetcher(FeedRules()))
    letterboxes: Sequence[Letterbox] = ()

    @property
    def recognition(self) -> Recognition:
        """The keys by which returned mails are recognised."""
        links = self.links or build_links(self.settings.web)
        return Recognition(build_return_paths(self.settings), links)


def build_sender_services(settings: Settings, *, sender: str) -> SenderServices:
    """Build the services of a sender. `sender`: the name of this process, unique among all running processes."""
    stores, sending = settings.stores, settings.sending
    db = connect(stores.mongo_url, app="sender")
    return SenderServices(
        settings=settings,
        db=db,
        bodies=build_body_files(settings, db),
        leases=Leases(stores.etcd_urls, sender=sender, ttl_s=sending.lease_ttl_s),
        fences=Fences(stores.redis_url, of=db.name),
        holds=Holds(stores.redis_url, of=db.name),
        mirror=Mirror(stores.redis_url, of=db.name),
        circuits=build_circuits(settings, of=db.name),
        rates=Rates(stores.redis_url, of=db.name),
        adapters={name: build_adapter(settings, name) for name in sending.providers},
        policy=build_policy(sending),
        links=build_links(settings.web),
        shares=build_shares(sending),
        feeds=build_fetcher(settings.feeds),
        letterboxes=build_letterboxes(settings.returned_mail),
    )


def build_return_paths(settings: Settings) -> ReturnPaths:
    """Build the maker and reader of return paths."""
    web = settings.web
    return ReturnPaths(settings.returned_mail.return_path, web.secret_keys, retired=web.retired_keys)


def build_letterboxes(returned_mail: ReturnedMail) -> list[Letterbox]:
    """Build the mailboxes that are read, with their numbers from 1."""
    return [Letterbox(number, ImapFolder(place)) for number, place in enumerate(returned_mail.mailboxes, 1)]


def build_mailgun_lists(settings: Settings) -> MailgunLists | None:
    """Build Mailgun's own lists of suppressions; None if Mailgun is not among the providers."""
    mailgun = settings.mailgun
    if "mailgun" not in settings.sending.providers:
        return None
    return MailgunLists(base_url=mailgun.base_url, domain=mailgun.domain, api_key=mailgun.api_key)


def build_fetcher(feeds: FeedSettings) -> Fetcher:
    """Build what fetches feeds, by the rules of the settings."""
    secrets = {name: FeedSecret(of.value, frozenset(of.places)) for name, of in feeds.secrets.items()}
    places = None if feeds.places is None else frozenset(feeds.places)
    rules = FeedRules(places, frozenset(feeds.private), feeds.http, frozenset(feeds.ports), secrets)
    return Fetcher(rules)


def build_shares(sending: Sending) -> Shares:
    """Build the shares between the providers."""
    by_domain = {domain: weights for domain, weights in sending.shares.items() if domain != OTHERS}
    return Shares(sending.shares.get(OTHERS, {}), by_domain)


def build_links(web: Web) -> UnsubscribeLinks:
    """Build the maker and reader of unsubscribe links."""
    return UnsubscribeLinks(web.public_url, web.secret_keys, retired=web.retired_keys, mailbox=web.unsubscribe_mailbox)


def build_confirm_links(web: Web) -> ConfirmLinks:
    """Build the maker and reader of links that confirm a subscription."""
    return ConfirmLinks(web.public_url, web.secret_keys)


def build_body_files(settings: Settings, db: Db) -> BodyFiles:
    """Build the files of large bodies: in S3 if the settings name a bucket, else in GridFS."""
    s3 = settings.bodies_s3
    if s3 is None:
        return BodyFiles(db)
    bucket = S3Bucket(s3.bucket, endpoint=s3.url, region=s3.region, access_key=s3.access_key, secret_key=s3.secret_key)
    return BodyFiles(db, bucket)


def build_sending_domains(settings: Settings) -> list[SendingDomain]:
    """Build the domains for which the configured providers may send. MAILGUN_DOMAIN is one of them."""
    named = [SendingDomain(*domain) for domain in settings.sending.domains]
    own = settings.mailgun.domain
    if "mailgun" in settings.sending.providers and own not in [known.domain for known in named]:
        named.append(SendingDomain("mailgun", own))
    return named


def build_senders(settings: Settings) -> Senders:
    """Build what a campaign's From domain is checked against."""
    return Senders(build_sending_domains(settings), settings.sending.providers)


def build_circuits(settings: Settings, *, of: str) -> Circuits:
    """Build the circuits of the providers. `of`: the name of the database that they belong to."""
    sending = settings.sending
    rule = CircuitRule(
        window=timedelta(seconds=sending.circuit_window_s),
        failures=sending.circuit_failures,
        cooldown=timedelta(seconds=sending.circuit_cooldown_s),
    )
    return Circuits(settings.stores.redis_url, rule, of=of)


def build_policy(sending: Sending) -> Policy:
    """Build the policy for doubts and retries."""
    timing = Timing(
        call_timeout=timedelta(seconds=sending.call_timeout_s),
        idle_limit=timedelta(seconds=sending.idle_limit_s),
        settle=timedelta(seconds=sending.settle_s),
        log_retention=timedelta(seconds=sending.log_retention_s),
    )
    by_rank = {RANK_OF[Priority(name)]: delays for name, delays in sending.retry_delays_by_priority.items()}
    return Policy(timing, Delays(sending.retry_delays, by_rank), Unaskable(sending.unaskable))


def build_adapter(settings: Settings, name: str) -> Adapter:
    """Build the adapter of a configured provider. Raises LookupError for any other name."""
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
            # boto3 takes half a second and 20 MB, which is wasted without SES.
            from mailroom.providers.ses.sending import SesAdapter
            from mailroom.providers.ses.signing import Signer

            signer = Signer(
                region=ses.region,
                access_key=ses.access_key,
                secret_key=ses.secret_key,
                session_token=ses.session_token,
            )
            return SesAdapter(base_url=ses.base_url, signer=signer, configuration_set=ses.configuration_set, **bounds)
        case "postmark":
            postmark = settings.postmark
            return PostmarkAdapter(
                base_url=postmark.base_url,
                server_token=postmark.server_token,
                transactional_stream=postmark.transactional_stream,
                broadcast_stream=postmark.broadcast_stream,
                **bounds,
            )
        case "resend":
            return ResendAdapter(base_url=settings.resend.base_url, api_key=settings.resend.api_key, **bounds)
        case "smtp":
            returned = settings.returned_mail
            paths = build_return_paths(settings) if returned.return_path else None
            bounces_read = bool(returned.mailboxes)
            return SmtpAdapter(url=settings.smtp.url, return_paths=paths, bounces_read=bounces_read, **bounds)
        case _:
            raise LookupError(f"there is no provider {name}")


def build_target(settings: Settings, name: str) -> Target:
    """Build the target of a configured provider's webhooks. Raises LookupError for any other provider, and for a
    provider without webhooks."""
    mailgun, sendgrid, ses = settings.mailgun, settings.sendgrid, settings.ses
    if name not in settings.sending.providers:
        raise LookupError(f"{name} is not among the providers")
    match name:
        case "mailgun":
            return MailgunTarget(base_url=mailgun.base_url, domain=mailgun.domain, api_key=mailgun.api_key)
        case "sendgrid":
            key = sendgrid.verification_keys[0]
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
        case "postmark":
            postmark = settings.postmark
            return PostmarkTarget(
                base_url=postmark.base_url,
                server_token=postmark.server_token,
                secret=postmark.webhook_secrets[0],
                streams=(postmark.transactional_stream, postmark.broadcast_stream),
            )
        case "resend":
            resend = settings.resend
            return ResendTarget(base_url=resend.base_url, api_key=resend.api_key, secret=resend.webhook_secrets[0])
        case _:
            raise LookupError(f"{name} sends no webhooks")


def build_webhooks(settings: Settings) -> dict[str, WebhookFace]:
    """Build the webhooks of each provider with a key, a secret or topics in the settings, by name. Without these a
    forged webhook could not be detected, so a provider without them has no webhooks."""
    mailgun, sendgrid, ses = settings.mailgun, settings.sendgrid, settings.ses
    faces: list[WebhookFace] = []
    if mailgun.signing_keys:
        faces.append(MailgunWebhooks(domain=mailgun.domain, signing_keys=mailgun.signing_keys))
    if sendgrid.verification_keys:
        faces.append(SendGridWebhooks(verification_keys=sendgrid.verification_keys))
    if ses.topics:
        faces.append(SesWebhooks(topics=ses.topics))
    if settings.postmark.webhook_secrets:
        faces.append(PostmarkWebhooks(secrets=settings.postmark.webhook_secrets))
    if settings.resend.webhook_secrets:
        faces.append(ResendWebhooks(secrets=settings.resend.webhook_secrets))
    return {face.name: face for face in faces}


def require_readable_database(settings: Settings) -> None:
    """Raises DatabaseTooNew. While MongoDB is away nothing is raised: the first part that needs MongoDB reports it."""
    db = connect(settings.stores.mongo_url, app="prepare")
    with contextlib.suppress(Unavailable), db.client:
        migrations.require_readable_database(db)


def prepare_database(settings: Settings) -> Db:
    """Create every index that the queries and the retention need, and migrate what an earlier version stored, for some
    seconds; senders do what is left. Returns the database. Every process may call it at its start. Raises
    DatabaseTooNew, Unavailable."""
    db, retention = connect(settings.stores.mongo_url, app="prepare"), settings.retention
    migrations.require_readable_database(db)
    ensure_indexes(db)
    migrations.migrate(db, within_s=_MIGRATE_S, at_start=True)
    for collection in ("events", "bodies", "refusals", "requests"):
        keep_for(db, collection, getattr(retention, collection))
    return db
