"""Settings of providers, of what goes by which, and of the domains that they send for."""

import pytest

from config.settings import BadSettings, read_settings
from tests.support.whole_settings import WHOLE

SES = {
    "MAILROOM_PROVIDERS": "ses",
    "AWS_REGION": "eu-central-1",
    "SES_CONFIGURATION_SET": "mailroom",
    "SES_TOPIC_ARNS": "arn:aws:sns:eu-central-1:123456789012:a, arn:aws:sns:eu-central-1:123456789012:b",
}
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


def test_shares_of_providers_are_read_by_domain() -> None:
    given = {"MAILROOM_PROVIDERS": "mailgun,smtp", "SMTP_URL": "smtp://h:25?tls=none"}
    shares = {"MAILROOM_PROVIDER_SHARES": "mailgun=70, smtp=30; Gmail.com: smtp=1"}

    assert read_settings(WHOLE, dotenv=None).sending.shares == {}
    assert read_settings(WHOLE | given | shares, dotenv=None).sending.shares == {
        "": {"mailgun": 70, "smtp": 30},
        "gmail.com": {"smtp": 1},
    }


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


@pytest.mark.parametrize(
    "url",
    ["http://h", "smtp://", "smtp://h?tls=perhaps", "smtp://h?connections=0", "smtp://h?connections=x", "smtp://h?x=1"],
)
def test_a_wrong_smtp_url_stops_the_start_and_is_named(url: str) -> None:
    with pytest.raises(BadSettings, match="SMTP_URL is wrong"):
        read_settings({**WHOLE, "MAILROOM_PROVIDERS": "smtp", "SMTP_URL": url}, dotenv=None)


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
