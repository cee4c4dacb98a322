"""The environment (and a `.env` file) as frozen, typed settings, read once at start.

All mistakes are reported together, each with its name and what was expected. A secret may be given as `NAME_FILE`,
a path to a file that holds it, and never shows in a repr or a log.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from config.bodies_s3 import BodiesS3, read_bodies_s3
from config.descriptions import LOG_LEVELS, PRIORITIES, PROVIDERS, UNASKABLE
from config.feeds import FeedSettings, read_feeds
from config.mailboxes import ReturnedMail, read_returned_mail
from config.provider_accounts import Mailgun, Postmark, Resend, SendGrid, Ses, Smtp, read_accounts
from config.reading import Reader, matching
from config.sending_domains import NamedDomain, read_domains, read_servers
from config.shares import Weights, read_shares
from config.stores import Stores, read_stores
from mailroom.domain.addresses import check_address


class BadSettings(Exception):
    """One or more settings are missing or wrong; `faults` has a line for each."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


@dataclass(frozen=True, slots=True)
class Web:
    bind: str  # the address on which API, pages and webhooks-in listen
    api_port: int
    web_port: int
    webhooks_port: int
    public_url: str  # without a final slash
    secret_keys: tuple[str, ...] = field(repr=False)  # the first signs, the others verify
    retired_keys: tuple[str, ...] = field(repr=False)  # they verify nothing but links to unsubscribe and return paths
    unsubscribe_mailbox: str  # that readers may write to in order to leave; '': none
    session_idle: timedelta
    session_lifetime: timedelta


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """Of the proxy that ends TLS before API, pages and webhooks."""

    api_port: int
    web_port: int
    status_port: int
    certificate: str  # a path; '': a self-signed one is made


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """Limits of one caller; None means no limit."""

    sign_ins_per_minute: int | None
    requests_per_minute: int | None
    reports_per_minute: int | None
    subscriptions_per_minute: int | None  # by form, from one address
    all_subscriptions_per_minute: int | None
    mails_per_day: int | None
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]


@dataclass(frozen=True, slots=True)
class Sending:
    providers: tuple[str, ...]
    shares: Mapping[str, Weights]  # by the recipients' domain; OTHERS: all mail without weights of its own
    domains: tuple[NamedDomain, ...]  # MAILGUN_DOMAIN is one of them in any case
    dns_servers: tuple[tuple[str, int], ...]  # (): those of the host
    lease_ttl_s: int
    retry_delays: tuple[timedelta, ...]
    retry_delays_by_priority: Mapping[str, tuple[timedelta, ...]]  # only of priorities with delays of their own
    call_timeout_s: float
    idle_limit_s: float
    settle_s: float
    log_retention_s: float
    unaskable: str  # hold, went_out or send_again
    batch_size: int  # mails in one call
    circuit_failures: int
    circuit_window_s: float
    circuit_cooldown_s: float
    concurrency: int
    schedules_per_sender: int
    mail_lanes: int
    port: int | None  # of a sender's /health and /ready


@dataclass(frozen=True, slots=True)
class Retention:
    """How long each kind of data is kept."""

    events: timedelta
    trails: timedelta
    bodies: timedelta
    refusals: timedelta
    requests: timedelta
    finished_schedules: timedelta | None  # until they are archived; None: never


@dataclass(frozen=True, slots=True)
class TraceExport:
    """Where traces go, if anywhere, and of which share of the requests."""

    url: str | None = field(repr=False)
    share: float


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a process; each part is given only its slice. A provider that is not in use has empty texts."""

    stores: Stores
    bodies_s3: BodiesS3 | None  # None: large bodies go to GridFS
    web: Web
    edge: EdgeSettings
    sending: Sending
    mailgun: Mailgun
    sendgrid: SendGrid
    ses: Ses
    postmark: Postmark
    resend: Resend
    smtp: Smtp
    retention: Retention
    limits: CallerLimits
    log_level: str
    traces: TraceExport
    feeds: FeedSettings
    returned_mail: ReturnedMail


def read_settings(environ: Mapping[str, str] | None = None, *, dotenv: Path | None = Path(".env")) -> Settings:
    """The settings, or BadSettings with every fault at once. The environment wins over `.env`."""
    return _settings(Reader(environ if environ is not None else os.environ, dotenv))


def _settings(read: Reader) -> Settings:
    stores, bodies_s3 = read_stores(read), read_bodies_s3(read)
    web = Web(
        bind=read.text("MAILROOM_BIND"),
        api_port=read.number("MAILROOM_API_PORT", int, 1, 65535),
        web_port=read.number("MAILROOM_WEB_PORT", int, 1, 65535),
        webhooks_port=read.number("MAILROOM_WEBHOOKS_PORT", int, 1, 65535),
        public_url=read.url("MAILROOM_PUBLIC_URL", "http", "https").rstrip("/"),
        secret_keys=read.keys("MAILROOM_SECRET_KEY", _secret),
        retired_keys=read.keys("MAILROOM_RETIRED_KEYS", _secret) if read.is_set("MAILROOM_RETIRED_KEYS", "") else (),
        unsubscribe_mailbox=read.checked("MAILROOM_UNSUBSCRIBE_MAILTO", check_address, "")
        if read.is_set("MAILROOM_UNSUBSCRIBE_MAILTO", "none")
        else "",
        session_idle=timedelta(seconds=read.number("MAILROOM_SESSION_IDLE", int, 60, 31_536_000)),
        session_lifetime=timedelta(seconds=read.number("MAILROOM_SESSION_LIFETIME", int, 60, 31_536_000)),
    )
    edge = EdgeSettings(
        api_port=read.number("MAILROOM_EDGE_API_PORT", int, 1, 65535),
        web_port=read.number("MAILROOM_EDGE_WEB_PORT", int, 1, 65535),
        status_port=read.number("MAILROOM_EDGE_STATUS_PORT", int, 1, 65535),
        certificate=read.checked("MAILROOM_EDGE_CERTIFICATE", _certificate, "")
        if read.is_set("MAILROOM_EDGE_CERTIFICATE", "")
        else "",
    )
    providers = read.names("MAILROOM_PROVIDERS", PROVIDERS)
    sending = Sending(
        providers=providers,
        shares=_shares(read, providers),
        domains=_sending_domains(read, providers),
        dns_servers=read.checked("MAILROOM_DNS_SERVERS", read_servers, ())
        if read.is_set("MAILROOM_DNS_SERVERS", "none")
        else (),
        lease_ttl_s=read.number("MAILROOM_LEASE_TTL", int, 2, 300),
        retry_delays=read.delays("MAILROOM_RETRY_DELAYS"),
        retry_delays_by_priority={
            priority: read.delays(name)
            for priority in PRIORITIES
            if read.is_set(name := f"MAILROOM_RETRY_DELAYS_{priority.upper()}", "same")
        },
        call_timeout_s=read.number("MAILROOM_CALL_TIMEOUT", float, 1, 600),
        idle_limit_s=read.number("MAILROOM_IDLE_LIMIT", float, 1, 86_400),
        settle_s=read.number("MAILROOM_SETTLE", float, 0, 86_400),
        log_retention_s=read.number("MAILROOM_LOG_RETENTION", float, 1, 90 * 86_400),
        unaskable=read.one_of("MAILROOM_UNASKABLE", UNASKABLE),
        circuit_failures=read.number("MAILROOM_CIRCUIT_FAILURES", int, 1, 10_000),
        circuit_window_s=read.number("MAILROOM_CIRCUIT_WINDOW", float, 1, 3600),
        circuit_cooldown_s=read.number("MAILROOM_CIRCUIT_COOLDOWN", float, 1, 600),
        batch_size=read.number("MAILROOM_BATCH_SIZE", int, 1, 1000),
        concurrency=read.number("MAILROOM_SENDER_CONCURRENCY", int, 1, 1024),
        schedules_per_sender=read.number("MAILROOM_SCHEDULES_PER_SENDER", int, 1, 100_000),
        mail_lanes=read.number("MAILROOM_MAIL_LANES", int, 1, 256),
        port=read.number("MAILROOM_SENDER_PORT", int, 1, 65535)
        if read.is_set("MAILROOM_SENDER_PORT", "none")
        else None,
    )
    accounts = read_accounts(read, sending.providers)
    retention, limits = _retention(read), _limits(read)
    log_level, traces = read.checked("MAILROOM_LOG_LEVEL", _log_level, "info"), _traces(read)
    fetched = read_feeds(read), read_returned_mail(read)
    if read.faults:
        raise BadSettings(read.faults)
    return Settings(stores, bodies_s3, web, edge, sending, *accounts, retention, limits, log_level, traces, *fetched)


def _shares(read: Reader, providers: tuple[str, ...]) -> Mapping[str, Weights]:
    name = "MAILROOM_PROVIDER_SHARES"
    if not read.is_set(name, "none"):
        return {}
    # Without providers that could be read, no name of a share can be wrong.
    return read.each_fault(name, lambda text: read_shares(text, providers or PROVIDERS), {})


def _sending_domains(read: Reader, providers: tuple[str, ...]) -> tuple[NamedDomain, ...]:
    name = "MAILROOM_SENDING_DOMAINS"
    if not read.is_set(name, "none"):
        return ()
    return read.each_fault(name, lambda text: read_domains(text, providers or PROVIDERS), ())


def _limits(read: Reader) -> CallerLimits:
    per_minute = {
        what: read.limit(f"MAILROOM_{what.upper()}_PER_MINUTE")
        for what in ("sign_ins", "requests", "reports", "subscriptions", "all_subscriptions")
    }
    return CallerLimits(
        **{f"{what}_per_minute": most for what, most in per_minute.items()},
        mails_per_day=read.limit("MAILROOM_MAILS_PER_DAY"),
        trusted_proxies=read.checked("MAILROOM_TRUSTED_PROXIES", _networks, ()),
    )


def _networks(raw: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(part.strip()) for part in raw.split(",")) if raw != "none" else ()


def _retention(read: Reader) -> Retention:
    """At least a month: a mail that is not sent yet needs its body."""
    every = read.number("MAILROOM_RETENTION_DAYS", int, 30, 3650)
    own = {
        name: read.number(f"MAILROOM_RETENTION_{name.upper()}", int, 30, 3650)
        if read.is_set(f"MAILROOM_RETENTION_{name.upper()}", "same")
        else every
        for name in ("events", "trails", "bodies")
    }
    own |= {name: read.number(f"MAILROOM_RETENTION_{name.upper()}", int, 1, 3650) for name in ("refusals", "requests")}
    archive_after = timedelta(days=read.number("MAILROOM_ARCHIVE_FINISHED_DAYS", int, 0, 3650)) or None
    spans = {name: timedelta(days=days) for name, days in own.items()}
    return Retention(**spans, finished_schedules=archive_after)


def _traces(read: Reader) -> TraceExport:
    url = read.url("MAILROOM_TRACES_URL", "http", "https") if read.is_set("MAILROOM_TRACES_URL", "none") else None
    if url and not (find_spec("opentelemetry") and find_spec("opentelemetry.sdk")):
        read.faults.append("MAILROOM_TRACES_URL wants the extra `traces`: pip install 'mailroom[traces]'")
    return TraceExport(url, read.number("MAILROOM_TRACES_SHARE", float, 0, 1))


def _log_level(raw: str) -> str:
    if raw.lower() not in LOG_LEVELS:
        raise ValueError(raw)
    return raw.lower()


def _certificate(raw: str) -> str:
    try:
        # A key with a passphrase is refused: nobody is there to type it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(raw, password="")
    except OSError as error:
        raise ValueError(raw) from error
    return raw


def _secret(raw: str) -> str:
    return matching(r".{16,}", raw)
