"""A trace begins with a request, and each later step is a child of it. Off, there is nothing."""

from collections.abc import Iterator

import pytest

from mailroom.watching import traces
from tests.support.collector import Collector, collecting

TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made
        traces.stop()


def request(traceparent: str) -> str:
    """A whole request. Returns what it hands on."""
    traces.begin_request(traceparent)
    handed_on = traces.current()
    traces.end_request("POST /v1/emails", {"status": 202})
    return handed_on


def test_off_a_request_has_no_trace_whatever_its_caller_says() -> None:
    assert request(SAMPLED) == ""


def test_a_request_goes_on_with_its_callers_trace_and_steps_are_its_children(collector: Collector) -> None:
    traces.start(collector.url, share=1, part="api")

    handed_on = request(SAMPLED)
    traces.step(handed_on, "commit", {"mails": 3}, seconds=0.25)
    traces.stop()

    made = collector.of(TRACE)
    assert handed_on.startswith(f"00-{TRACE}-")
    assert made["POST /v1/emails"].parent == "b7ad6b7169203331"
    assert made["POST /v1/emails"].facts["status"] == 202
    assert (made["commit"].parent, made["commit"].facts) == (made["POST /v1/emails"].id, {"mails": 3})
    assert made["commit"].took_s == pytest.approx(0.25, abs=0.001)
    assert {span.part for span in made.values()} == {"mailroom-api"}


def test_a_caller_who_does_not_want_its_request_traced_is_heeded(collector: Collector) -> None:
    traces.start(collector.url, share=1, part="api")

    handed_on = request(f"00-{TRACE}-b7ad6b7169203331-00")
    traces.stop()

    assert (handed_on, collector.spans) == ("", [])


@pytest.mark.parametrize("given", ["", "nonsense", f"00-{'0' * 32}-b7ad6b7169203331-01", "00-" + "a" * 5000, "a\x00"])
def test_without_a_sane_traceparent_a_trace_of_its_own_begins(collector: Collector, given: str) -> None:
    traces.start(collector.url, share=1, part="api")

    handed_on = request(given)
    traces.stop()

    assert [span.parent for span in collector.spans] == [""]
    assert handed_on.split("-")[1] == collector.spans[0].trace_id


def test_of_requests_without_a_decision_only_the_share_is_traced(collector: Collector) -> None:
    traces.start(collector.url, share=0, part="api")

    assert request("") == ""
    assert request(SAMPLED) != ""


def test_a_step_shows_the_request_that_brought_it(collector: Collector) -> None:
    traces.start(collector.url, share=1, part="api")

    mail, webhook = request(SAMPLED), request("")
    traces.step(mail, "event delivered", {}, seconds=0, linked=webhook)
    traces.stop()

    assert collector.of(TRACE)["event delivered"].links == [webhook.split("-")[1]]
