"""Records from a real DNS server on loopback, and no answer within a bounded time."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from mailroom.domain.sending_domains import DnsQuestion, RecordType
from mailroom.providers.dns_records import look_up
from tests.support.dns_server import DnsServer

TXT = DnsQuestion("mg.brand.dev", RecordType.TXT)
MX = DnsQuestion("mg.brand.dev", RecordType.MX)
ELSEWHERE = DnsQuestion("nowhere.brand.dev", RecordType.TXT)


@pytest.fixture
def server() -> Iterator[DnsServer]:
    long = '"v=spf1 include:mailgun" ".org ~all"'  # a record in two strings
    with closing(DnsServer({("mg.brand.dev", "TXT"): [long, '"other"']})) as made:
        yield made


def test_records_are_texts_in_a_fixed_order_and_absent_ones_are_none_of_them(server: DnsServer) -> None:
    answers = look_up([TXT, MX, ELSEWHERE, TXT], [server.address])

    assert answers == {TXT: ["other", "v=spf1 include:mailgun.org ~all"], MX: (), ELSEWHERE: ()}


def test_a_silent_server_costs_a_bounded_time_whatever_is_asked() -> None:
    asked = [DnsQuestion(f"n{n}.brand.dev", RecordType.TXT) for n in range(60)]

    with closing(DnsServer({}, silent=True)) as silent:
        began = time.monotonic()
        answers = look_up(asked, [silent.address], within_s=0.5)

    assert answers == dict.fromkeys(asked)
    assert time.monotonic() - began < 5


def test_a_server_that_is_away_is_no_answer(server: DnsServer) -> None:
    server.close()

    assert look_up([TXT], [server.address], within_s=0.5) == {TXT: None}
