"""Settings: all mistakes at once, by name; secrets that never show."""

from pathlib import Path

import pytest

from config.settings import BadSettings, read_settings

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


def test_every_missing_and_wrong_setting_is_told_at_once_with_what_was_expected() -> None:
    wrong = {"MAILROOM_API_PORT": "http", "MAILROOM_PROVIDERS": "mailgun,pigeon", "MAILGUN_BASE_URL": "http://h:99999"}

    with pytest.raises(BadSettings) as refused:
        read_settings(wrong, dotenv=None)

    told = "\n".join(refused.value.faults)
    for name in (*WHOLE, *wrong):
        assert name in told
    assert "MAILROOM_API_PORT is wrong: expected a TCP port" in told


@pytest.mark.parametrize("value", ["", "   ", "short"])
def test_a_secret_key_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(BadSettings, match="MAILROOM_SECRET_KEY"):
        read_settings(WHOLE | {"MAILROOM_SECRET_KEY": value}, dotenv=None)


def test_a_secret_can_stand_in_a_file_and_an_empty_file_is_none(tmp_path: Path) -> None:
    secret = tmp_path / "signing"
    secret.write_text("from-a-file\n")
    environment = {name: value for name, value in WHOLE.items() if name != "MAILGUN_SIGNING_KEY"}
    environment["MAILGUN_SIGNING_KEY_FILE"] = str(secret)
    assert read_settings(environment, dotenv=None).mailgun.signing_key == "from-a-file"

    secret.write_text("\n")
    with pytest.raises(BadSettings, match="MAILGUN_SIGNING_KEY"):
        read_settings(environment, dotenv=None)

    secret.unlink()
    with pytest.raises(BadSettings, match="MAILGUN_SIGNING_KEY_FILE: cannot be read"):
        read_settings(environment, dotenv=None)


def test_no_secret_shows_in_a_repr() -> None:
    assert "secret" not in repr(read_settings(WHOLE, dotenv=None)).replace("secret_key", "")


def test_a_dotenv_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("MAILROOM_API_PORT=5001\nMAILROOM_WEB_PORT=3001\n")

    settings = read_settings(WHOLE | {"MAILROOM_WEB_PORT": "3002"}, dotenv=dotenv)

    assert (settings.web.api_port, settings.web.web_port) == (5001, 3002)


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
    ],
)
def test_a_wrong_limit_of_callers_is_named(name: str, value: str) -> None:
    with pytest.raises(BadSettings, match=f"{name} is wrong"):
        read_settings(WHOLE | {name: value}, dotenv=None)


def test_limits_of_callers_have_defaults_and_can_be_switched_off() -> None:
    limits = read_settings(WHOLE, dotenv=None).limits
    none = read_settings(WHOLE | {"MAILROOM_SIGN_INS_PER_MINUTE": "none"}, dotenv=None).limits

    assert (limits.sign_ins_per_minute, limits.requests_per_minute, limits.mails_per_day) == (10, None, None)
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


def test_only_the_settings_of_the_providers_named_are_needed() -> None:
    without = {name: value for name, value in WHOLE.items() if not name.startswith("MAILGUN_")}
    url = "smtp://ann:p%40w@mail.example.com:587?connections=4"

    found = read_settings({**without, "MAILROOM_PROVIDERS": "smtp", "SMTP_URL": url}, dotenv=None)

    assert found.sending.providers == ("smtp",)
    assert "p%40w" not in repr(found)
