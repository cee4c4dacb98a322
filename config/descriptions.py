"""Every setting by its name: what it is if it is not given, and what is expected. For documents and messages."""

from typing import Final

PROVIDERS: Final = ("mailgun", "sendgrid", "ses", "smtp")
UNASKABLE: Final = ("hold", "went_out", "send_again")
PRIORITIES: Final = ("high", "normal", "low")

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
    "MAILROOM_SESSION_IDLE": ("43200", "seconds, 60 to 31536000, without a page until a session of the pages ends"),
    "MAILROOM_SESSION_LIFETIME": ("1209600", "seconds, 60 to 31536000, until a session of the pages ends in any case"),
    "MAILROOM_SIGN_INS_PER_MINUTE": ("10", "tries to sign in a minute from one address, or `none` for no limit"),
    "MAILROOM_REQUESTS_PER_MINUTE": ("none", "requests a minute with one token, or `none` for no limit"),
    "MAILROOM_REPORTS_PER_MINUTE": ("120", "reports of runs a minute with one token, or `none` for no limit"),
    "MAILROOM_MAILS_PER_DAY": ("none", "single mails a day (UTC) with one token, or `none` for no limit"),
    "MAILROOM_TRUSTED_PROXIES": (
        "none",
        "addresses and networks, separated by commas, whose X-Forwarded-For is believed, or `none`",
    ),
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
    "MAILROOM_SENDER_PORT": ("none", "a TCP port on which a sender answers /health and /ready, or `none`"),
    "MAILROOM_RETENTION_DAYS": ("400", "days, 30 to 3650, for which events, trails and bodies are kept"),
    "MAILROOM_RETENTION_EVENTS": ("same", "the same for what providers told"),
    "MAILROOM_RETENTION_TRAILS": ("same", "the same for the audit trails of calls"),
    "MAILROOM_RETENTION_BODIES": ("same", "the same for what single mails say"),
    "MAILROOM_RETENTION_REFUSALS": ("30", "days, 1 to 3650, for which refused requests are kept"),
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
    "AWS_REGION": (None, "the region of SES, such as eu-central-1"),
    "AWS_ACCESS_KEY_ID": (
        "",
        "a key that may send mail; without one, whatever boto3 finds: a profile, a machine's role",
    ),
    "AWS_SECRET_ACCESS_KEY": ("", "the secret of AWS_ACCESS_KEY_ID"),
    "AWS_SESSION_TOKEN": ("", "the session token of a temporary AWS_ACCESS_KEY_ID"),
    "SES_CONFIGURATION_SET": (None, "the configuration set that publishes events to the topics"),
    "SES_TOPIC_ARNS": (None, "the ARNs of the SNS topics that tell the events, separated by commas"),
    "SES_BASE_URL": ("", "the API's URL, where it is not the region's own"),
    "SES_SNS_URL": ("", "the URL of SNS, where it is not the region's own"),
    "MAILROOM_LOG_LEVEL": ("info", "debug, info, warning or error"),
    "SMTP_URL": (
        None,
        "smtp://user:password@host:587 (STARTTLS), or smtps://; ?tls=none, ?connections=8, ?messages=100 (a session)",
    ),
}
