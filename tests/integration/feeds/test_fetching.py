"""Feeds fetched from a real server: what comes, in the form that templates get."""

import gzip
import json
import socket
import ssl
import threading
import time
from typing import Any

import pytest
import trustme

from mailroom.domain.feeds.failures import FeedFailed, FeedOutcome
from mailroom.domain.feeds.rules import FeedRules
from mailroom.feeds.fetching import Fetcher
from tests.support.feed_server import FeedServer, a_feed, drips, fetched, rules_for, says

NEWS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:media="http://search.yahoo.com/mrss/">
<channel><title>Shop &amp; news</title><link>https://shop.example/</link>
<item><title>Coats, &lt;b&gt;cheap&lt;/b&gt;</title><link>/coats</link><guid isPermaLink="false">n-1</guid>
<description>Warm &lt;i&gt;coats&lt;/i&gt;</description>
<content:encoded><![CDATA[<p>Warm<br>coats</p><script>alert(1)</script>]]></content:encoded>
<pubDate>Tue, 01 Dec 2026 09:00:00 +0100</pubDate><media:thumbnail url="https://shop.example/coat.png"/>
<category>coats</category></item>
<item><title>Bad link</title><link>javascript:alert(1)</link></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Blog</title><updated>2026-12-01T09:00:00Z</updated>
<entry><id>tag:1</id><title>One</title><link href="https://blog.example/1"/><updated>2026-12-01T08:00:00Z</updated>
<author><name>Ann</name></author><summary>First</summary></entry></feed>"""


def test_json_keeps_what_it_says(server: FeedServer) -> None:
    said = {"title": "Shop", "offers": 2, "items": [{"id": 7, "price": 9.5, "tags": ["new"], "title": "Coat"}]}
    server.answer = says(json.dumps(said))

    content = fetched(server)

    assert content.items == said["items"]
    assert content.fields == {"title": "Shop", "link": "", "offers": 2}


def test_a_list_is_a_feed_too_also_packed(server: FeedServer) -> None:
    server.answer = says(gzip.compress(b'[{"id": "a"}]'), Content_Encoding="gzip")

    assert fetched(server).items == [{"id": "a"}]


def test_json_feed_gets_the_names_of_rss(server: FeedServer) -> None:
    item = {
        "id": "1",
        "url": "https://blog.example/1",
        "content_html": "<p>Two<br>lines</p>",
        "date_published": "2026-12-01T09:00:00Z",
        "authors": [{"name": "Ann"}],
    }
    server.answer = says(json.dumps({"home_page_url": "https://blog.example/", "items": [item]}))

    content = fetched(server)

    (found,) = content.items
    assert content.fields["link"] == "https://blog.example/"
    assert (found["link"], found["published"]) == (item["url"], item["date_published"])
    assert (found["content"], found["author"]) == ("Two\nlines", "Ann")


def test_rss_is_taken_apart(server: FeedServer) -> None:
    server.answer = says(NEWS, Content_Type="text/html")

    content = fetched(server)

    assert content.fields["title"] == "Shop & news"
    coats, bad = content.items
    assert coats == {
        "id": "n-1",
        "title": "Coats, cheap",
        "link": f"http://{server.place}/coats",
        "summary": "Warm coats",
        "content": "Warm\ncoats",
        "content_html": "<p>Warm<br>coats</p><script>alert(1)</script>",
        "published": "2026-12-01T08:00:00+00:00",
        "updated": "",
        "author": "",
        "image": "https://shop.example/coat.png",
        "tags": ["coats"],
    }
    assert (bad["title"], bad["link"]) == ("Bad link", "")


def test_atom_is_taken_apart(server: FeedServer) -> None:
    server.answer = says(ATOM)

    content = fetched(server)

    (item,) = content.items
    assert content.fields == {"title": "Blog", "link": "", "updated": "2026-12-01T09:00:00+00:00"}
    assert (item["id"], item["link"], item["author"]) == ("tag:1", "https://blog.example/1", "Ann")
    assert (item["content"], item["published"]) == ("First", "2026-12-01T08:00:00+00:00")


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "utf-16", "windows-1252"])
def test_the_encoding_is_that_of_mark_declaration_or_header(server: FeedServer, encoding: str) -> None:
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><rss version="2.0"><channel><title>Çöats</title></channel></rss>'
    )
    server.answer = says(text.encode(encoding))

    assert fetched(server).fields["title"] == "Çöats"


def test_the_charset_of_the_header_counts_where_the_feed_says_nothing(server: FeedServer) -> None:
    server.answer = says('[{"title": "Çöat"}]'.encode("iso-8859-1"), Content_Type="application/json; charset=latin1")

    assert fetched(server).items == [{"title": "Çöat"}]


def test_the_request_names_its_host_and_carries_no_more_than_it_must(server: FeedServer) -> None:
    fetched(server)

    (head,) = server.requests
    assert head.startswith("GET /feed HTTP/1.1\r\n")
    assert f"\r\nHost: {server.place}\r\n" in head
    assert "Cookie" not in head


@pytest.mark.parametrize(("certified", "fits"), [("localhost", True), ("other.example", False)])
def test_the_certificate_must_be_that_of_the_name(certified: str, fits: bool) -> None:
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(certified).configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]

    def serve() -> None:
        connection, _ = listening.accept()
        try:
            with serving.wrap_socket(connection, server_side=True) as over_tls:
                over_tls.recv(65_536)
                over_tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
        except OSError:
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    fetcher = Fetcher(FeedRules(private=frozenset({f"localhost:{port}"})), trusting)
    feed = a_feed(f"https://localhost:{port}/")

    if fits:
        assert fetcher.fetch(feed).items == []
    else:
        with pytest.raises(FeedFailed, match=f"the certificate of localhost:{port} is not valid"):
            fetcher.fetch(feed)
    thread.join(5)
    listening.close()


def test_few_previews_are_fetched_at_once(server: FeedServer) -> None:
    server.answer = drips(b"HTTP/1.1 200 OK\r\n\r\n", b" ", for_s=3)
    fetcher = Fetcher(rules_for(server))
    failures: list[Any] = []

    def look() -> None:
        try:
            fetcher.fetch_briefly(a_feed(server.url, timeout_s=2))
        except FeedFailed as failed:
            failures.append(str(failed))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(server.requests) < 4:
        time.sleep(0.01)
    with pytest.raises(FeedFailed, match="other feeds are being looked at") as refused:
        fetcher.fetch_briefly(a_feed(server.url))
    for thread in threads:
        thread.join()

    assert refused.value.outcome is FeedOutcome.SLOW
    assert len(server.requests) == 4
