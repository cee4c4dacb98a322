"""Bodies finished: the preheader, Markdown, and whatever is made never loses or moves a merge field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.domain.bodies.finish import finish
from mailroom.domain.bodies.masks import masked
from mailroom.domain.bodies.places import PlaceLost
from mailroom.domain.bodies.written import Written
from mailroom.domain.content import faults_of_language, render_once
from mailroom.domain.content_checks import hints_for
from tests.support.newsletters import ALL

VALUES = {"a": "x", "b": 1, "name": "Bo <b>", "city": "Rome", "points": 7, "unsubscribe_url": "https://u.org/1"}


def with_preheader(html: str, preheader: str) -> str:
    return finish(Written("x", html, preheader=preheader)).html


def page(markdown: str) -> str:
    html = finish(Written("x", markdown=markdown)).html
    return html.partition('color:#222222">\n')[2].partition("</div>\n</body>")[0]


@pytest.mark.parametrize(
    ("html", "before"),
    [
        ("<!doctype html><html><head><style>a{}</style></head><body class=x><p>A", "<body class=x>"),
        ("<p>A", ""),
        ("<!DOCTYPE html>\n<p>A", "<!DOCTYPE html>"),
        ("<html><head><title>T</title></head><p>A", "</head>"),
        ("{% if a %}<body>{% else %}<body dir=rtl>{% endif %}<p>A", "{% endif %}"),
        ("{% raw %}<body>{% endraw %}<p>A", "{% endraw %}"),
    ],
)
def test_a_preheader_stands_hidden_at_the_start_of_the_body(html: str, before: str) -> None:
    made = with_preheader(html, "Only today & for {{ name }}")

    assert made.partition("<div style=")[0].endswith(before)
    assert "Only today &amp; for {{ name }}" in made
    assert finish(Written(None, html, preheader="Only today")).text == "A"
    assert made.partition("<div style=")[2].startswith('"display:none')


def test_a_value_in_a_preheader_is_escaped() -> None:
    html = with_preheader("<p>A", "{% if a %}For {{ name }}{% endif %}")

    assert "For Bo &lt;b&gt;" in render_once({"html": html}, VALUES)["html"]


def test_a_preheader_brings_no_hint_of_its_own() -> None:
    assert hints_for("A", with_preheader("<p>A", "B")) == []


MARKDOWN = [
    ("# Hello {{ name }}", '<h1 style="margin:0 0 16px;font-size:26px;line-height:1.25">Hello {{ name }}</h1>'),
    ("[Go]({{ url }}?a=1&b=2)", 'href="{{ url }}?a=1&amp;b=2"'),
    ("[Go](https://x.org/{{ a|urlencode }})", 'href="https://x.org/{{ a|urlencode }}"'),
    ("**{{ a }}** _{{ b }}_", "<strong>{{ a }}</strong> <em>{{ b }}</em>"),
    (
        "| A | B |\n|---|--:|\n| {{ a|default('x') }} | 1 |",
        "<td style=\"padding:6px 12px;border:1px solid #dddddd\">{{ a|default('x') }}</td>",
    ),
    ("{% if a == 'x' and \"y\" < 'z' %}A{% endif %}", "{% if a == 'x' and \"y\" < 'z' %}A{% endif %}"),
    ("- a\n- b", "<li>a</li>"),
    ("![Shoe of {{ name }}](https://x.org/a.png)", 'alt="Shoe of {{ name }}"'),
    ("a <b>bold</b>", "a &lt;b&gt;bold&lt;/b&gt;"),
    ("\\{\\{ a }} &#123;{ a }}", "&#123;&#123; a }} &#123;&#123; a }}"),
    ("`{{ a }}` and `{`", "<code>{{ a }}</code> and <code>&#123;</code>"),
    ("A\n{% if a %}\n## B\n{% endif %}\nC", None),
    ("~~no~~", "<s>no</s>"),
    ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
]


@pytest.mark.parametrize(("markdown", "html"), MARKDOWN)
def test_markdown_becomes_html_around_the_templates_of_it(markdown: str, html: str | None) -> None:
    made = page(markdown)

    if html is not None:
        assert html in made


def test_a_condition_on_a_line_of_its_own_stands_outside_of_paragraphs() -> None:
    made = page("A\n{% if a == 'x' %}\n## B\n\nMore\n{% endif %}\nC {% if b %}d{% endif %}")

    shown = render_once({"html": made}, VALUES)["html"]
    left_out = render_once({"html": made}, VALUES | {"a": "y"})["html"]
    assert "<p" not in made.partition("{% if a == 'x' %}")[2].partition("\n")[0]
    assert shown.count("<p ") == 3
    assert left_out.count("<p ") == 2
    assert "<h2" in shown and "<h2" not in left_out


def test_the_text_of_markdown_is_made_from_its_page() -> None:
    text = finish(Written(None, markdown="# Hello {{ name }}\n\n1. a\n2. [b](https://x.org)\n\n> c")).text

    assert text == "Hello {{ name }}\n\n1. a\n2. b (https://x.org)\n\nc"


@pytest.mark.parametrize("markdown", ["[a]: {{ url }}", ">" * 40 + " {{ a }}"])
def test_markdown_that_would_lose_a_merge_field_is_refused(markdown: str) -> None:
    with pytest.raises(PlaceLost, match="has no place"):
        finish(Written("x", markdown=markdown))


PIECES = st.sampled_from(
    [
        *("{{ a }}", "{{ name|default('x < y') }}", "{% if a %}", "{% else %}", "{% endif %}", "{%- if b -%}"),
        *("<p>", "</p>", "<div class='x'>", "</div>", "<td", " style='color:blue'", ">", "<a href='", "'>", "</a>"),
        *("<style>.x{color:red}</style>", "<!--", "-->", "<body>", "<li>", "<ul>", "</ul>", "<br>", "<b hidden>"),
        *("words", " ", "\n", "{", "}", "&amp;", "&#123;", "<", "%", "{% raw %}", "{% endraw %}", "\r\n", "**", "|"),
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join))
def test_whatever_is_made_of_a_template_is_one_and_has_its_merge_fields_in_order(html: str) -> None:
    if faults_of_language({"html": html}) or not html.strip():
        return

    made = finish(Written(None, html, inline_css=True))
    framed = finish(Written("", html, preheader="{{ a }}", inline_css=True))

    assert faults_of_language({"text": made.text, "html": made.html}) == []
    assert sources(made.html) == sources(html)
    assert faults_of_language({"html": framed.html}) == []
    assert sorted([*sources(html), "{{ a }}"]) == sorted(sources(framed.html))


@given(st.lists(PIECES, max_size=40).map("".join))
def test_whatever_is_made_of_markdown_is_a_template(markdown: str) -> None:
    if faults_of_language({"text": markdown}):
        return
    try:
        made = finish(Written(None, markdown=markdown))
    except PlaceLost:
        return

    assert faults_of_language({"text": made.text, "html": made.html}) == []
    assert set(sources(markdown)) <= set(sources(made.html))


def sources(template: str) -> list[str]:
    return [one.source.strip() for one in masked(template).constructs if one.plain]


@pytest.mark.parametrize("html", ALL.values(), ids=ALL)
def test_a_newsletter_renders_as_before_and_its_text_too(html: str) -> None:
    made = finish(Written(None, html, preheader="For {{ name }}", inline_css=True))

    assert faults_of_language({"text": made.text, "html": made.html}) == []
    assert made.text
