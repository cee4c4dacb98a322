"""The accounts at the providers: where each is, and its keys."""

import base64
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from config.descriptions import PROVIDERS
from config.reading import Reader, aws_region, matching, url_of
from mailroom.domain.mailgun_lists import NOTHING, PUSHES


@dataclass(frozen=True, slots=True)
class Mailgun:
    domain: str
    base_url: str
    api_key: str = field(repr=False)
    signing_keys: tuple[str, ...] = field(repr=False)
    pushes: str = NOTHING  # which suppressions go to its own lists


@dataclass(frozen=True, slots=True)
class SendGrid:
    base_url: str
    api_key: str = field(repr=False)
    verification_keys: tuple[str, ...]  # of its signed event webhook


@dataclass(frozen=True, slots=True)
class Ses:
    region: str
    base_url: str
    configuration_set: str
    topics: tuple[str, ...]  # ARNs; only their messages are believed
    sns_url: str = ""  # '': the region's own
    access_key: str = ""  # '': boto3 looks for a key
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Postmark:
    base_url: str
    server_token: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)  # the first is the one that we set
    transactional_stream: str = ""
    broadcast_stream: str = ""


@dataclass(frozen=True, slots=True)
class Resend:
    base_url: str
    api_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)  # the first is the one that we set


@dataclass(frozen=True, slots=True)
class Smtp:
    url: str = field(repr=False)  # it may carry a password


Accounts = tuple[Mailgun, SendGrid, Ses, Postmark, Resend, Smtp]


def read_accounts(read: Reader, chosen: Collection[str]) -> Accounts:
    """The accounts at all providers. Settings of a provider that is not among `chosen` are not read: its texts are
    empty. Where nothing is chosen, because that could not be read, Mailgun's settings are."""
    return (
        _mailgun(read) if "mailgun" in (chosen or PROVIDERS) else Mailgun("", "", "", ()),
        _sendgrid(read) if "sendgrid" in chosen else SendGrid("", "", ()),
        _ses(read) if "ses" in chosen else Ses("", "", "", ()),
        _postmark(read) if "postmark" in chosen else Postmark("", "", ()),
        _resend(read) if "resend" in chosen else Resend("", "", ()),
        Smtp(read.checked("SMTP_URL", _smtp_url, "") if "smtp" in chosen else ""),
    )


def _mailgun(read: Reader) -> Mailgun:
    return Mailgun(
        domain=read.checked("MAILGUN_DOMAIN", _domain, ""),
        base_url=read.url("MAILGUN_BASE_URL", "http", "https").rstrip("/"),
        api_key=read.text("MAILGUN_API_KEY"),
        signing_keys=read.keys("MAILGUN_SIGNING_KEY", _given),
        pushes=read.one_of("MAILGUN_PUSH_SUPPRESSIONS", PUSHES),
    )


def _sendgrid(read: Reader) -> SendGrid:
    return SendGrid(
        base_url=read.url("SENDGRID_BASE_URL", "http", "https").rstrip("/"),
        api_key=read.text("SENDGRID_API_KEY"),
        verification_keys=read.keys("SENDGRID_VERIFICATION_KEY", _base64),
    )


def _ses(read: Reader) -> Ses:
    region = read.checked("AWS_REGION", aws_region, "")
    own = f"https://email.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
    access_key = read.optional("AWS_ACCESS_KEY_ID")
    return Ses(
        region=region,
        base_url=read.url("SES_BASE_URL", "http", "https").rstrip("/") if read.is_set("SES_BASE_URL", "") else own,
        configuration_set=read.checked("SES_CONFIGURATION_SET", _tag, ""),
        topics=read.checked("SES_TOPIC_ARNS", _topics, ()),
        sns_url=read.url("SES_SNS_URL", "http", "https").rstrip("/") if read.is_set("SES_SNS_URL", "") else "",
        access_key=access_key,
        secret_key=read.text("AWS_SECRET_ACCESS_KEY") if access_key else "",
        session_token=read.optional("AWS_SESSION_TOKEN"),
    )


def _postmark(read: Reader) -> Postmark:
    return Postmark(
        base_url=read.url("POSTMARK_BASE_URL", "http", "https").rstrip("/"),
        server_token=read.text("POSTMARK_SERVER_TOKEN"),
        webhook_secrets=read.keys("POSTMARK_WEBHOOK_SECRET", _password),
        transactional_stream=read.checked("POSTMARK_TRANSACTIONAL_STREAM", _tag, ""),
        broadcast_stream=read.checked("POSTMARK_BROADCAST_STREAM", _tag, ""),
    )


def _resend(read: Reader) -> Resend:
    return Resend(
        base_url=read.url("RESEND_BASE_URL", "http", "https").rstrip("/"),
        api_key=read.text("RESEND_API_KEY"),
        webhook_secrets=read.keys("RESEND_WEBHOOK_SECRET", _signing_secret),
    )


def _tag(raw: str) -> str:
    return matching(r"[A-Za-z0-9_-]{1,64}", raw)


def _topics(raw: str) -> tuple[str, ...]:
    arn = r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}"
    return tuple(matching(arn, part.strip()) for part in raw.split(","))


def _domain(raw: str) -> str:
    return matching(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", raw).lower()


def _smtp_url(raw: str) -> str:
    options = parse_qs(urlsplit(url_of(raw, ("smtp", "smtps"))).query, strict_parsing="?" in raw)
    unknown = set(options) - {"tls", "connections", "messages"}
    if unknown or options.get("tls", ["none"]) not in (["none"], ["starttls"]):
        raise ValueError(raw)
    for name, most in (("connections", 1_024), ("messages", 1_000_000)):
        if not 1 <= int(options.get(name, ["1"])[0]) <= most:
            raise ValueError(raw)
    return raw


def _given(raw: str) -> str:
    return matching(r".+", raw)


def _password(raw: str) -> str:
    """Of characters that need no escape in a URL."""
    return matching(r"[A-Za-z0-9_-]{16,200}", raw)


def _signing_secret(raw: str) -> str:
    if not raw.startswith("whsec_") or len(base64.b64decode(raw.removeprefix("whsec_"), validate=True)) < 16:
        raise ValueError(raw)
    return raw


def _base64(raw: str) -> str:
    base64.b64decode(raw, validate=True)
    return raw
