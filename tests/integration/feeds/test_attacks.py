"""What a stranger's server may answer, and where a URL may lead: each attack is refused, in bounded time and memory."""

import gzip
import json
import re
import socket
import threading
import time
import tracemalloc
from typing import Any

import pytest

from mailroom.domain.feeds.failures import FeedFailed, FeedOutcome
from mailroom.domain.feeds.rules import FeedRules
from mailroom.domain.limits import MAX_FEED_BYTES
from mailroom.feeds.fetching import Fetcher
from tests.support.feed_server import (
    Answer,
    FeedServer,
    a_bomb,
    a_feed,
    a_feed_server,
    drips,
    fetched,
    floods,
    rules_for,
    says,
    sends,
)

OK = b"HTTP/1.1 200 OK\r\n"
END = b"\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
RSS = "<rss version='2.0'><channel><title>{}</title></channel></rss>"
ITEM = "<item><title>x</title></item>"
WORDY_AUTHOR = f"<d:creator>{'a' * 5_000}</d:creator>"

TIMES: dict[str, Answer] = {
    "a byte of the body now and then": drips(OK + END, b" "),
    "a byte of an announced body now and then": drips(OK + b"Content-Length: 1000\r\n\r\n", b" "),
    "a byte of a head now and then": drips(OK, b"x"),
    "a head without an end": drips(OK, b"X-More: 1\r\n", every_s=0.05),
    "a status line without an end": drips(b"HTTP/1.1 2", b"0"),
    "interim answers without an end": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n", every_s=0.01),
    "small chunks without an end": drips(CHUNKED, b"1\r\n \r\n"),
    "a chunk whose size never ends": drips(CHUNKED, b"0", every_s=0.05),
    "trailers without an end": drips(CHUNKED + b"0\r\n", b"X-More: 1\r\n", every_s=0.05),
    "nothing": drips(b"", b"", for_s=10),
}
SIZES: dict[str, Answer] = {
    "a body without an end": floods(OK + END, b" " * 65_536),
    "chunks without an end": floods(CHUNKED, b"10000\r\n" + b" " * 65_536 + b"\r\n"),
    "one chunk of a terabyte": floods(CHUNKED + b"FFFFFFFFFF\r\n", b" " * 65_536),
    "a gzip bomb": says(a_bomb(100_000_000), Content_Encoding="gzip"),
    "one byte too many": says("[" + " " * (MAX_FEED_BYTES - 1) + "]"),
    "one byte too many, packed": says(a_bomb(MAX_FEED_BYTES - 1), Content_Encoding="gzip"),
}
STATUSES: dict[str, Answer] = {
    "a redirect to the cloud's secrets": says(
        "", status="302 Found", Location="http://169.254.169.254/latest/meta-data/"
    ),
    "a redirect to loopback": says("", status="301 Moved", Location="http://127.0.0.1:9/"),
    "a redirect to a file": says("", status="307 Temporary", Location="file:///etc/passwd"),
    "a redirect to gopher": says("", status="308 Permanent", Location="gopher://127.0.0.1:6379/_FLUSHALL"),
    "a redirect without a place": says("", status="302 Found"),
    "500": says("no", status="500 Internal Server Error"),
    "404": says("no", status="404 Not Found"),
    "204": sends(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "206": says("[]", status="206 Partial Content"),
    "401": says("no", status="401 Unauthorized", WWW_Authenticate="Basic"),
    "407": says("no", status="407 Proxy Authentication Required"),
}
WIRES: dict[str, Answer] = {
    "no answer at all": sends(b""),
    "another protocol": sends(b"220 mail.example.com ESMTP\r\n"),
    "half of the announced body": sends(OK + b"Content-Length: 100\r\n\r\n[]"),
    "a chunk that is cut off": sends(CHUNKED + b"10\r\n[]"),
    "a chunk without a size": sends(CHUNKED + b"xyz\r\n[]"),
    "a hundred thousand header lines": floods(OK, b"X: 1\r\n" * 1_000, most=600_000),
    "a header line of a megabyte": sends(OK + b"X: " + b"x" * 1_000_000 + END + END),
}
BODIES: dict[str, tuple[str | bytes, str]] = {
    "a page": ("<html><body>Sign in</body></html>", "neither RSS nor Atom"),
    "text": ("Sign in", "neither JSON nor XML"),
    "the name of a file": ("/etc/passwd", "neither JSON nor XML"),
    "nothing": ("", "neither JSON nor XML"),
    "an object without items": ('{"error": "no"}', "neither a list nor an object"),
    "a text as items": ('{"items": "no"}', "neither a list nor an object"),
    "items that are no objects": ('["a", "b"]', r"items\[0\] is no object"),
    "broken JSON": ('[{"a": 1}', "is not JSON"),
    "JSON that is no number": ('[{"a": NaN}]', "is not JSON"),
    "half a surrogate pair": ('[{"a": "\\ud800"}]', "is not JSON"),
    "a thousand lists in one another": ("[" * 1_000 + "]" * 1_000, "no object|deeper|not JSON"),
    "a million lists in one another": ("[" * 1_000_000, "not JSON"),
    "an item that is too deep": ('[{"a": ' + '{"a": ' * 10 + "1" + "}" * 10 + "}]", "deeper than 8"),
    "too many values": (json.dumps([{"a": [0] * 60_000}]), "more than 50,000 values"),
    "too many items": (json.dumps([{"id": n} for n in range(2_001)]), "more than 2,000 items"),
    "an item that is too long": (json.dumps([{"a": "x" * 500_000}]), r"items\[0\]: more than 400,000"),
    "fields that are too long": (json.dumps({"a": "x" * 500_000, "items": []}), "its own fields: more than"),
    "a billion laughs": (f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]>{RSS.format("&l11;")}', "entities of its own"),
    "a quadratic blow-up": (
        f'<!DOCTYPE r [<!ENTITY a "{"a" * 50_000}">]>{RSS.format("&a;" * 50_000)}',
        "entities of its own",
    ),
    "a file as an entity": (
        f'<!DOCTYPE r [<!ENTITY f SYSTEM "file:///etc/passwd">]>{RSS.format("&f;")}',
        "entities of its own",
    ),
    "a URL as an entity": (
        f'<!DOCTYPE r [<!ENTITY f SYSTEM "http://127.0.0.1:9/">]>{RSS.format("&f;")}',
        "entities of its own",
    ),
    "a parameter entity": (
        f'<!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1:9/"> %p;]>{RSS.format("x")}',
        "entities of its own",
    ),
    "entities behind a comment that looks like an element": (
        f'<!-- <a --><!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]>{RSS.format("&l11;")}',
        "entities of its own",
    ),
    "entities in UTF-16": (
        ("\ufeff" + f'<!DOCTYPE r [<!ENTITY f SYSTEM "file:///etc/passwd">]>{RSS.format("&f;")}').encode("utf-16-le"),
        "entities of its own",
    ),
    "a document type with attributes of its own": (
        f"<!DOCTYPE rss [<!ATTLIST rss a CDATA 'x'>]>{RSS.format('x')}",
        "entities of its own",
    ),
    "entities in broken XML": (f'<rss><!ENTITY a "{"a" * 1_000}"><b>&a;', "entities of its own"),
    "an entity that nobody declared": (RSS.format("&nbsp;"), "broken in line 1"),
    "broken XML": ("<rss version='2.0'><channel><item>", "broken in line 1"),
    "two roots": (RSS.format("x") * 2, "broken in line 1"),
    "elements in one another": ("<rss>" + "<a>" * 200 + "</a>" * 200 + "</rss>", "deeper than 100"),
    "a million elements": ("<rss version='2.0'><channel>" + "<i/>" * 300_000 + "</channel></rss>", "more than 40,000"),
    "more items than fit": (f"<rss version='2.0'><channel>{ITEM * 2_001}</channel></rss>", "more than 2,000 items"),
    "an author that is one word": (f"<rss><author>{'a' * 1_900_000}</author></rss>", "a word of more than 254"),
    "many authors of one word each": (
        f"<rss xmlns:d='urn:d'>{WORDY_AUTHOR * 380}</rss>",
        "a word of more than 254",
    ),
    "declarations that do not end": ("<?xml" * 400_000, "broken in line 1"),
    "an encoding that unpacks": (f'<?xml version="1.0" encoding="zip"?>{RSS.format("x")}', "encoding zip is not known"),
    "an encoding that takes the square of time": (
        f'<?xml version="1.0" encoding="punycode"?>{RSS.format("x")}',
        "encoding punycode is not known",
    ),
    "UTF-7": (f'<?xml version="1.0" encoding="utf-7"?>{RSS.format("+ADw-")}', "encoding utf-7 is not known"),
    "bytes of another encoding": (b'["\xff\xfe\xfd"]', "not written in utf-8"),
}
ENCODINGS: dict[str, Answer] = {
    "brotli that was not asked for": says("[]", Content_Encoding="br"),
    "two layers of gzip": says(gzip.compress(gzip.compress(b"[]")), Content_Encoding="gzip, gzip"),
    "gzip that is none": says("[]", Content_Encoding="gzip"),
    "half of a gzip": says(gzip.compress(b"[" + b" " * 5_000 + b"]")[:-10], Content_Encoding="gzip"),
    "something behind the gzip": says(gzip.compress(b"[]") + b"more", Content_Encoding="gzip"),
    "two gzips in a row": says(gzip.compress(b"[") + gzip.compress(b"]"), Content_Encoding="gzip"),
}


def refusal_of(server: FeedServer, answer: Answer, **changes: Any) -> FeedFailed:
    server.answer = answer
    with pytest.raises(FeedFailed) as refused:
        fetched(server, **changes)
    return refused.value


@pytest.mark.parametrize("attack", TIMES)
def test_a_server_that_takes_its_time_is_cut_off_at_the_end_of_ours(server: FeedServer, attack: str) -> None:
    began = time.monotonic()

    failed = refusal_of(server, TIMES[attack], timeout_s=1)

    assert failed.outcome is FeedOutcome.SLOW
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize("attack", SIZES)
def test_what_is_too_large_is_refused_before_it_is_there(server: FeedServer, attack: str) -> None:
    tracemalloc.start()
    try:
        failed = refusal_of(server, SIZES[attack], timeout_s=10)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert failed.outcome is FeedOutcome.LARGE
    assert most < 25_000_000


@pytest.mark.parametrize("attack", STATUSES)
def test_another_answer_than_200_is_no_feed_and_leads_nowhere(server: FeedServer, attack: str) -> None:
    failed = refusal_of(server, STATUSES[attack])

    assert failed.outcome is FeedOutcome.STATUS
    assert len(server.requests) == 1


@pytest.mark.parametrize("attack", WIRES)
def test_an_answer_that_breaks_the_protocol_is_no_feed(server: FeedServer, attack: str) -> None:
    assert refusal_of(server, WIRES[attack]).outcome is FeedOutcome.AWAY


@pytest.mark.parametrize("attack", ENCODINGS)
def test_a_body_in_another_encoding_than_plain_or_one_gzip_is_refused(server: FeedServer, attack: str) -> None:
    assert refusal_of(server, ENCODINGS[attack]).outcome is FeedOutcome.BAD


@pytest.mark.parametrize("attack", BODIES)
def test_a_body_that_is_no_feed_is_refused_with_its_reason_in_bounded_time(server: FeedServer, attack: str) -> None:
    body, words = BODIES[attack]
    began = time.monotonic()

    failed = refusal_of(server, says(body), timeout_s=10)

    assert failed.outcome is FeedOutcome.BAD
    assert re.search(words, str(failed)), str(failed)
    assert time.monotonic() - began < 5
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        f"<!--x-->{chr(10) * 1_900_000}<rss version='2.0'><channel>{ITEM}</channel></rss>",
        json.dumps([{"title": "x", "content_html": f"<p>&#{'1' * 5_000};</p>"}]),
        f"<rss version='2.0'><channel>{'<item><author>a.b@c.example (A B)</author></item>' * 2_000}</channel></rss>",
    ],
    ids=["lines before it", "a character without an end", "many authors"],
)
def test_a_feed_that_is_odd_and_well_formed_is_read_in_bounded_time(server: FeedServer, body: str) -> None:
    server.answer = says(body)
    began = time.monotonic()

    assert fetched(server, timeout_s=10).items
    assert time.monotonic() - began < 5


def test_a_bug_of_a_parser_is_a_bad_feed_and_not_one_that_is_waited_for(
    server: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr("mailroom.feeds.fetching.read_feed", breaks)

    failed = refusal_of(server, says("[]"))

    assert (failed.outcome, str(failed)) == (FeedOutcome.BAD, "it cannot be read: RecursionError")


def test_the_answer_of_a_server_that_was_cut_off_is_not_taken_for_a_whole_one(server: FeedServer) -> None:
    """Without a length, the end of the connection is the end of the body."""
    failed = refusal_of(server, drips(OK + END + b"[]", b" "), timeout_s=1)

    assert failed.outcome is FeedOutcome.SLOW


NAME = "feeds.example.com"


class Resolver:
    """Answers for a name what a test wants, and notes each question and each connection. Nothing leaves the host."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.asked: list[str] = []
        self.connected: list[str] = []
        self._answers = list(answers)
        self._known = {address for answer in answers for address in answer}
        really_look_up, really_connect = socket.getaddrinfo, socket.socket.connect

        def look_up(host: str, port: int, *rest: Any, **more: Any) -> Any:
            return self._look_up(host, port) if host == NAME else really_look_up(host, port, *rest, **more)

        def connect(of: socket.socket, address: Any) -> None:
            if address[0] not in self._known:
                return really_connect(of, address)
            self.connected.append(address[0])
            raise ConnectionRefusedError(111, "Connection refused")

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        monkeypatch.setattr(socket.socket, "connect", connect)

    def _look_up(self, host: str, port: int) -> list[Any]:
        self.asked.append(host)
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        kinds = [(socket.AF_INET6 if ":" in one else socket.AF_INET, one) for one in addresses]
        return [(family, socket.SOCK_STREAM, 6, "", (one, port)) for family, one in kinds]


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:7f00:1::", "::7f00:1"),
    ],
)
def test_a_name_that_leads_inside_is_never_connected_to(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolver = Resolver(monkeypatch, [address])

    with pytest.raises(FeedFailed, match="not at a public address") as refused:
        Fetcher(FeedRules()).fetch(a_feed(f"https://{NAME}/"))

    assert refused.value.outcome is FeedOutcome.REFUSED
    assert resolver.connected == []


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers otherwise the second time (DNS rebinding) is asked once."""
    resolver = Resolver(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])

    with pytest.raises(FeedFailed):
        Fetcher(FeedRules()).fetch(a_feed(f"https://{NAME}/"))

    assert (resolver.asked, resolver.connected) == ([NAME], ["93.184.216.34"])


def test_of_several_addresses_only_public_ones_are_connected_to_and_few_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    public = [f"93.184.216.{n}" for n in range(10)]
    resolver = Resolver(monkeypatch, ["127.0.0.1", *public, "::1"])

    with pytest.raises(FeedFailed):
        Fetcher(FeedRules()).fetch(a_feed(f"https://{NAME}/"))

    assert resolver.connected == public[:4]


def test_a_name_whose_look_up_hangs_takes_no_longer_than_the_fetch_may(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(20))
    began = time.monotonic()

    with pytest.raises(FeedFailed, match="not looked up in time") as failed:
        Fetcher(FeedRules()).fetch(a_feed(f"https://{NAME}/", timeout_s=1))
    released.set()

    assert failed.value.outcome is FeedOutcome.SLOW
    assert time.monotonic() - began < 2


def test_proxies_of_the_environment_are_not_asked(server: FeedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_feed_server() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://{proxy.place}")

        fetched(server)

    assert (len(server.requests), len(proxy.requests)) == (1, 0)


@pytest.mark.parametrize(
    ("rules", "url"),
    [
        ({}, "http://127.0.0.1:{port}/"),
        ({"http": True}, "http://127.0.0.1:{port}/"),
        ({"http": True, "ports": frozenset(range(65_536))}, "http://127.0.0.1:{port}/"),
        ({"http": True, "ports": frozenset(range(65_536))}, "http://localhost:{port}/"),
        ({"http": True, "ports": frozenset(range(65_536))}, "http://[::ffff:127.0.0.1]:{port}/"),
        ({"places": frozenset({"feeds.example.com"})}, "https://other.example.com/"),
        ({"places": frozenset({"feeds.example.com"})}, "https://feeds.example.com:8443/"),
        ({"private": frozenset({"127.0.0.1:1"})}, "http://127.0.0.1:{port}/"),
    ],
)
def test_a_place_that_the_settings_do_not_name_is_not_asked(server: FeedServer, rules: Any, url: str) -> None:
    with pytest.raises(FeedFailed) as refused:
        Fetcher(FeedRules(**rules)).fetch(a_feed(url.format(port=server.port)))

    assert refused.value.outcome is FeedOutcome.REFUSED
    assert server.requests == []


def test_a_secret_goes_to_its_own_host_and_into_no_words(server: FeedServer) -> None:
    rules = rules_for(server, secrets={"shop": "Bearer 0123456789"})
    feed = a_feed(f"{server.url}?key=also-secret", headers=(("authorization", "shop"), ("accept", "shop")))
    server.answer = says("no", status="302 Found", Location=f"http://127.0.0.1:{server.port}/b?token=secret-too")

    with pytest.raises(FeedFailed) as failed:
        Fetcher(rules).fetch(feed)

    (head,) = server.requests
    assert "authorization: Bearer 0123456789\r\n" in head
    assert head.lower().count("\r\naccept:") == 1
    assert not re.search("secret|0123", str(failed.value))
    assert "0123" not in repr(rules)


def test_a_secret_goes_to_no_other_host(server: FeedServer) -> None:
    with a_feed_server() as other:
        rules = rules_for(server, other, secrets={})
        theirs = rules_for(other, secrets={"shop": "Bearer 0123456789"}).secrets
        both = FeedRules(private=rules.private, secrets=theirs)

        with pytest.raises(FeedFailed, match=f'"shop" is not for {server.place}'):
            Fetcher(both).fetch(a_feed(server.url, headers=(("Authorization", "shop"),)))

    assert server.requests == []
