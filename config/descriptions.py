"""Every setting by name: its default and what is expected, for documents and messages."""

from typing import Final

PROVIDERS: Final = ("mailgun", "sendgrid", "ses", "postmark", "resend", "smtp")
UNASKABLE: Final = ("hold", "went_out", "send_again")
PRIORITIES: Final = ("high", "normal", "low")
_STORES: Final = {"MONGO": "MongoDB", "ETCD": "etcd", "REDIS": "Redis"}
LOG_LEVELS: Final = ("debug", "info", "warning", "error")

# name -> default (None: required), what is expected
DESCRIPTIONS: Final[dict[str, tuple[str | None, str]]] = {
    "MAILROOM_MONGO_URL": (None, "a mongodb:// URL of a replica set"),
    "MAILROOM_ETCD_URL": (None, "http:// or https:// URLs of etcd, separated by commas"),
    "MAILROOM_REDIS_URL": (
        None,
        "a redis:// or rediss:// URL, or redis+sentinel://HOST:26379,HOST:26379/NAME/0 (or rediss+sentinel://)",
    ),
    **{
        f"MAILROOM_{store}_CA": ("", f"the path of a PEM file with the authorities that vouch for {name}")
        for store, name in _STORES.items()
    },
    **{
        f"MAILROOM_{store}_CERT": (
            "",
            f"the path of a PEM file with our certificate for {name}, and its key without a passphrase",
        )
        for store, name in _STORES.items()
    },
    **{
        f"MAILROOM_{store}_KEY": ("", f"the path of a PEM file with the key of MAILROOM_{store}_CERT")
        for store in ("ETCD", "REDIS")
    },
    "MAILROOM_BODIES_S3_BUCKET": ("", "the name of a bucket of S3 for large bodies"),
    "MAILROOM_BODIES_S3_URL": ("", "the http:// or https:// URL of S3, where it is not AWS"),
    "MAILROOM_BODIES_S3_REGION": ("us-east-1", "the region of the bucket, such as eu-central-1"),
    "MAILROOM_BODIES_S3_ACCESS_KEY_ID": (
        "",
        "a key for the bucket; without one, whatever boto3 finds: a profile, a machine's role",
    ),
    "MAILROOM_BODIES_S3_SECRET_ACCESS_KEY": ("", "the secret of MAILROOM_BODIES_S3_ACCESS_KEY_ID"),
    "MAILROOM_BIND": ("0.0.0.0", "an address of this host; API, pages and webhooks-in listen there"),  # noqa: S104
    "MAILROOM_API_PORT": ("5000", "a TCP port"),
    "MAILROOM_WEB_PORT": ("3000", "a TCP port"),
    "MAILROOM_WEBHOOKS_PORT": ("5001", "a TCP port"),
    "MAILROOM_EDGE_API_PORT": ("8443", "a TCP port"),
    "MAILROOM_EDGE_WEB_PORT": ("8444", "a TCP port"),
    "MAILROOM_EDGE_STATUS_PORT": ("8404", "a TCP port"),
    "MAILROOM_EDGE_CERTIFICATE": ("", "the path of a PEM file with a certificate and its key without a passphrase"),
    "MAILROOM_PUBLIC_URL": ("http://localhost:5000", "the URL at which the API is reached from outside"),
    "MAILROOM_SECRET_KEY": (
        None,
        "a secret of at least 16 characters, or several separated by commas; the first signs the pages' sessions "
        "and makes links to unsubscribe",
    ),
    "MAILROOM_RETIRED_KEYS": (
        "",
        "earlier keys of MAILROOM_SECRET_KEY, separated by commas; nothing but links to unsubscribe is taken with them",
    ),
    "MAILROOM_UNSUBSCRIBE_MAILTO": (
        "none",
        "an address that readers may write to in order to leave a topic, beside the link, or `none`",
    ),
    "MAILROOM_SMTP_RETURN_PATH": (
        "none",
        "the address that bounces of mail by SMTP go to, with at most 8 letters, digits, ., _ and - before the @; each "
        "mail gets its own after a +: bounces+TOKEN@example.org; or `none`",
    ),
    "MAILROOM_MAILBOXES": (
        "none",
        "at most 4 IMAP mailboxes that are read for bounces, complaints and unsubscribes, as URLs separated by commas: "
        "imaps://user:password@imap.example.org/INBOX; imap:// takes STARTTLS, on this host also ?tls=none; "
        "?ca=FILE.pem; or `none`",
    ),
    "MAILROOM_MAILBOX_EVERY": ("60", "seconds, 1 to 900, from one look into the mailboxes to the next"),
    "MAILROOM_SESSION_IDLE": ("43200", "seconds, 60 to 31536000, without a page until a session of the pages ends"),
    "MAILROOM_SESSION_LIFETIME": ("1209600", "seconds, 60 to 31536000, until a session of the pages ends in any case"),
    "MAILROOM_SIGN_INS_PER_MINUTE": ("10", "tries to sign in a minute from one address, or `none` for no limit"),
    "MAILROOM_REQUESTS_PER_MINUTE": ("none", "requests a minute with one token, or `none` for no limit"),
    "MAILROOM_REPORTS_PER_MINUTE": ("120", "reports of runs a minute with one token, or `none` for no limit"),
    "MAILROOM_SUBSCRIPTIONS_PER_MINUTE": ("10", "subscriptions by form a minute from one address, or `none`"),
    "MAILROOM_ALL_SUBSCRIPTIONS_PER_MINUTE": (
        "120",
        "subscriptions by form a minute of all visitors together, or `none`",
    ),
    "MAILROOM_MAILS_PER_DAY": ("none", "single mails a day (UTC) with one token, or `none` for no limit"),
    "MAILROOM_TRUSTED_PROXIES": (
        "none",
        "addresses and networks, separated by commas, whose X-Forwarded-For is believed, or `none`",
    ),
    "MAILROOM_PROVIDERS": ("mailgun", f"names in order, separated by commas, of: {', '.join(PROVIDERS)}"),
    "MAILROOM_PROVIDER_SHARES": (
        "none",
        "shares between providers, also by the recipient's domain: mailgun=70,ses=30; gmail.com: ses=100, or `none`",
    ),
    "MAILROOM_SENDING_DOMAINS": (
        "none",
        "domains for which each provider may send, with the selector of its DKIM key where it is not the usual one: "
        "mailgun=mg.example.com, ses=example.com/selector, or `none`; MAILGUN_DOMAIN needs no mention",
    ),
    "MAILROOM_DNS_SERVERS": ("none", "addresses of DNS servers, separated by commas, or `none` for those of the host"),
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
        f"the end of a doubt at a provider that cannot be asked: {', '.join(UNASKABLE)}",
    ),
    "MAILROOM_CIRCUIT_FAILURES": ("10", "failed calls within the window, 1 to 10000, that turn new work away"),
    "MAILROOM_CIRCUIT_WINDOW": ("60", "seconds, 1 to 3600, in which failed calls are counted"),
    "MAILROOM_CIRCUIT_COOLDOWN": ("30", "seconds, 1 to 600, until a provider that failed is tried again"),
    "MAILROOM_BATCH_SIZE": ("1000", "mails in one call to a provider, 1 to 1000"),
    "MAILROOM_SENDER_CONCURRENCY": ("8", "calls in flight in one sender, 1 to 1024"),
    "MAILROOM_SCHEDULES_PER_SENDER": ("2000", "lanes that one sender holds at once, 1 to 100000"),
    "MAILROOM_MAIL_LANES": ("16", "lanes that single mails are spread over, 1 to 256"),
    "MAILROOM_SENDER_PORT": ("none", "a TCP port on which a sender answers /health, /ready and /metrics, or `none`"),
    "MAILROOM_RETENTION_DAYS": ("400", "days, 30 to 3650, for which events, trails and bodies are kept"),
    "MAILROOM_RETENTION_EVENTS": ("same", "the same for the providers' events"),
    "MAILROOM_RETENTION_TRAILS": ("same", "the same for the audit trails of calls"),
    "MAILROOM_RETENTION_BODIES": ("same", "the same for what single mails say"),
    "MAILROOM_RETENTION_REFUSALS": ("30", "days, 1 to 3650, for which refused requests are kept"),
    "MAILROOM_RETENTION_REQUESTS": ("30", "days, 1 to 3650, for which a caller can look up its requests"),
    "MAILROOM_ARCHIVE_FINISHED_DAYS": ("0", "days, 1 to 3650, until a finished schedule is archived, or 0 for never"),
    "MAILGUN_API_KEY": (None, "the sending or account key"),
    "MAILGUN_DOMAIN": (None, "the sending domain, such as mg.example.com"),
    "MAILGUN_BASE_URL": (
        "https://api.mailgun.net",
        "https://api.mailgun.net, or https://api.eu.mailgun.net for the EU",
    ),
    "MAILGUN_SIGNING_KEY": (None, "the webhook signing key (not the API key), or several separated by commas"),
    "MAILGUN_PUSH_SUPPRESSIONS": (
        "none",
        "which of our suppressions go to Mailgun's own lists: `all` (those that forbid every mail), `campaigns` (also "
        "who left all campaigns: Mailgun then sends them no single mail either), or `none`",
    ),
    "SENDGRID_API_KEY": (None, "a key that may send mail"),
    "SENDGRID_BASE_URL": ("https://api.sendgrid.com", "https://api.sendgrid.com, or https://api.eu.sendgrid.com"),
    "SENDGRID_VERIFICATION_KEY": (
        None,
        "the public key of its signed event webhook, in base64, or several separated by commas",
    ),
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
    "POSTMARK_SERVER_TOKEN": (None, "the token of a server"),
    "POSTMARK_WEBHOOK_SECRET": (
        None,
        "16 to 200 letters, digits, _ and -: the password in the webhooks' URL, for the user mailroom, or several "
        "separated by commas",
    ),
    "POSTMARK_TRANSACTIONAL_STREAM": ("outbound", "the message stream of single mails"),
    "POSTMARK_BROADCAST_STREAM": ("broadcast", "the message stream of campaigns"),
    "POSTMARK_BASE_URL": ("https://api.postmarkapp.com", "the API's URL"),
    "RESEND_API_KEY": (None, "a key that may send mail; to set webhooks it needs full access"),
    "RESEND_WEBHOOK_SECRET": (
        None,
        "the signing secret of its webhook: whsec_ and base64, or several separated by commas",
    ),
    "RESEND_BASE_URL": ("https://api.resend.com", "the API's URL"),
    "MAILROOM_FEED_HOSTS": (
        "any",
        "the only hosts that feeds may come from, separated by commas, such as feeds.example.com, or `any` public one",
    ),
    "MAILROOM_FEED_PRIVATE_HOSTS": (
        "none",
        "hosts of our own network that feeds may come from, by http too, each with a port that is not the usual one: "
        "intranet.example, 127.0.0.1:8025, or `none`",
    ),
    "MAILROOM_FEED_HTTP": ("no", "`yes` if feeds of public hosts may come without TLS, or `no`"),
    "MAILROOM_FEED_PORTS": ("80,443", "ports of public hosts that feeds may come from, separated by commas"),
    "MAILROOM_FEED_SECRETS": (
        "none",
        "values of headers for feeds, as JSON: a name, the value, and the hosts that may get it: "
        '{"shop": {"value": "Bearer ...", "hosts": ["api.shop.example"]}}, or `none`',
    ),
    "MAILROOM_LOG_LEVEL": ("info", f"one of: {', '.join(LOG_LEVELS)}"),
    "MAILROOM_TRACES_URL": ("none", "an http:// or https:// URL of a collector of traces (OTLP), or `none`"),
    "MAILROOM_TRACES_SHARE": (
        "1",
        "the share, 0 to 1, of the requests that are traced, where their caller has not decided",
    ),
    "SMTP_URL": (
        None,
        "smtp://user:password@host:587 (STARTTLS), or smtps://; ?tls=none, ?connections=8, ?messages=100 (a session)",
    ),
}
