"""The words of the pages: none of the words that were read twice."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from mailroom.domain.searches import BoundedCount
from web.words import people, sentence, span, total

WEB = Path(__file__).parents[2] / "web"
#: Words that new users misunderstood, and the words of the pages for them.
MISREAD = {
    r"single mails?\b": "transactional emails",
    r"calls? to the provider": "provider requests",
    r"take .{0,20}off the list|the ticked": "dismiss selected",
    r"\bsend .{0,12}again\b|sent again": "resend",
    r"for good, each": "failed",
    r"nobody we know": "unauthenticated",
    r"what happened": "activity",
    r"not done": "nothing was changed",
    r"switch off|put first": "disable, make primary",
    r"further |older (?:schedules|mails|ones)": "next page",
    r"(?<![-\w/])mails\b(?!\.)": "emails",
    r"\ba (?:single )?mail\b": "an email",
    r"who did not get it": "recipients not reached",
    r"\bmake the first one": "new schedule",
}


def visible(path: Path) -> str:
    """A template without its expressions, tags and comments."""
    text = re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.S)
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " ", text, flags=re.S)
    return re.sub(r"<code>.*?</code>|<[^>]*>", " ", text, flags=re.S)


@pytest.mark.parametrize("path", sorted((WEB / "templates").glob("*.html")), ids=lambda path: path.name)
def test_no_page_says_a_word_that_was_misread(path: Path) -> None:
    text = visible(path)

    found = {word: better for word, better in MISREAD.items() if re.search(word, text, re.IGNORECASE)}

    assert found == {}


@pytest.mark.parametrize(
    ("message", "words"),
    [("write one address", "Write one address."), ("Did you mean it?", "Did you mean it?")],
)
def test_a_fault_is_shown_as_a_sentence(message: str, words: str) -> None:
    assert sentence(message) == words


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (BoundedCount(1, True), "1 schedule"),
        (BoundedCount(1_994, True), "1,994 schedules"),
        (BoundedCount(10_000, False), "10,000+ schedules"),
    ],
)
def test_a_count_of_a_list_says_where_it_stopped(count: BoundedCount, said: str) -> None:
    assert total(count, "schedule") == said


@pytest.mark.parametrize(
    ("first", "count", "said"),
    [
        ([], 3, "3 recipients"),
        (["ann@example.org"], 1, "ann@example.org"),
        (["ann@example.org", "bo@example.org"], 2, "ann@example.org and bo@example.org"),
        (["ann@example.org", "bo@example.org", "cy@example.org"], 3, "ann@example.org and 2 more"),
        (["ann@example.org", "bo@example.org", "cy@example.org"], 1_000, "ann@example.org and 999 more"),
    ],
)
def test_recipients_are_named_by_the_first_of_them(first: list[str], count: int, said: str) -> None:
    assert people(first, count) == said


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (timedelta(seconds=4.9), "4 s"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=2), "2 h"),
    ],
)
def test_a_span_of_time_is_shown_in_the_unit_that_fits(time: timedelta, words: str) -> None:
    assert span(time) == words
