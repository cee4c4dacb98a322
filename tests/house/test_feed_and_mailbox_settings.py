"""Settings of what is fetched from others: feeds, and mailboxes with returned mail."""

import pytest

from config.settings import BadSettings, read_settings
from tests.support.whole_settings import WHOLE


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
