"""A request as it comes in: in any pieces, in time or not, and everything that is none."""

import io
from collections.abc import Iterator

import pytest

from cli.heads import RequestRefused
from cli.incoming import HEAD_S, MAX_HEAD, MAX_LINE, SMALL, Incoming, Stage

GET = b"GET /v1/emails?tag=a HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/emails HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;ext=1\r\nhel\r\n02\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n"
)


def fed(raw: bytes, *, by: int = 1 << 20, now: float = 0.0) -> Incoming:
    incoming = Incoming(now=now)
    for at in range(0, len(raw), by):
        incoming.feed(raw[at : at + by], now=now)
    return incoming


@pytest.mark.parametrize("by", [1, 2, 7, 1_000])
@pytest.mark.parametrize("raw", [POST, CHUNKED, b"\r\n\r\n" + POST])
def test_a_request_is_the_same_in_whatever_pieces_it_comes(raw: bytes, by: int) -> None:
    incoming = fed(raw, by=by)

    assert (incoming.stage, incoming.head.method, incoming.body().read(), incoming.rest) == (
        *(Stage.WHOLE, "POST", b"hello"),
        b"",
    )


def test_what_comes_behind_a_request_is_the_next_one() -> None:
    incoming = fed(POST + GET + CHUNKED)

    assert incoming.rest == GET + CHUNKED
    assert fed(incoming.rest).rest == CHUNKED
    assert fed(CHUNKED + GET).rest == GET


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400),
        (b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"GET /" + b"a" * MAX_LINE + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /" + b"a" * (MAX_LINE + 100), 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * MAX_HEAD, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: the worst\r\n\r\n", 417),
        (CHUNKED.replace(b"3;ext=1", b"x"), 400),
        (CHUNKED.replace(b"3;ext=1", b"-3"), 400),
        (CHUNKED.replace(b"3;ext=1", b"2"), 400),
        (CHUNKED.replace(b"3;ext=1", b"3;" + b"x" * 400), 400),
        (CHUNKED.replace(b"X-Trailer: 1", b"X: 1\r\n" * 3_000), 431),
        (CHUNKED.partition(b"3;")[0] + b"1\r\na\r\n" * 1_000, 400),
    ],
)
def test_what_is_no_request_is_refused_with_its_status(raw: bytes, status: int) -> None:
    with pytest.raises(RequestRefused) as refused:
        fed(raw)
    with pytest.raises(RequestRefused):
        fed(raw, by=100)

    assert refused.value.status == status


def test_a_large_body_is_taken_only_when_it_is_allowed() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"

    asking, unread = fed(head + b"x" * 70_000), fed(head)
    asking.allow(100_000, now=0)
    unread.allow(99_999, now=0)
    asking.feed(b"x" * 30_000 + GET, now=0)

    assert (asking.stage, len(asking.body().read()), asking.rest, asking.unread) == (Stage.WHOLE, 100_000, GET, False)
    assert (unread.stage, unread.unread, unread.head.keeps_alive) == (Stage.WHOLE, True, False)


def test_a_chunked_body_asks_when_it_is_no_longer_small() -> None:
    def chunks(count: int) -> Iterator[bytes]:
        yield b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        yield from (b"1000\r\n" + b"x" * 0x1000 + b"\r\n" for _ in range(count))

    few, many, refused = fed(b"".join(chunks(16))), fed(b"".join(chunks(17))), fed(b"".join(chunks(17)))
    many.allow(1_000_000, now=0)
    many.feed(b"0\r\n\r\n", now=0)
    refused.allow(0, now=0)
    beyond = fed(b"".join(chunks(17)))
    beyond.allow(SMALL + 8192, now=0)
    beyond.feed(b"2000\r\n" + b"x" * 0x2000, now=0)

    assert few.stage is Stage.BODY
    assert (many.stage, many.received) == (Stage.WHOLE, 17 * 0x1000)
    assert (refused.stage, refused.unread) == (Stage.WHOLE, True)
    assert (beyond.stage, beyond.unread) == (Stage.WHOLE, True)


def test_a_head_has_its_time_from_its_first_byte_and_a_body_by_its_rate() -> None:
    idle = Incoming(now=0)
    idle.feed(b"G", now=60)
    body = Incoming(now=0)
    body.feed(POST[:-5], now=5)
    soon = body.deadline
    body.feed(b"hell", now=14)

    assert idle.deadline == 60 + HEAD_S
    assert (soon, body.stage) == (15, Stage.BODY)
    assert 15 < body.deadline < 15.1


def test_a_body_can_be_read_more_than_once_as_a_file() -> None:
    body = fed(POST).body()

    assert isinstance(body, io.BytesIO)
    assert body.read(2) + body.read() == b"hello"
