"""Feeds: which may be named, from which addresses they may come, what of them is new, and when a fetch is repeated."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.errors import InvalidInput
from mailroom.domain.feeds.checking import check_feed, fields_of
from mailroom.domain.feeds.model import Feed, WithoutFeed
from mailroom.domain.feeds.networks import is_public
from mailroom.domain.feeds.newer import MOST_SEEN, distinct, new_among, seen_by_now, taken
from mailroom.domain.feeds.retrying import next_try
from mailroom.domain.feeds.urls import BadUrl, read_url
from mailroom.domain.ids import AudienceId, RunId, ScheduleId
from mailroom.domain.limits import MAX_FEED_CHARACTERS, MAX_FEED_ITEMS
from mailroom.domain.runs import Run, RunKind, RunState

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
URL = "https://feeds.example.com/news.rss"


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:2800:220:1::1", "64:ff9b::808:808"])
def test_an_address_of_the_public_internet_is_one(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254"),
        *("168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192"),
        *("192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1"),
        *("239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::a00:1"),
        *("64:ff9b:1::1", "100::1", "2001::1", "2001:10::1", "2001:db8::1", "2002:a00:1::", "3fff::1", "5f00::1"),
        *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2606:2800:220:1::1%eth0"),
        *("", "localhost", "1.2.3", "1.2.3.4.5", "127.1", "0x7f.0.0.1", "2130706433"),
    ],
)
def test_any_other_address_is_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("text", "host", "port", "target"),
    [
        (URL, "feeds.example.com", 443, "/news.rss"),
        ("http://Feeds.Example.COM.:8080?a=1&b=%20", "feeds.example.com", 8080, "/?a=1&b=%20"),
        ("https://[2606:2800:220:1::1]/x", "2606:2800:220:1::1", 443, "/x"),
        ("https://93.184.216.34/", "93.184.216.34", 443, "/"),
        ("https://xn--caf-dma.example/a;b=1,2/(c)~!*'$@:[d]", "xn--caf-dma.example", 443, "/a;b=1,2/(c)~!*'$@:[d]"),
    ],
)
def test_a_url_is_read_in_one_way(text: str, host: str, port: int, target: str) -> None:
    url = read_url(text)

    assert (url.host, url.port, url.target) == (host, port, target)


@pytest.mark.parametrize(
    "text",
    [
        *("", "feeds.example.com", "//feeds.example.com/", "ftp://feeds.example.com/", "file:///etc/passwd"),
        *("gopher://127.0.0.1:6379/_X", "javascript:alert(1)", "HTTPS://feeds.example.com/", " https://a.example/"),
        *("https://user@feeds.example.com/", "https://user:pw@a.example/", "https://a.example@127.0.0.1/"),
        *("https://a.example\\@127.0.0.1/", "https://a.example#@127.0.0.1/", "https://a.example/#part"),
        *("https:///path", "https://", "https://:443/", "https://a.example:0/", "https://a.example:65536/"),
        *("https://a.example:99999999/", "https://a.example:80:81/", "https://127.1/", "https://2130706433/"),
        *("https://0x7f000001/", "https://0177.0.0.1/", "https://1.2.3/", "https://[::1", "https://[::1]x/"),
        *("https://[fe80::1%25eth0]/", "https://-a.example/", "https://a..example/", "https://a.example/a b"),
        *("https://a.example/\r\nHost: b", "https://a.example/\t", "https://a.example/é", "https://é.example/"),
        *("https://a.example/<x>", 'https://a.example/"', "https://a.example/{x}", "https://" + "a" * 64 + ".example/"),
        *(
            "https://" + "a." * 130 + "example/",
            "https://a.example/" + "x" * 2_000,
            "https://a.example/^",
            "https://a|b/",
        ),
    ],
)
def test_a_url_that_could_be_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(BadUrl):
        read_url(text)


def test_a_url_is_shown_without_its_query() -> None:
    assert read_url("https://a.example:8443/x?key=secret").shown == "https://a.example:8443/x"


def test_a_feed_has_defaults_and_is_read_back_as_it_was() -> None:
    feed = check_feed({"url": URL})

    assert feed == Feed(URL, (), 20, True, WithoutFeed.SKIP, 3600, WithoutFeed.SKIP)
    assert check_feed(fields_of(feed)) == feed


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"url": ""}, {"feed.url"}),
        ({"url": "ftp://x", "timeout_s": 0, "deadline_s": -1}, {"feed.url", "feed.timeout_s", "feed.deadline_s"}),
        ({"timeout_s": 61}, {"feed.timeout_s"}),
        ({"deadline_s": 604_801}, {"feed.deadline_s"}),
        ({"when_empty": "wait", "when_away": ""}, {"feed.when_empty", "feed.when_away"}),
        (
            {"headers": {"X Y": "a", "Host": "a", "A": "b c"}},
            {"feed.headers.X Y", "feed.headers.Host", "feed.headers.A"},
        ),
        ({"headers": {"A": "x", "a": "x"}}, {"feed.headers.a"}),
        ({"headers": {"A\r\nB": "x"}}, {"feed.headers.A\r\nB"}),
        ({"headers": {f"X-{n}": "a" for n in range(6)}}, {"feed.headers"}),
        ({"headers": {"Transfer-Encoding": "x"}}, {"feed.headers.Transfer-Encoding"}),
    ],
)
def test_every_fault_of_a_feed_is_named_at_once(changes: Any, paths: set[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_feed({"url": URL, **changes})

    assert {fault.path for fault in refused.value.faults} == paths


def test_an_item_is_known_by_its_id_else_by_its_link_else_by_all_it_says() -> None:
    before = distinct([{"id": 1, "title": "a"}, {"link": "l", "title": "a"}, {"title": "a"}])

    now = distinct([{"id": 1, "title": "b"}, {"link": "l", "title": "b"}, {"title": "b"}, {"id": "2"}, {"link": "m"}])

    assert new_among(now, seen_by_now(before, [])) == [{"title": "b"}, {"id": "2"}, {"link": "m"}]


def test_the_same_item_twice_in_a_feed_is_one() -> None:
    assert list(distinct([{"id": "1", "n": 1}, {"id": "1", "n": 2}]).values()) == [{"id": "1", "n": 1}]


def test_what_left_the_feed_is_remembered_so_that_it_is_not_new_when_it_comes_back() -> None:
    a, b = {"id": "a"}, {"id": "b"}
    first = seen_by_now(distinct([a]), [])
    second = seen_by_now(distinct([b]), first)

    assert new_among(distinct([a, b]), second) == []


def test_what_is_remembered_has_an_end() -> None:
    assert len(seen_by_now(distinct([{"id": n} for n in range(10)]), [str(n) for n in range(MOST_SEEN)])) == MOST_SEEN


def test_a_run_takes_the_first_items_by_number_and_by_characters() -> None:
    assert len(taken([{"id": n} for n in range(200)])) == MAX_FEED_ITEMS
    assert len(taken([{"id": n, "text": "x" * (MAX_FEED_CHARACTERS // 3)} for n in range(5)])) == 2


def a_run(**changes: Any) -> Run:
    run = Run(
        RunId("r"),
        ScheduleId("s"),
        RunKind.DUE,
        RunState.PLANNING,
        NOW,
        1,
        AudienceId("a"),
        recipients=1,
        created_at=NOW,
    )
    return replace(run, **changes)


def test_a_fetch_is_repeated_at_growing_times_and_last_at_the_deadline() -> None:
    feed = check_feed({"url": URL, "deadline_s": 600})
    now, waits = NOW, []
    for tries in range(1, 50):
        again = next_try(a_run(), feed, tries=tries, now=now)
        if again is None:
            break
        waits.append(int((again - now).total_seconds()))
        now = again

    assert waits == [5, 10, 20, 40, 80, 160, 285]
    assert now == NOW + timedelta(seconds=600)


def test_the_deadline_of_a_run_that_was_made_late_counts_from_its_making() -> None:
    feed = check_feed({"url": URL, "deadline_s": 60})
    late = a_run(created_at=NOW + timedelta(hours=5))

    assert next_try(late, feed, tries=1, now=late.created_at) == late.created_at + timedelta(seconds=5)
    assert next_try(late, feed, tries=9, now=late.created_at + timedelta(seconds=60)) is None


def test_a_feed_without_a_deadline_is_fetched_once() -> None:
    assert next_try(a_run(), check_feed({"url": URL, "deadline_s": 0}), tries=1, now=NOW) is None
