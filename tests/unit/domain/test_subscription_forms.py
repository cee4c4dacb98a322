"""The form to subscribe: its HTML fits any page, and what it brings is checked whole."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from mailroom.domain.errors import InvalidInput
from mailroom.domain.subscription_forms import TRAP, FormInput, check_input, form_html
from mailroom.domain.topics import Topic

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
GOOD = {"topic": "newsletter", "address": "Bo@Example.org"}


class Read(HTMLParser):
    """The tags of a form, each with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def a_form(name: str = "Weekly news", id_: str = "weekly") -> Read:
    return Read(form_html(Topic(id_, name, "", False, 1, NOW, NOW), "https://mail.example.com"))


def test_the_form_posts_to_us_without_a_script_and_labels_every_field() -> None:
    form = a_form()

    assert form.of("form") == [{"method": "post", "action": "https://mail.example.com/v1/subscribe"}]
    assert not form.of("script") + form.of("link") + form.of("style")
    fields = {field["name"]: field for field in form.of("input")}
    assert fields["topic"]["value"] == "weekly"
    assert set(fields) == {"topic", "address", "name", TRAP}
    labelled = {label["for"] for label in form.of("label")}
    assert labelled == {field["id"] for field in fields.values() if field.get("type") != "hidden"}


def test_forms_of_two_topics_fit_on_one_page() -> None:
    first, second = ({field["id"] for field in a_form(id_=id_).of("input") if "id" in field} for id_ in ("a", "b"))

    assert not first & second


def test_what_a_topic_is_called_cannot_break_out_of_the_form() -> None:
    form = a_form(name='"></button><script>alert(1)</script>')

    assert not form.of("script")


def test_what_a_form_brings_is_trimmed_and_put_into_the_form_to_send_to() -> None:
    asked = check_input({"topic": " newsletter ", "address": "\u200b Bo@Example.org ", "name": " Bo Zoë "})

    assert asked == FormInput("newsletter", "Bo@example.org", "Bo Zoë")


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"address": "bo"}, {"address"}),
        ({"address": ""}, {"address"}),
        ({"address": "bo@example.org\r\nBcc: di@example.org"}, {"address"}),
        ({"address": "bo@example.org, di@example.org"}, {"address"}),
        ({"address": "Bo <bo@example.org>"}, {"address"}),
        ({"address": "a" * 1_000_000}, {"address"}),
        ({"address": ["bo@example.org"]}, {"address"}),
        ({"name": "Bo\r\nBcc: di@example.org"}, {"name"}),
        ({"name": "=?utf-8?q?a=0d=0aBcc:_x?="}, {"name"}),
        ({"name": "%recipient.x%"}, {"name"}),
        ({"name": "x" * 201}, {"name"}),
        ({"name": 5}, {"name"}),
        ({"topic": ""}, {"topic"}),
        ({"topic": {"$ne": ""}}, {"topic"}),
        ({"topic": "", "address": "bo"}, {"topic", "address"}),
    ],
)
def test_every_fault_is_named_and_nothing_slips_into_a_header(changes: dict[str, Any], paths: set[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_input(GOOD | changes)

    assert {fault.path for fault in refused.value.faults} == paths
