"""A campaign with what is equal for all recipients of a run: rendered once, and cut so that a batch carries it once."""

from collections.abc import Mapping
from typing import Any

import pytest

from mailroom.domain.campaign_content import compiled
from mailroom.domain.content import check_content, faults_of_language
from mailroom.domain.ids import AudienceId
from mailroom.domain.run_values import NO_RUN_VALUES, RunValues
from mailroom.domain.schedules import Content
from mailroom.domain.template_checks import KnownNames, lacking_in_audience
from mailroom.domain.template_cutting import compile_content, cut_into_parts
from mailroom.domain.template_filling import FIELDS, LINK_KEY, TemplatePart
from mailroom.domain.template_language import language_of, with_spending
from mailroom.domain.template_spending import CannotRender

FEED = {
    "title": "News & more",
    "items": [{"title": "One", "city": "Rome", "tags": ["a", "b"]}, {"title": "<Two>", "city": "Oslo", "tags": []}],
}
RUN = RunValues.of({"feed": FEED})
BO = {"name": "Bo", "address": "bo@example.org", "city": "Rome"}
PLAIN = KnownNames(frozenset(BO), lacking_in_audience)
URL = "https://mail.example.com/u/abc"


def a_content(text: str = "", html: str = "", **changes: Any) -> Content:
    fields: dict[str, Any] = {"sender": "a@mg.example.com", "subject": "Hi", "text": text, "html": html}
    return Content(**fields | {"audience": AudienceId("aud_1"), "recipients": 1} | changes)


def fixed(text: str, run: RunValues = RUN) -> str:
    """The text as a call carries it, with <key> in place of each part."""
    return compiled(a_content(text), run).text.with_placeholders(lambda key: f"<{key}>")


def read(content: Content, recipient: Mapping[str, Any] = BO, run: RunValues = RUN) -> dict[str, str]:
    whole = compiled(content, run)
    parts = whole.parts_for(recipient) | {LINK_KEY: URL}
    return {field: getattr(whole, field).with_placeholders(parts.__getitem__) for field in FIELDS}


def cannot(text: str, feed: object = FEED, **changes: Any) -> str:
    with pytest.raises(CannotRender) as refused:
        read(a_content(text, **changes), run=RunValues.of({"feed": feed}))
    return str(refused.value)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ feed.title }}!", "News & more!"),
        ("{% for item in feed.items %}{{ loop.index }}. {{ item.title }}\n{% endfor %}", "1. One\n2. <Two>\n"),
        ("{% if feed.items %}{{ feed.items|length }}{% else %}none{% endif %}", "2"),
        ("{% for item in feed.more|default([]) %}{{ name }}{% else %}no more{% endfor %}", "no more"),
        ("Dear {{ name }}, {{ feed.title }}: {{ city }}", "Dear <t1>, News & more: <t5>"),
        ("{% for item in feed.items %}{{ name }}: {{ item.title }}\n{% endfor %}", "<t0>: One\n<t2>: <Two>\n"),
        (
            "{% for i in feed.items %}{% for t in i.tags %}{{ t }}{{ name }}{{ loop.last }} {% endfor %}{% endfor %}",
            "a<t1>False b<t3>True ",
        ),
        ("{% if feed.items %}{{ name }}{% elif city %}x{% endif %}", "<t0>"),
        ("{% if not feed.items %}{{ name }}{% elif city %}x{% else %}y{% endif %}", "<t0>"),
        ("{% for item in feed.items %}{% if loop.first %}{{ name }}{% endif %}{{ 1 + 1 }}{% endfor %}", "<t0>22"),
        ("{{ name ~ feed.title }}", "<t0>"),
        ("{% for item in feed.items %}{% if city == item.city %}here{% endif %}{% endfor %}", "<t0><t1>"),
    ],
)
def test_what_is_equal_for_all_recipients_is_fixed_text(template: str, text: str) -> None:
    assert fixed(template) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ name ~ ' ' ~ feed.title }}", "Bo News & more"),
        (
            "{% for i in feed.items %}{% if city == i.city %}{{ loop.index }} in {{ city }}{% endif %}{% endfor %}",
            "1 in Rome",
        ),
        ("{% if not feed.items %}{{ name }}{% elif city == 'Rome' %}Rome{% else %}y{% endif %}", "Rome"),
        (
            "{% if city == 'Rome' %}{% for i in feed.items %}{{ i.title }}{{ loop.last }} {% endfor %}{% endif %}",
            "OneFalse <Two>True ",
        ),
        ("{{ feed.cities[city]|default('nowhere') }}", "nowhere"),
        ("{% for name in feed.items %}{{ name.title }},{% endfor %}{{ name }}", "One,<Two>,Bo"),
        ("{% for x in ['a', 'b'] %}{{ x }}{{ name }}{% endfor %}", "aBobBo"),
    ],
)
def test_what_mixes_both_is_rendered_for_each_recipient(template: str, text: str) -> None:
    assert read(a_content(template))["text"] == text


def test_a_run_renders_what_the_whole_template_gives() -> None:
    body = (
        "{{ name }}: {{ feed.title }}{% for i in feed.items %}\n{{ loop.index }}/{{ loop.length }} {{ i.title }}"
        "{% if i.city == city %} here{% elif i.tags %} {{ i.tags|join('+') }}{% else %} {{ name|upper }}{% endif %}"
        "{% endfor %}{% if feed.note is defined %}!{% endif %}\n"
    )
    together = {**BO, "city": "Oslo", "feed": FEED}

    cut = read(a_content(body, body), BO | {"city": "Oslo"})

    for field in ("text", "html"):
        template = language_of(field).from_string(body)
        assert cut[field] == "".join(template.generate(with_spending(together)))


def test_values_of_a_run_are_escaped_in_html_and_make_no_second_line_of_a_subject() -> None:
    run = RunValues.of({"feed": {"title": "a\r\nBcc: x@example.org <b>"}})
    content = a_content("x", "<p>{{ feed.title }}</p>", subject="{{ feed.title }} for {{ name }}")

    mail = read(content, run=run)

    assert mail["subject"] == "a Bcc: x@example.org <b> for Bo"
    assert mail["html"] == "<p>a\r\nBcc: x@example.org &lt;b&gt;</p>"


@pytest.mark.parametrize("text", ["%recipient.t0%", "%recipient_name%", "%unsubscribe_url%", "%Tag_Unsubscribe_Email%"])
def test_what_a_provider_would_replace_in_values_of_a_run_travels_as_a_recipients_value(text: str) -> None:
    run = RunValues.of({"feed": {"title": f"a {text} b"}})
    content = a_content("{{ feed.title }} {{ name }}")

    placeholders = compiled(content, run).text.with_placeholders(lambda key: f"<{key}>")

    assert "recipient" not in placeholders
    assert "nsubscribe" not in placeholders
    assert read(content, run=run)["text"] == f"a {text} b Bo"


def test_a_substitution_that_the_pieces_only_make_together_is_refused() -> None:
    assert "'%recipient.' is the provider's own substitution" in cannot("%recip{{ feed.title }}t0%", {"title": "ient."})


@pytest.mark.parametrize(
    ("template", "feed", "words"),
    [
        ("{% for i in feed.items %}{{ i.summary }}{% endfor %}", FEED, "text: i.summary: item 1 has none"),
        ("{% for i in feed.items %}{{ name }}{{ i.tags[0] }}{% endfor %}", FEED, "text: i.tags[0]: i.tags has 0 items"),
        ("{{ feed.link }}", FEED, "text: feed.link: feed has none"),
        ("{% for i in feed.items %}{{ name }}{% endfor %}", {"items": "x"}, "needs a list, and this is a text"),
        ("{% for i in feed.items %}{{ name }}{% endfor %}", {"items": [1] * 1_001}, "more than 1,000 places"),
        ("{% for i in feed.items %}{{ name }}{% endfor %}", {}, "text: feed.items: feed has none"),
        (
            "{% for i in feed.items %}{% if i %}{{ name }}{% endif %}{% endfor %}",
            {"items": [0] * 10_001},
            "at most 10,000 times",
        ),
        ("{% for i in feed.items %}{{ i }}{% endfor %}", {"items": ["x" * 99_999] * 11}, "too many characters"),
        (
            "{% for i in feed.items %}{{ i }}{% if name %}{% endif %}{% endfor %}",
            {"items": ["x" * 99_999] * 11},
            "characters",
        ),
        (
            "{% if feed.items %}{% if feed.title %}{% endif %}{% endif %}",
            {"items": [1]},
            "text: feed.title: feed has none",
        ),
        ("{{ feed }}", FEED, "text: this is an object"),
        ("{% for i in feed %}{% endfor %}", FEED, "needs a list, and this is an object"),
    ],
)
def test_a_feed_that_does_not_fit_the_content_is_told(template: str, feed: object, words: str) -> None:
    assert words in cannot(template, feed)


def test_a_loop_for_each_recipient_has_a_smaller_allowance() -> None:
    template = "{% if name %}{% for i in feed.items %}{{ i }}{% endfor %}{% endif %}"

    assert len(read(a_content(template), run=RunValues.of({"feed": {"items": [1] * 1_000}}))["text"]) == 1_000
    assert "at most 1,000 times" in cannot(template, {"items": [1] * 1_001})
    compared = "{% for i in feed.items %}{% if name == i %}{% endif %}{% endfor %}"
    assert "loops do too much" in cannot(compared, {"items": ["x" * 9_999] * 999})


def test_a_subject_made_of_a_feed_has_a_limit() -> None:
    assert "subject: " in cannot("x", {"title": "x" * 501}, subject="{{ feed.title }}")


def test_the_link_to_unsubscribe_and_the_footer_stay_where_a_reader_finds_them() -> None:
    loop = "{% for i in feed.items %}<li>{{ i.title }} for {{ name }}</li>{% endfor %}"
    own = a_content(f"x {{{{ unsubscribe_url }}}}{loop}", "", topic="news")
    footed = a_content("x", f"<body>{loop}</body>", topic="news", footer="Shop")

    assert read(own)["text"] == f"x {URL}<li>One for Bo</li><li><Two> for Bo</li>"
    html = read(footed)["html"]
    assert html.startswith("<body><li>One for Bo</li><li>&lt;Two&gt; for Bo</li><p ")
    assert html.count(URL) == 1
    assert html.endswith("</p></body>")


def test_a_loop_that_hides_the_link_is_told_when_its_items_are_there() -> None:
    html = "{% for i in feed.items %}<!-- {% endfor %}<a href='{{ unsubscribe_url }}'>x</a>"
    content = a_content("{{ unsubscribe_url }}", html, topic="news")

    with pytest.raises(CannotRender, match="html: with what its feed gave, a reader would find no link"):
        compiled(content, RUN)
    assert URL in read(content, run=RunValues.of({"feed": {"items": []}}))["html"]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% for c in city %}{{ c }}{% endfor %}", "loops are not offered over recipients' values"),
        ("{{ city.name }}", "values are plain: they have no attributes"),
        ("{{ city[0] }}", "values are plain: they have no parts"),
        (
            "{% for i in feed.items %}{% for c in city %}{% endfor %}{% endfor %}",
            "loops are not offered over recipients'",
        ),
        ("{% for i in feed.items %}{{ loop.length }}{{ nick }}{% endfor %}", 'not every recipient has "nick"'),
        ("{% for i in feed.lists[city] %}{% endfor %}", "loops are not offered over recipients' values"),
    ],
)
def test_campaigns_loop_over_a_feed_and_not_over_recipients_values(template: str, words: str) -> None:
    (fault,) = check_content({"text": template}, PLAIN.with_feed(), BO)

    assert fault.path == "text"
    assert words in fault.message


@pytest.mark.parametrize(
    "template", ["{{ feed.title }}", "{% for i in feed.items %}{{ i.title }}{% endfor %}", "{{ feed['a'] }}"]
)
def test_a_feed_is_offered_only_where_the_schedule_has_one(template: str) -> None:
    assert check_content({"text": template}, PLAIN.with_feed(), BO) == []
    (fault,) = check_content({"text": template}, PLAIN, BO)
    assert fault.message == "line 1: only a schedule with a feed has feed"
    assert faults_of_language({"text": template}, frozenset({"feed"})) == []
    assert [one.message for one in faults_of_language({"text": template})] == [fault.message]


def test_content_with_a_feed_is_tried_with_an_example_in_all_that_no_feed_decides() -> None:
    faults = check_content({"text": "{{ feed.a.b }}", "html": "{{ name|truncate(1) }}"}, PLAIN.with_feed(), BO)

    assert [fault.path for fault in faults] == ["html"]


def test_content_without_values_of_a_run_is_cut_as_ever() -> None:
    """The keys of parts are stored with messages, and a run under way must find them again."""
    source = (
        "A{% raw %}B{% endraw %}{{ name }}{% if city %}{{ city }}{% endif %} {{ 1 + 2 }}{{ 'x' }}{{ unsubscribe_url }}"
    )

    for run in (NO_RUN_VALUES, RUN):
        cut = cut_into_parts("html", source, linked=True, run=run)
        assert cut.with_placeholders(lambda key: f"<{key}>") == "AB<h2><h3> <h5><h6><u>"
        assert [p.key for p in cut.pieces if isinstance(p, TemplatePart)] == ["h2", "h3", "h5", "h6"]


def test_equal_values_of_a_run_are_compiled_once() -> None:
    content = a_content("{{ feed.title }}")

    assert compiled(content, RunValues.of({"feed": {"a": 1, "title": "x"}})) is compiled(
        content, RunValues.of({"feed": {"title": "x", "a": 1}})
    )
    assert compiled(content, RunValues.of({"feed": {"title": "y"}})).text.pieces == ("y",)
    assert compile_content("", "x", "") is compile_content("", "x", "")


def test_values_of_a_run_are_a_copy_and_are_json() -> None:
    values: dict[str, Any] = {"feed": {"title": "x"}}
    run = RunValues.of(values)
    values["feed"]["title"] = "changed"

    assert run.by_name["feed"]["title"] == "x"
    for wrong in ({"feed": {1, 2}}, {"feed": float("nan")}, {"feed": object()}):
        with pytest.raises((TypeError, ValueError)):
            RunValues.of(wrong)
