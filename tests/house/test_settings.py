"""Settings: all mistakes at once, by name; secrets that never show."""

from pathlib import Path

import pytest

from config.settings import BadSettings, read_settings
from tests.support.whole_settings import WHOLE


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


def test_every_missing_and_wrong_setting_is_reported_at_once_with_what_was_expected() -> None:
    wrong = {"MAILROOM_API_PORT": "http", "MAILROOM_PROVIDERS": "mailgun,pigeon", "MAILGUN_BASE_URL": "http://h:99999"}

    with pytest.raises(BadSettings) as refused:
        read_settings(wrong, dotenv=None)

    told = "\n".join(refused.value.faults)
    for name in (*WHOLE, *wrong):
        assert name in told
    assert "MAILROOM_API_PORT is wrong: expected a TCP port" in told


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
