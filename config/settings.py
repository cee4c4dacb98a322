"""The environment (and a `.env` file) as frozen, typed settings, read once at start.

All mistakes are reported together, each with its name and what was expected. A secret may be given as `NAME_FILE`,
a path to a file that holds it, and never shows in a repr or a log.
"""

import base64
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from dotenv import dotenv_values

PROVIDERS: Final = ("mailgun", "sendgrid", "smtp")
UNASKABLE: Final = ("hold", "went_out", "send_again")
PRIORITIES: Final = ("high", "normal", "low")


class BadSettings(Exception):
    """One or more settings are missing or wrong; `faults` has a line for each."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


@dataclass(frozen=True, slots=True)
class Stores:
    mongo_url: str = field(repr=False)  # it may carry a password
    etcd_urls: tuple[str, ...]
    redis_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Web:
    bind: str  # the address on which API and pages listen
    api_port: int
    web_port: int
    public_url: str  # without a slash at its end
    secret_key: str = field(repr=False)


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
class Smtp:
    url: str = field(repr=False)  # it may carry a password


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a process needs; each part is handed only its slice."""

    stores: Stores
    web: Web
    sending: Sending
    mailgun: Mailgun  # with empty texts where it is not among the providers
    sendgrid: SendGrid
    smtp: Smtp
    retention_days: int


# name, default (None: required), what is expected, for documents and messages
DESCRIPTIONS: Final[dict[str, tuple[str | None, str]]] = {
    "MAILROOM_MONGO_URL": (None, "a mongodb:// URL of a replica set"),
    "MAILROOM_ETCD_URL": (None, "http:// or https:// URLs of etcd, separated by commas"),
    "MAILROOM_REDIS_URL": (None, "a redis:// or rediss:// URL"),
    "MAILROOM_BIND": ("0.0.0.0", "an address of this host; API and pages listen there"),  # noqa: S104
    "MAILROOM_API_PORT": ("5000", "a TCP port"),
    "MAILROOM_WEB_PORT": ("3000", "a TCP port"),
    "MAILROOM_PUBLIC_URL": ("http://localhost:5000", "the URL at which the API is reached from outside"),
    "MAILROOM_SECRET_KEY": (None, "a secret of at least 16 characters; it signs the pages' sessions"),
    "MAILROOM_PROVIDERS": ("mailgun", f"names in order, separated by commas, of: {', '.join(PROVIDERS)}"),
    "MAILROOM_LEASE_TTL": ("10", "seconds, 2 to 300: how long a dead sender's lanes stay locked"),
    "MAILROOM_RETRY_DELAYS": ("600,600", "seconds between tries, separated by commas: two delays are three tries"),
    **{
        f"MAILROOM_RETRY_DELAYS_{priority.upper()}": (
            "same",
            f"the same for single mails of {priority} priority, or `same` as all others",
        )
        for priority in PRIORITIES
    },
    "MAILROOM_CALL_TIMEOUT": ("60", "seconds, 1 to 600, for one call to a provider"),
    "MAILROOM_IDLE_LIMIT": ("600", "seconds after which the provider drops an idle connection"),
    "MAILROOM_SETTLE": ("1800", "seconds after which the provider's log is complete"),
    "MAILROOM_LOG_RETENTION": ("86400", "seconds for which the provider keeps its log"),
    "MAILROOM_UNASKABLE": (
        "hold",
        f"what becomes of a doubt of a provider that cannot be asked: {', '.join(UNASKABLE)}",
    ),
    "MAILROOM_CIRCUIT_FAILURES": ("10", "failed calls within the window, 1 to 10000, that turn new work away"),
    "MAILROOM_CIRCUIT_WINDOW": ("60", "seconds, 1 to 3600, in which failed calls are counted"),
    "MAILROOM_CIRCUIT_COOLDOWN": ("30", "seconds, 1 to 600, until a provider that failed is tried again"),
    "MAILROOM_BATCH_SIZE": ("1000", "mails in one call to a provider, 1 to 1000"),
    "MAILROOM_SENDER_CONCURRENCY": ("8", "calls in flight in one sender, 1 to 1024"),
    "MAILROOM_SCHEDULES_PER_SENDER": ("2000", "lanes that one sender holds at once, 1 to 100000"),
    "MAILROOM_MAIL_LANES": ("16", "lanes that single mails are spread over, 1 to 256"),
    "MAILROOM_RETENTION_DAYS": ("400", "days, 1 to 3650, for which events are kept"),
    "MAILGUN_API_KEY": (None, "the sending or account key"),
    "MAILGUN_DOMAIN": (None, "the sending domain, such as mg.example.com"),
    "MAILGUN_BASE_URL": (
        "https://api.mailgun.net",
        "https://api.mailgun.net, or https://api.eu.mailgun.net for the EU",
    ),
    "MAILGUN_SIGNING_KEY": (None, "the webhook signing key (not the API key)"),
    "SENDGRID_API_KEY": (None, "a key that may send mail"),
    "SENDGRID_BASE_URL": ("https://api.sendgrid.com", "https://api.sendgrid.com, or https://api.eu.sendgrid.com"),
    "SENDGRID_VERIFICATION_KEY": (None, "the public key of its signed event webhook, in base64"),
    "SMTP_URL": (None, "smtp://user:password@host:587 (STARTTLS), or smtps://; ?tls=none, ?connections=1 to 1024"),
}


def read_settings(environ: Mapping[str, str] | None = None, *, dotenv: Path | None = Path(".env")) -> Settings:
    """The settings, or BadSettings with every fault at once. The environment wins over `.env`."""
    return _Reader(environ if environ is not None else os.environ, dotenv).settings()


class _Unreadable(Exception):
    """A file that a `NAME_FILE` points to cannot be read."""


class _Reader:
    def __init__(self, environ: Mapping[str, str], dotenv: Path | None) -> None:
        self._values = {**dotenv_of(dotenv), **{k: v for k, v in environ.items() if v != ""}}
        self._faults: list[str] = []

    def settings(self) -> Settings:
        stores = Stores(
            mongo_url=self._url("MAILROOM_MONGO_URL", "mongodb", "mongodb+srv"),
            etcd_urls=self._urls("MAILROOM_ETCD_URL", "http", "https"),
            redis_url=self._url("MAILROOM_REDIS_URL", "redis", "rediss", "unix"),
        )
        web = Web(
            bind=self._text("MAILROOM_BIND"),
            api_port=self._number("MAILROOM_API_PORT", int, 1, 65535),
            web_port=self._number("MAILROOM_WEB_PORT", int, 1, 65535),
            public_url=self._url("MAILROOM_PUBLIC_URL", "http", "https").rstrip("/"),
            secret_key=self._text("MAILROOM_SECRET_KEY", at_least=16),
        )
        sending = Sending(
            providers=self._names("MAILROOM_PROVIDERS", PROVIDERS),
            lease_ttl_s=self._number("MAILROOM_LEASE_TTL", int, 2, 300),
            retry_delays=self._delays("MAILROOM_RETRY_DELAYS"),
            retry_delays_by_priority={
                priority: self._delays(name)
                for priority in PRIORITIES
                if self._is_set(name := f"MAILROOM_RETRY_DELAYS_{priority.upper()}")
            },
            call_timeout_s=self._number("MAILROOM_CALL_TIMEOUT", float, 1, 600),
            idle_limit_s=self._number("MAILROOM_IDLE_LIMIT", float, 1, 86_400),
            settle_s=self._number("MAILROOM_SETTLE", float, 0, 86_400),
            log_retention_s=self._number("MAILROOM_LOG_RETENTION", float, 1, 90 * 86_400),
            unaskable=self._one_of("MAILROOM_UNASKABLE", UNASKABLE),
            circuit_failures=self._number("MAILROOM_CIRCUIT_FAILURES", int, 1, 10_000),
            circuit_window_s=self._number("MAILROOM_CIRCUIT_WINDOW", float, 1, 3600),
            circuit_cooldown_s=self._number("MAILROOM_CIRCUIT_COOLDOWN", float, 1, 600),
            batch_size=self._number("MAILROOM_BATCH_SIZE", int, 1, 1000),
            concurrency=self._number("MAILROOM_SENDER_CONCURRENCY", int, 1, 1024),
            schedules_per_sender=self._number("MAILROOM_SCHEDULES_PER_SENDER", int, 1, 100_000),
            mail_lanes=self._number("MAILROOM_MAIL_LANES", int, 1, 256),
        )
        mailgun = self._mailgun() if "mailgun" in (sending.providers or PROVIDERS) else Mailgun("", "", "", "")
        sendgrid = self._sendgrid() if "sendgrid" in sending.providers else SendGrid("", "", "")
        smtp = Smtp(str(self._checked("SMTP_URL", _smtp_url, "")) if "smtp" in sending.providers else "")
        retention_days = self._number("MAILROOM_RETENTION_DAYS", int, 1, 3650)
        if self._faults:
            raise BadSettings(self._faults)
        return Settings(stores, web, sending, mailgun, sendgrid, smtp, retention_days)

    def _mailgun(self) -> Mailgun:
        return Mailgun(
            domain=self._checked("MAILGUN_DOMAIN", _domain, ""),
            base_url=self._url("MAILGUN_BASE_URL", "http", "https").rstrip("/"),
            api_key=self._text("MAILGUN_API_KEY"),
            signing_key=self._text("MAILGUN_SIGNING_KEY"),
        )

    def _sendgrid(self) -> SendGrid:
        return SendGrid(
            base_url=self._url("SENDGRID_BASE_URL", "http", "https").rstrip("/"),
            api_key=self._text("SENDGRID_API_KEY"),
            verification_key=str(self._checked("SENDGRID_VERIFICATION_KEY", _base64, "")),
        )

    def _raw(self, name: str) -> str | None:
        path = self._values.get(f"{name}_FILE")
        if path is None:
            return self._values.get(name) or DESCRIPTIONS[name][0]
        try:
            return Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            self._faults.append(f"{name}_FILE: cannot be read: {error}")
            raise _Unreadable from None

    def _checked(self, name: str, read: Callable[[str], Any], fallback: Any) -> Any:
        try:
            raw = self._raw(name)
        except _Unreadable:
            return fallback  # said already
        if not raw or not raw.strip():
            self._fault(name, "is missing")
            return fallback
        try:
            return read(raw)
        except ValueError:
            self._fault(name, "is wrong")
            return fallback

    def _fault(self, name: str, what: str) -> None:
        # The value itself stays out: it may be a secret.
        self._faults.append(f"{name} {what}: expected {DESCRIPTIONS[name][1]}")

    def _text(self, name: str, *, at_least: int = 1) -> str:
        def read(raw: str) -> str:
            if len(raw) < at_least:
                raise ValueError
            return raw

        return str(self._checked(name, read, ""))

    def _number(self, name: str, kind: Callable[[str], Any], least: float, most: float) -> Any:
        def read(raw: str) -> Any:
            number = kind(raw)
            if not least <= number <= most:
                raise ValueError
            return number

        return self._checked(name, read, 0)

    def _url(self, name: str, *schemes: str) -> str:
        return str(self._checked(name, lambda raw: _url(raw, schemes), ""))

    def _urls(self, name: str, *schemes: str) -> tuple[str, ...]:
        return tuple(self._checked(name, lambda raw: [_url(part.strip(), schemes) for part in raw.split(",")], ()))

    def _names(self, name: str, known: tuple[str, ...]) -> tuple[str, ...]:
        def read(raw: str) -> tuple[str, ...]:
            names = tuple(part.strip() for part in raw.split(","))
            if len(set(names)) != len(names) or not set(names) <= set(known):
                raise ValueError
            return names

        return tuple(self._checked(name, read, ()))

    def _one_of(self, name: str, known: tuple[str, ...]) -> str:
        def read(raw: str) -> str:
            if raw not in known:
                raise ValueError
            return raw

        return str(self._checked(name, read, known[0]))

    def _is_set(self, name: str) -> bool:
        return self._values.get(name, "same") != "same"

    def _delays(self, name: str) -> tuple[timedelta, ...]:
        def read(raw: str) -> tuple[timedelta, ...]:
            seconds = [float(part) for part in raw.split(",")] if raw.strip() != "none" else []
            if len(seconds) > 20 or any(not 0 <= s <= 7 * 86_400 for s in seconds):
                raise ValueError
            return tuple(timedelta(seconds=s) for s in seconds)

        return tuple(self._checked(name, read, ()))


def _domain(raw: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", raw):
        raise ValueError(raw)
    return raw.lower()


def _smtp_url(raw: str) -> str:
    options = parse_qs(urlsplit(_url(raw, ("smtp", "smtps"))).query, strict_parsing="?" in raw)
    if set(options) - {"tls", "connections"} or options.get("tls", ["none"]) not in (["none"], ["starttls"]):
        raise ValueError(raw)
    if not 1 <= int(options.get("connections", ["8"])[0]) <= 1024:
        raise ValueError(raw)
    return raw


def _base64(raw: str) -> str:
    base64.b64decode(raw, validate=True)
    return raw


def _url(raw: str, schemes: tuple[str, ...]) -> str:
    parts = urlsplit(raw)
    if "," not in parts.netloc:  # MongoDB's URLs may name several hosts
        _ = parts.port  # raises ValueError for one that cannot be
    if parts.scheme not in schemes or not (parts.hostname or parts.scheme == "unix"):
        raise ValueError(raw)
    return raw


def dotenv_of(path: Path | None) -> dict[str, str]:
    """What a `.env` file sets; nothing where there is none."""
    if path is None or not path.is_file():
        return {}
    return {name: value for name, value in dotenv_values(path).items() if value}
