"""Merge fields that recipients lack: found in a content, counted, and told with examples."""

from dataclasses import replace

import pytest

from mailroom.domain.audiences import Recipient
from mailroom.domain.feeds.model import Feed
from mailroom.domain.ids import AudienceId
from mailroom.domain.merge_fields import FieldTally, UsedFields, fields_of
from mailroom.domain.schedules import Content


def a_content(text: str, **changes: object) -> Content:
    content = Content("ann@mg.example.com", "News", text, "", AudienceId("aud_1"), 1)
    return replace(content, **changes)  # type: ignore[arg-type]


def hints(content: Content, *recipients: Recipient, of_all: bool = True) -> list[tuple[str, str]]:
    tally = FieldTally(fields_of(content))
    tally.look_at(recipients)
    return [(hint.code, hint.message) for hint in tally.hints(of_all=of_all)]


@pytest.mark.parametrize(
    ("text", "needed", "printed", "defaulted"),
    [
        ("{{ city }}", {"city"}, {"city"}, set()),
        ("{{ city|upper }}", {"city"}, {"city"}, set()),
        ("{{ city|default('you') }}", set(), set(), {"city"}),
        ("{{ city|default('you') }} {{ city }}", {"city"}, {"city"}, set()),
        ("{% if city is defined %}{{ city }}{% endif %}", set(), set(), set()),
        ("{% if plan == 'pro' %}Pro{% endif %}", {"plan"}, set(), set()),
        ("{% if name %}Dear {{ name }}{% else %}Hello{% endif %}", {"name"}, set(), set()),
        ("{{ name if name else 'you' }}", {"name"}, set(), set()),
        ("Plain", set(), set(), set()),
    ],
)
def test_the_fields_of_a_content_are_found_by_their_use(
    text: str, needed: set[str], printed: set[str], defaulted: set[str]
) -> None:
    assert fields_of(a_content(text)) == UsedFields(frozenset(needed), frozenset(printed), frozenset(defaulted))


def test_what_comes_from_the_feed_the_topic_and_loops_is_no_merge_field() -> None:
    text = "{% for item in feed.items %}{{ item.title }}{{ loop.index }}{{ city }}{% endfor %}{{ unsubscribe_url }}"
    content = a_content(text, feed=Feed("https://shop.example/new.json"), topic="newsletter")

    assert fields_of(content).needed == {"city"}
    assert fields_of(content).printed == {"city"}


def test_who_lacks_a_field_is_counted_and_three_are_named() -> None:
    people = [Recipient(f"reader-{n}@example.org", variables={"city": "Rome"} if n > 4 else {}) for n in range(1_500)]

    (told,) = hints(a_content("{{ city }}"), *people)

    assert told == (
        "missing_fields",
        "“city” is missing for 5 of 1,500 contacts, for example reader-0@example.org, reader-1@example.org and "
        "reader-2@example.org: they get no email that needs it. Write {{ city|default('...') }} to do without",
    )


def test_a_blank_value_leaves_a_gap_and_a_default_fills_it() -> None:
    content = a_content("{{ name }} {{ city|default('your town') }}")
    bo, cy = Recipient("bo@example.org", " "), Recipient("cy@example.org", "Cy", {"city": None})

    assert hints(content, bo, cy) == [
        (
            "blank_fields",
            "“name” is blank for 1 of 2 contacts, for example bo@example.org: nothing stands in its place",
        ),
        (
            "default_fields",
            "“city” is missing or blank for all 2 contacts, for example bo@example.org and cy@example.org: "
            "its default stands in its place",
        ),
    ]


def test_that_only_the_first_were_looked_at_is_told() -> None:
    ann, bo = Recipient("ann@example.org", variables={"city": "Rome"}), Recipient("bo@example.org")

    ((_, told),) = hints(a_content("{{ city }}"), ann, bo, of_all=False)

    assert told.startswith("“city” is missing for 1 of the first 2 contacts")
    assert hints(a_content("{{ city }}"), ann) == []


def test_a_name_that_nobody_has_is_asked_about() -> None:
    people = [Recipient(f"{name}@example.org", variables={"City": "Rome"}) for name in ("ann", "bo")]

    ((code, told),) = hints(a_content("{{ city|default('you') }}"), *people)

    assert code == "default_fields"
    assert told.endswith("its default stands in its place. Did you mean “City”?")


def test_looking_at_many_fields_of_many_recipients_takes_no_more_memory() -> None:
    tally = FieldTally(fields_of(a_content("".join(f"{{{{ field_{n} }}}}" for n in range(100)))))
    tally.look_at(Recipient(f"{n}@example.org") for n in range(500))

    assert tally.looked_at == 500
    assert len(tally.hints(of_all=True)) == 20
