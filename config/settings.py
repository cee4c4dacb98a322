"""The environment (and a `.env` file) as frozen, typed settings, read once at start.

All mistakes are reported together, each with its name and what was expected. A secret may be given as `NAME_FILE`,
a path to a file that holds it, and never shows in a repr or a log.
"""

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from config.descriptions import PRIORITIES, PROVIDERS, UNASKABLE
from config.reading import Reader, url_of


class BadSettings(Exception):
    """One or more settings are missing or wrong; `faults` has a line for each."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


@dataclass(frozen=True, slots=True)
class Stores:
    mongo_url: str = field(repr=False)  # it may carry a password
    etcd_urls: tuple[str, ...] = field(repr=False)
    redis_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Web:
    bind: str  # the address on which API and pages listen
    api_port: int
    web_port: int
    public_url: str  # without a slash at its end
    secret_key: str = field(repr=False)
    session_idle: timedelta
    session_lifetime: timedelta


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """How often one caller may do what; None where there is no limit."""

    sign_ins_per_minute: int | None
    requests_per_minute: int | None
    reports_per_minute: int | None
    mails_per_day: int | None
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]


@dataclass(frozen=True, slots=True)
class Sending:
    providers: tuple[str, ...]
    lease_ttl_s: int
    retry_delays: tuple[timedelta, ...]
    retry_delays_by_priority: Mapping[str, tuple[timedelta, ...]]  # of those that have their own
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
    port: int | None  # on which a sender tells whether it is ready


@dataclass(frozen=True, slots=True)
class Mailgun:
    domain: str
    base_url: str
    api_key: str = field(repr=False)
    signing_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SendGrid:
    base_url: str
    api_key: str = field(repr=False)
    verification_key: str  # of its signed event webhook


@dataclass(frozen=True, slots=True)
class Ses:
    region: str
    base_url: str
    configuration_set: str
    topics: tuple[str, ...]  # ARNs of those whose messages are believed
    sns_url: str = ""  # none: the region's own
    access_key: str = ""  # none: whatever boto3 finds
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Smtp:
    url: str = field(repr=False)  # it may carry a password


@dataclass(frozen=True, slots=True)
class Retention:
    """How long each is kept."""

    events: timedelta
    trails: timedelta
    bodies: timedelta
    refusals: timedelta


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a process needs; each part is handed only its slice."""

    stores: Stores
    web: Web
    sending: Sending
    mailgun: Mailgun  # with empty texts where it is not among the providers
    sendgrid: SendGrid
    ses: Ses
    smtp: Smtp
    retention: Retention
    limits: CallerLimits


def read_settings(environ: Mapping[str, str] | None = None, *, dotenv: Path | None = Path(".env")) -> Settings:
    """The settings, or BadSettings with every fault at once. The environment wins over `.env`."""
    return _settings(Reader(environ if environ is not None else os.environ, dotenv))


def _settings(read: Reader) -> Settings:
    stores = Stores(
        mongo_url=read.url("MAILROOM_MONGO_URL", "mongodb", "mongodb+srv"),
        etcd_urls=read.urls("MAILROOM_ETCD_URL", "http", "https"),
        redis_url=read.url("MAILROOM_REDIS_URL", "redis", "rediss", "unix"),
    )
    web = Web(
        bind=read.text("MAILROOM_BIND"),
        api_port=read.number("MAILROOM_API_PORT", int, 1, 65535),
        web_port=read.number("MAILROOM_WEB_PORT", int, 1, 65535),
        public_url=read.url("MAILROOM_PUBLIC_URL", "http", "https").rstrip("/"),
        secret_key=read.text("MAILROOM_SECRET_KEY", at_least=16),
        session_idle=timedelta(seconds=read.number("MAILROOM_SESSION_IDLE", int, 60, 31_536_000)),
        session_lifetime=timedelta(seconds=read.number("MAILROOM_SESSION_LIFETIME", int, 60, 31_536_000)),
    )
    sending = Sending(
        providers=read.names("MAILROOM_PROVIDERS", PROVIDERS),
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
    mailgun = _mailgun(read) if "mailgun" in (sending.providers or PROVIDERS) else Mailgun("", "", "", "")
    sendgrid = _sendgrid(read) if "sendgrid" in sending.providers else SendGrid("", "", "")
    ses = _ses(read) if "ses" in sending.providers else Ses("", "", "", ())
    smtp = Smtp(str(read.checked("SMTP_URL", _smtp_url, "")) if "smtp" in sending.providers else "")
    retention, limits = _retention(read), _limits(read)
    if read.faults:
        raise BadSettings(read.faults)
    return Settings(stores, web, sending, mailgun, sendgrid, ses, smtp, retention, limits)


def _limits(read: Reader) -> CallerLimits:
    per_minute = {
        what: read.limit(f"MAILROOM_{what.upper()}_PER_MINUTE") for what in ("sign_ins", "requests", "reports")
    }
    return CallerLimits(
        **{f"{what}_per_minute": most for what, most in per_minute.items()},
        mails_per_day=read.limit("MAILROOM_MAILS_PER_DAY"),
        trusted_proxies=tuple(read.checked("MAILROOM_TRUSTED_PROXIES", _networks, ())),
    )


def _networks(raw: str) -> list[IPv4Network | IPv6Network]:
    return [ip_network(part.strip()) for part in raw.split(",")] if raw != "none" else []


def _retention(read: Reader) -> Retention:
    """What is not sent yet needs its body: a month is the least."""
    every = read.number("MAILROOM_RETENTION_DAYS", int, 30, 3650)
    own = {
        name: read.number(f"MAILROOM_RETENTION_{name.upper()}", int, 30, 3650)
        if read.is_set(f"MAILROOM_RETENTION_{name.upper()}", "same")
        else every
        for name in ("events", "trails", "bodies")
    }
    refusals = timedelta(days=read.number("MAILROOM_RETENTION_REFUSALS", int, 1, 3650))
    return Retention(**{name: timedelta(days=days) for name, days in own.items()}, refusals=refusals)


def _mailgun(read: Reader) -> Mailgun:
    return Mailgun(
        domain=read.checked("MAILGUN_DOMAIN", _domain, ""),
        base_url=read.url("MAILGUN_BASE_URL", "http", "https").rstrip("/"),
        api_key=read.text("MAILGUN_API_KEY"),
        signing_key=read.text("MAILGUN_SIGNING_KEY"),
    )


def _sendgrid(read: Reader) -> SendGrid:
    return SendGrid(
        base_url=read.url("SENDGRID_BASE_URL", "http", "https").rstrip("/"),
        api_key=read.text("SENDGRID_API_KEY"),
        verification_key=str(read.checked("SENDGRID_VERIFICATION_KEY", _base64, "")),
    )


def _ses(read: Reader) -> Ses:
    region = str(read.checked("AWS_REGION", _region, ""))
    own = f"https://email.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
    access_key = read.optional("AWS_ACCESS_KEY_ID")
    return Ses(
        region=region,
        base_url=read.url("SES_BASE_URL", "http", "https").rstrip("/") if read.is_set("SES_BASE_URL", "") else own,
        configuration_set=str(read.checked("SES_CONFIGURATION_SET", _tag, "")),
        topics=tuple(read.checked("SES_TOPIC_ARNS", _topics, ())),
        sns_url=read.url("SES_SNS_URL", "http", "https").rstrip("/") if read.is_set("SES_SNS_URL", "") else "",
        access_key=access_key,
        secret_key=read.text("AWS_SECRET_ACCESS_KEY") if access_key else "",
        session_token=read.optional("AWS_SESSION_TOKEN"),
    )


def _region(raw: str) -> str:
    return _matching(r"[a-z0-9-]{4,40}", raw)


def _tag(raw: str) -> str:
    return _matching(r"[A-Za-z0-9_-]{1,64}", raw)


def _topics(raw: str) -> list[str]:
    return [
        _matching(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}", arn.strip()) for arn in raw.split(",")
    ]


def _matching(pattern: str, raw: str) -> str:
    if not re.fullmatch(pattern, raw):
        raise ValueError(raw)
    return raw


def _domain(raw: str) -> str:
    return _matching(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", raw).lower()


def _smtp_url(raw: str) -> str:
    options = parse_qs(urlsplit(url_of(raw, ("smtp", "smtps"))).query, strict_parsing="?" in raw)
    unknown = set(options) - {"tls", "connections", "messages"}
    if unknown or options.get("tls", ["none"]) not in (["none"], ["starttls"]):
        raise ValueError(raw)
    for name, most in (("connections", 1_024), ("messages", 1_000_000)):
        if not 1 <= int(options.get(name, ["1"])[0]) <= most:
            raise ValueError(raw)
    return raw


def _base64(raw: str) -> str:
    base64.b64decode(raw, validate=True)
    return raw
