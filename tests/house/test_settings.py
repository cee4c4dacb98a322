"""Settings: all mistakes at once, by name; secrets that never show."""

from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from config.settings import BadSettings, read_settings
from tests.support.tls import Papers

WHOLE = {
    "MAILROOM_MONGO_URL": "mongodb://u:secret-in-url@h1,h2/mailroom?replicaSet=x",
    "MAILROOM_ETCD_URL": "http://a:2379, http://b:2379",
    "MAILROOM_REDIS_URL": "redis://h/0",
    "MAILROOM_SECRET_KEY": "0123456789abcdef-secret",
    "MAILGUN_API_KEY": "api-secret",
    "MAILGUN_DOMAIN": "mg.example.com",
    "MAILGUN_SIGNING_KEY": "signing-secret",
}


def test_a_whole_environment_is_read_with_defaults() -> None:
    settings = read_settings(WHOLE, dotenv=None)

    assert settings.stores.etcd_urls == ("http://a:2379", "http://b:2379")
    assert settings.web.api_port == 5000
    assert settings.sending.providers == ("mailgun",)
    assert [delay.total_seconds() for delay in settings.sending.retry_delays] == [600, 600]


@pytest.mark.parametrize(("value", "days"), [(None, None), ("", None), ("0", None), ("30", 30)])
def test_finished_schedules_are_archived_after_so_many_days_or_never(value: str | None, days: int | None) -> None:
    given = {} if value is None else {"MAILROOM_ARCHIVE_FINISHED_DAYS": value}

    age = read_settings(WHOLE | given, dotenv=None).retention.finished_schedules

    assert (age.days if age else None) == days
    with pytest.raises(BadSettings, match="MAILROOM_ARCHIVE_FINISHED_DAYS is wrong"):
        read_settings(WHOLE | {"MAILROOM_ARCHIVE_FINISHED_DAYS": "-1"}, dotenv=None)


def test_mailboxes_are_read_with_their_defaults_and_show_no_password() -> None:
    urls = "imaps://bo%40x.org:p%2Cw@imap.x.org, imap://u:secret@127.0.0.1:1143/Junk?tls=none, imap://u:p@h"

    found = read_settings(WHOLE | {"MAILROOM_MAILBOXES": urls}, dotenv=None).returned_mail

    places = [(one.host, one.port, one.tls, one.user, one.password, one.folder) for one in found.mailboxes]
    assert places == [
        ("imap.x.org", 993, "implicit", "bo@x.org", "p,w", "INBOX"),
        ("127.0.0.1", 1143, "none", "u", "secret", "Junk"),
        ("h", 143, "starttls", "u", "p", "INBOX"),
    ]
    assert (found.return_path, found.every.total_seconds()) == ("", 60)
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://u:p@h", "scheme is imaps or imap"),
        ("imap://u:p@h?tls=maybe", "scheme is imaps or imap"),
        ("imap://u:p@h?tls=none", "only be on this host"),
        ("imap://192.0.2.1", "a user and a password"),
        ("imaps://u@h", "a user and a password"),
        ("imaps://u:p@h:99999", "port"),
        ("imaps://u:p@h?ca=/nowhere.pem", "ca is the path"),
        ("imaps://u:p%0D@h", "printable"),
        (",".join(["imaps://u:p@h"] * 5), "at most 4"),
    ],
)
def test_a_wrong_mailbox_is_told_by_its_number_without_its_password(url: str, fault: str) -> None:
    with pytest.raises(BadSettings, match=fault) as told:
        read_settings(WHOLE | {"MAILROOM_MAILBOXES": url.replace(":p", ":hidden-word")}, dotenv=None)

    assert "hidden-word" not in str(told.value)


def test_a_return_path_with_no_room_for_a_token_is_refused() -> None:
    with pytest.raises(BadSettings, match="MAILROOM_SMTP_RETURN_PATH is wrong"):
        read_settings(WHOLE | {"MAILROOM_SMTP_RETURN_PATH": "long-bounces@example.org"}, dotenv=None)


S3 = {
    "MAILROOM_BODIES_S3_BUCKET": "mails.of-shop",
    "MAILROOM_BODIES_S3_URL": "https://s3.example.com",
    "MAILROOM_BODIES_S3_ACCESS_KEY_ID": "id",
}


def test_a_bucket_for_bodies_has_its_key_from_a_file_and_shows_it_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hidden-key\n")
    secret = {"MAILROOM_BODIES_S3_SECRET_ACCESS_KEY_FILE": str(tmp_path / "key")}

    found = read_settings(WHOLE | S3 | secret, dotenv=None).bodies_s3

    assert found
    assert (found.bucket, found.region, found.secret_key) == ("mails.of-shop", "us-east-1", "hidden-key")
    assert "hidden-key" not in repr(found)
    assert read_settings(WHOLE, dotenv=None).bodies_s3 is None


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({**S3}, "MAILROOM_BODIES_S3_SECRET_ACCESS_KEY is missing"),
        ({"MAILROOM_BODIES_S3_URL": "https://s3.example.com"}, "MAILROOM_BODIES_S3_BUCKET is missing"),
        ({"MAILROOM_BODIES_S3_BUCKET": "Not a bucket"}, "MAILROOM_BODIES_S3_BUCKET is wrong"),
        ({"MAILROOM_BODIES_S3_BUCKET": "b-b", "MAILROOM_BODIES_S3_URL": "s3.example.com"}, "_URL is wrong"),
        ({"MAILROOM_BODIES_S3_BUCKET": "b-b", "MAILROOM_BODIES_S3_REGION": "?"}, "_REGION is wrong"),
    ],
)
def test_settings_of_a_bucket_that_do_not_fit_are_named(given: dict[str, str], fault: str) -> None:
    with pytest.raises(BadSettings, match=fault):
        read_settings(WHOLE | given, dotenv=None)


def test_every_missing_and_wrong_setting_is_reported_at_once_with_what_was_expected() -> None:
    wrong = {"MAILROOM_API_PORT": "http", "MAILROOM_PROVIDERS": "mailgun,pigeon", "MAILGUN_BASE_URL": "http://h:99999"}

    with pytest.raises(BadSettings) as refused:
        read_settings(wrong, dotenv=None)

    told = "\n".join(refused.value.faults)
    for name in (*WHOLE, *wrong):
        assert name in told
    assert "MAILROOM_API_PORT is wrong: expected a TCP port" in told


def test_shares_of_providers_are_read_by_domain() -> None:
    given = {"MAILROOM_PROVIDERS": "mailgun,smtp", "SMTP_URL": "smtp://h:25?tls=none"}
    shares = {"MAILROOM_PROVIDER_SHARES": "mailgun=70, smtp=30; Gmail.com: smtp=1"}

    assert read_settings(WHOLE, dotenv=None).sending.shares == {}
    assert read_settings(WHOLE | given | shares, dotenv=None).sending.shares == {
        "": {"mailgun": 70, "smtp": 30},
        "gmail.com": {"smtp": 1},
    }


def test_what_feeds_may_be_fetched_is_read() -> None:
    usual = read_settings(WHOLE, dotenv=None).feeds
    given = {
        "MAILROOM_FEED_HOSTS": "Feeds.example.com, blog.example:8443",
        "MAILROOM_FEED_PRIVATE_HOSTS": "intranet, 127.0.0.1:8025, [::1]:80",
        "MAILROOM_FEED_HTTP": "yes",
        "MAILROOM_FEED_PORTS": "443, 8443",
        "MAILROOM_FEED_SECRETS": '{"shop": {"value": "Bearer 0123456789", "hosts": ["API.shop.example"]}}',
    }
    feeds = read_settings(WHOLE | given, dotenv=None).feeds

    assert (usual.places, usual.private, usual.http, usual.ports, usual.secrets) == (None, (), False, (80, 443), {})
    assert feeds.places == ("feeds.example.com", "blog.example:8443")
    assert feeds.private == ("intranet", "127.0.0.1:8025", "[::1]:80")
    assert (feeds.http, feeds.ports) == (True, (443, 8443))
    assert feeds.secrets["shop"].places == ("api.shop.example",)
    assert feeds.secrets["shop"].value == "Bearer 0123456789"
    assert "0123456789" not in repr(read_settings(WHOLE | given, dotenv=None))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOSTS", "https://feeds.example.com"),
        ("HOSTS", "a b"),
        ("PRIVATE_HOSTS", "10.0.0.0/8"),
        ("HTTP", "maybe"),
        ("PORTS", "0"),
        ("PORTS", "x"),
        ("SECRETS", "shop=0123456789"),
        ("SECRETS", '{"shop": "0123456789"}'),
        ("SECRETS", '{"shop": {"value": "0123456789", "hosts": []}}'),
        ("SECRETS", '{"shop": {"value": "0123456789", "hosts": ["https://a.example"]}}'),
        ("SECRETS", '{"shop": {"value": "a\\r\\nHost: 0123456789", "hosts": ["a.example"]}}'),
        ("SECRETS", '{"a b": {"value": "0123456789", "hosts": ["a.example"]}}'),
    ],
)
def test_a_wrong_setting_of_feeds_is_named_without_its_secret(name: str, value: str) -> None:
    with pytest.raises(BadSettings) as refused:
        read_settings(WHOLE | {f"MAILROOM_FEED_{name}": value}, dotenv=None)

    (fault,) = refused.value.faults
    assert fault.startswith(f"MAILROOM_FEED_{name}")
    assert "0123456789" not in fault


def test_sending_domains_and_dns_servers_are_read_and_every_fault_is_reported() -> None:
    given = {"MAILROOM_SENDING_DOMAINS": "mailgun=Brand.dev/k1, mailgun=other.dev"}
    servers = {"MAILROOM_DNS_SERVERS": "10.0.0.2, 127.0.0.1:5353, [::1]:53, ::1"}
    wrong = {"MAILROOM_SENDING_DOMAINS": "pigeon=a.dev, mailgun=nonsense, mailgun=a.dev/", "MAILROOM_DNS_SERVERS": "ns"}

    sending = read_settings(WHOLE | given | servers, dotenv=None).sending
    with pytest.raises(BadSettings) as refused:
        read_settings(WHOLE | wrong, dotenv=None)

    assert sending.domains == (("mailgun", "brand.dev", "k1"), ("mailgun", "other.dev", ""))
    assert sending.dns_servers == (("10.0.0.2", 53), ("127.0.0.1", 5353), ("::1", 53), ("::1", 53))
    assert [fault.split(":")[0] for fault in refused.value.faults] == [
        *["MAILROOM_SENDING_DOMAINS"] * 3,
        "MAILROOM_DNS_SERVERS is wrong",
    ]


def test_every_fault_of_the_shares_is_reported_at_once() -> None:
    wrong = "mailgun=70,pigeon=5,mailgun=0; nonsense: mailgun=1; gmail.com: ; mailgun=3; a.example: mailgun=1,mailgun=2"

    with pytest.raises(BadSettings) as refused:
        read_settings(WHOLE | {"MAILROOM_PROVIDER_SHARES": wrong}, dotenv=None)

    assert refused.value.faults == [
        f"MAILROOM_PROVIDER_SHARES: {fault}"
        for fault in (
            '"pigeon" is not in MAILROOM_PROVIDERS',
            '"mailgun=0" is no share, such as mailgun=70 (whole numbers from 1 to 1000)',
            '"nonsense" is no domain, such as gmail.com',
            '"" is no share, such as mailgun=70 (whole numbers from 1 to 1000)',
            "the part without a domain is named twice",
            '"mailgun" is named twice in "mailgun=1,mailgun=2"',
        )
    ]
    many = "; ".join(f"d{n}.example: mailgun=1" for n in range(21))
    with pytest.raises(BadSettings, match="more than 20 domains"):
        read_settings(WHOLE | {"MAILROOM_PROVIDER_SHARES": many}, dotenv=None)


@pytest.mark.parametrize("value", ["", "   ", "short", "a-key-that-is-long-enough,short", "a-key-that-is-long-enough,"])
def test_a_secret_key_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(BadSettings, match="MAILROOM_SECRET_KEY"):
        read_settings(WHOLE | {"MAILROOM_SECRET_KEY": value}, dotenv=None)


def test_a_setting_may_hold_several_keys_while_they_rotate() -> None:
    several = {"MAILROOM_SECRET_KEY": "the-new-key-of-all, the-old-key-of-all", "MAILGUN_SIGNING_KEY": "new,old"}

    settings = read_settings(WHOLE | several, dotenv=None)

    assert settings.web.secret_keys == ("the-new-key-of-all", "the-old-key-of-all")
    assert settings.mailgun.signing_keys == ("new", "old")


def test_a_secret_can_stand_in_a_file_and_an_empty_file_is_none(tmp_path: Path) -> None:
    secret = tmp_path / "signing"
    secret.write_text("from-a-file\n")
    environment = {name: value for name, value in WHOLE.items() if name != "MAILGUN_SIGNING_KEY"}
    environment["MAILGUN_SIGNING_KEY_FILE"] = str(secret)
    assert read_settings(environment, dotenv=None).mailgun.signing_keys == ("from-a-file",)

    secret.write_text("\n")
    with pytest.raises(BadSettings, match="MAILGUN_SIGNING_KEY"):
        read_settings(environment, dotenv=None)

    secret.unlink()
    with pytest.raises(BadSettings, match="MAILGUN_SIGNING_KEY_FILE: cannot be read"):
        read_settings(environment, dotenv=None)


def test_no_secret_shows_in_a_repr() -> None:
    assert "secret" not in repr(read_settings(WHOLE, dotenv=None)).replace("secret_keys", "")


def test_a_dotenv_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("MAILROOM_API_PORT=5001\nMAILROOM_WEB_PORT=3001\n")

    settings = read_settings(WHOLE | {"MAILROOM_WEB_PORT": "3002"}, dotenv=dotenv)

    assert (settings.web.api_port, settings.web.web_port) == (5001, 3002)


@pytest.mark.parametrize(
    "url",
    [
        *("http://h", "redis://", "redis://h:99999/0", "redis+sentinel://h1:26379", "redis+sentinel:///mailroom"),
        *("redis+sentinel://h1:x/mailroom", "redis+sentinel://h1/mailroom/x", "redis+sentinel://h1,,h2/mailroom"),
        *("redis+sentinel://h1/mailroom?sentinel_pass=x", "redis+sentinel://h1/mailroom?sentinel_password=a&x"),
    ],
)
def test_a_wrong_url_of_redis_is_named(url: str) -> None:
    with pytest.raises(BadSettings, match="MAILROOM_REDIS_URL is wrong"):
        read_settings(WHOLE | {"MAILROOM_REDIS_URL": url}, dotenv=None)


def test_a_url_of_sentinels_is_read_from_a_file_too(tmp_path: Path) -> None:
    secret = tmp_path / "redis"
    secret.write_text("rediss+sentinel://:p@h1:26379,[::1],h3/mailroom/0?sentinel_password=q\n")
    environment = {name: value for name, value in WHOLE.items() if name != "MAILROOM_REDIS_URL"}

    found = read_settings(environment | {"MAILROOM_REDIS_URL_FILE": str(secret)}, dotenv=None)

    assert found.stores.redis_url.startswith("rediss+sentinel://:p@h1")


TLS = {"MAILROOM_ETCD_URL": "https://a:2379,https://b:2379", "MAILROOM_REDIS_URL": "rediss://h/0"}


def test_files_for_tls_become_options_of_the_urls(tmp_path: Path) -> None:
    papers = Papers.issued(tmp_path)
    files = {
        f"MAILROOM_{store}_{what}": str(path)
        for store in ("MONGO", "ETCD", "REDIS")
        for what, path in (("CA", papers.authority), ("CERT", papers.client))
    }

    stores = read_settings(WHOLE | TLS | files, dotenv=None).stores

    asked = {name: value for name, (value,) in parse_qs(urlsplit(stores.mongo_url).query).items()}
    assert asked == {
        "replicaSet": "x",
        "tls": "true",
        "tlsCAFile": str(papers.authority),
        "tlsCertificateKeyFile": str(papers.client),
    }
    assert all(
        url.endswith(f"/?{urlencode({'ca': papers.authority, 'cert': papers.client})}") for url in stores.etcd_urls
    )
    assert parse_qs(urlsplit(stores.redis_url).query).keys() == {"ssl_ca_certs", "ssl_certfile"}


def test_every_wrong_file_for_tls_is_reported_at_once(tmp_path: Path) -> None:
    papers, empty = Papers.issued(tmp_path), tmp_path / "empty.pem"
    empty.touch()
    wrong = {
        "MAILROOM_MONGO_CA": str(tmp_path / "nothing.pem"),
        "MAILROOM_MONGO_CERT": str(papers.client_alone),  # no key in it
        "MAILROOM_ETCD_CA": str(empty),
        "MAILROOM_ETCD_KEY": str(papers.client_key),  # of no certificate
        "MAILROOM_REDIS_CERT": str(papers.client_alone),
        "MAILROOM_REDIS_KEY": str(papers.server_key),  # of another certificate
    }

    with pytest.raises(BadSettings) as refused:
        read_settings(WHOLE | TLS | wrong, dotenv=None)

    named = {fault.split()[0] for fault in refused.value.faults}
    assert named == {
        *("MAILROOM_MONGO_CA", "MAILROOM_MONGO_CERT", "MAILROOM_ETCD_CA", "MAILROOM_ETCD_CERT", "MAILROOM_REDIS_CERT")
    }


def test_files_for_tls_beside_a_url_in_plain_text_are_refused(tmp_path: Path) -> None:
    """Whoever gives them believes that nobody reads along."""
    papers = Papers.issued(tmp_path)
    files = {f"MAILROOM_{store}_CA": str(papers.authority) for store in ("MONGO", "ETCD", "REDIS")}
    urls = {
        "MAILROOM_MONGO_URL": "mongodb://h/mailroom?ssl=false",
        "MAILROOM_ETCD_URL": "https://a:2379,http://b:2379",
        "MAILROOM_REDIS_URL": "redis+sentinel://h/mailroom",
    }

    with pytest.raises(BadSettings) as refused:
        read_settings(WHOLE | files | urls, dotenv=None)

    assert {fault.split()[0] for fault in refused.value.faults} == urls.keys()


def test_a_url_of_mongodb_that_asks_for_tls_is_not_made_to_ask_twice(tmp_path: Path) -> None:
    papers = Papers.issued(tmp_path)
    settings = {"MAILROOM_MONGO_URL": "mongodb://h/m?tls=true", "MAILROOM_MONGO_CA": str(papers.authority)}

    found = read_settings(WHOLE | settings, dotenv=None)

    assert found.stores.mongo_url.count("tls=") == 1


@pytest.mark.parametrize(
    "url",
    ["http://h", "smtp://", "smtp://h?tls=perhaps", "smtp://h?connections=0", "smtp://h?connections=x", "smtp://h?x=1"],
)
def test_a_wrong_smtp_url_stops_the_start_and_is_named(url: str) -> None:
    with pytest.raises(BadSettings, match="SMTP_URL is wrong"):
        read_settings({**WHOLE, "MAILROOM_PROVIDERS": "smtp", "SMTP_URL": url}, dotenv=None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("MAILROOM_TRUSTED_PROXIES", wrong) for wrong in ("proxy", "10.0.0.1/8", "10.0.0.0/8;::1", "300.1.1.1")),
        *(("MAILROOM_SIGN_INS_PER_MINUTE", wrong) for wrong in ("0", "-1", "many", "1.5", "99999999999")),
        ("MAILROOM_SESSION_IDLE", "59"),
        *(("MAILROOM_UNSUBSCRIBE_MAILTO", wrong) for wrong in ("nobody", "Bo <bo@example.org>", "a@b.example?x=y")),
        ("MAILROOM_ALL_SUBSCRIPTIONS_PER_MINUTE", "0"),
    ],
)
def test_a_wrong_limit_of_callers_is_named(name: str, value: str) -> None:
    with pytest.raises(BadSettings, match=f"{name} is wrong"):
        read_settings(WHOLE | {name: value}, dotenv=None)


def test_limits_of_callers_have_defaults_and_can_be_switched_off() -> None:
    limits = read_settings(WHOLE, dotenv=None).limits
    none = read_settings(WHOLE | {"MAILROOM_SIGN_INS_PER_MINUTE": "none"}, dotenv=None).limits

    assert (limits.sign_ins_per_minute, limits.requests_per_minute, limits.mails_per_day) == (10, None, None)
    assert (limits.subscriptions_per_minute, limits.all_subscriptions_per_minute) == (10, 120)
    assert limits.trusted_proxies == ()
    assert none.sign_ins_per_minute is None


SES = {
    "MAILROOM_PROVIDERS": "ses",
    "AWS_REGION": "eu-central-1",
    "SES_CONFIGURATION_SET": "mailroom",
    "SES_TOPIC_ARNS": "arn:aws:sns:eu-central-1:123456789012:a, arn:aws:sns:eu-central-1:123456789012:b",
}


def test_ses_needs_no_key_of_its_own_but_a_key_needs_its_secret() -> None:
    found = read_settings(WHOLE | SES, dotenv=None).ses

    assert (found.access_key, found.base_url) == ("", "https://email.eu-central-1.amazonaws.com")
    assert len(found.topics) == 2
    with pytest.raises(BadSettings, match="AWS_SECRET_ACCESS_KEY is missing"):
        read_settings(WHOLE | SES | {"AWS_ACCESS_KEY_ID": "AKID"}, dotenv=None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_REGION", "eu central"), ("SES_TOPIC_ARNS", "arn:aws:sqs:x:1:y"), ("SES_CONFIGURATION_SET", "a b")],
)
def test_a_wrong_setting_of_ses_is_named(name: str, value: str) -> None:
    with pytest.raises(BadSettings, match=f"{name} is wrong"):
        read_settings(WHOLE | SES | {name: value}, dotenv=None)


POSTMARK = {
    "MAILROOM_PROVIDERS": "postmark",
    "POSTMARK_SERVER_TOKEN": "token-secret",
    "POSTMARK_WEBHOOK_SECRET": "webhook-secret-of-tests",
}
RESEND = {
    "MAILROOM_PROVIDERS": "resend",
    "RESEND_API_KEY": "key-secret",
    "RESEND_WEBHOOK_SECRET": "whsec_YSBrZXkgb2YgdGVzdHMsIG9mIDI0IGJ5",
}


def test_postmark_and_resend_have_defaults_and_their_secrets_do_not_show() -> None:
    found = read_settings(WHOLE | POSTMARK | RESEND | {"MAILROOM_PROVIDERS": "postmark,resend"}, dotenv=None)

    assert (found.postmark.transactional_stream, found.postmark.broadcast_stream) == ("outbound", "broadcast")
    assert found.resend.base_url == "https://api.resend.com"
    assert "-secret" not in repr(found)
    assert "whsec" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTMARK_WEBHOOK_SECRET", "short"),
        ("POSTMARK_WEBHOOK_SECRET", "not: fit for a URL"),
        ("POSTMARK_BROADCAST_STREAM", "a b"),
        ("RESEND_WEBHOOK_SECRET", "YSBrZXkgb2YgdGVzdHMsIG9mIDI0IGJ5"),
        ("RESEND_WEBHOOK_SECRET", "whsec_"),
        ("RESEND_WEBHOOK_SECRET", "whsec_YQ=="),
        ("RESEND_WEBHOOK_SECRET", "whsec_%%%"),
    ],
)
def test_a_wrong_setting_of_postmark_or_resend_is_named(name: str, value: str) -> None:
    provider = name.partition("_")[0].lower()
    own = {**POSTMARK, **RESEND, "MAILROOM_PROVIDERS": provider, name: value}

    with pytest.raises(BadSettings, match=f"{name} is wrong"):
        read_settings(WHOLE | own, dotenv=None)


def test_only_the_settings_of_the_providers_named_are_needed() -> None:
    without = {name: value for name, value in WHOLE.items() if not name.startswith("MAILGUN_")}
    url = "smtp://ann:p%40w@mail.example.com:587?connections=4"

    found = read_settings({**without, "MAILROOM_PROVIDERS": "smtp", "SMTP_URL": url}, dotenv=None)

    assert found.sending.providers == ("smtp",)
    assert "p%40w" not in repr(found)
