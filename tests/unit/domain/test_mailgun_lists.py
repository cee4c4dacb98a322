"""What Mailgun's lists mean here, and what of ours they can say."""

from datetime import UTC, datetime

import pytest

from mailroom.domain.mailgun_lists import entries_of_record, lists_of
from mailroom.domain.suppressions import Entry

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)


def scopes(of: str, *, code: int | None = None, words: str = "", tags: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    found = entries_of_record(of, at=NOW, code=code, words=words, tags=tags, topics=["newsletter"])
    return [(entry.scope, entry.reason) for entry in found]


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        ("5.1.1 The email account that you tried to reach does not exist", True),
        ("", True),
        ("No MX for example.org", True),
        ("5.7.1 message blocked as spam", False),
        ("5.2.2 mailbox full", False),
    ],
)
def test_a_bounce_is_taken_unless_it_blames_something_else_than_the_address(words: str, taken: bool) -> None:
    assert scopes("bounces", code=550, words=words) == ([("all", "bounced")] if taken else [])


def test_a_complaint_concerns_all_campaigns() -> None:
    assert scopes("complaints") == [("campaigns", "complained")]


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ((), ["campaigns"]),
        (("*",), ["campaigns"]),
        (("newsletter", "*"), ["campaigns"]),
        (("newsletter", "newsletter"), ["newsletter"]),
        (("no-topic-of-ours",), []),
    ],
)
def test_an_unsubscribe_concerns_all_campaigns_or_the_topics_that_its_tags_name(
    tags: tuple[str, ...], wanted: list[str]
) -> None:
    assert [scope for scope, _ in scopes("unsubscribes", tags=tags)] == wanted


@pytest.mark.parametrize(
    ("scope", "reason", "of_all", "too"),
    [
        ("all", "bounced", ["bounces"], ["bounces"]),
        ("all", "manual", ["unsubscribes"], ["unsubscribes"]),
        ("campaigns", "complained", [], ["complaints"]),
        ("campaigns", "unsubscribed", [], ["unsubscribes"]),
        ("newsletter", "unsubscribed", [], []),
    ],
)
def test_only_what_means_the_same_at_mailgun_goes_there_unless_more_is_asked_for(
    scope: str, reason: str, of_all: list[str], too: list[str]
) -> None:
    entries = [Entry(scope, reason, NOW)]

    assert [of for of, _ in lists_of(entries, "all")] == of_all
    assert [of for of, _ in lists_of(entries, "campaigns")] == too
    assert not list(lists_of(entries, "none"))
