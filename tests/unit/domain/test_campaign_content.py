"""Content of a topic: everybody who reads it finds a link to leave, or it is refused or gets a footer."""

import time
from typing import Any

import pytest

from mailroom.domain.campaign_content import compiled, faults_of_links
from mailroom.domain.draft_checks import check_draft
from mailroom.domain.drafts import Kept
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.schedules import Content
from mailroom.domain.template_filling import LINK_KEY
from mailroom.domain.topics import Topic
from tests.support.builders import NOW, a_draft

URL = "https://mail.example.com/u/abc"
LINK = "{{ unsubscribe_url }}"


def a_topic(**changes: Any) -> Topic:
    fields = {"id": "newsletter", "name": "Newsletter", "postal_address": "", "footer": False}
    return Topic(**fields | changes, version=1, created_at=NOW, updated_at=NOW)


def faults(*, topic: Topic | None, **changes: Any) -> list[str]:
    draft = a_draft(topic="newsletter" if topic else None, **changes)
    try:
        check_draft(draft, now=NOW, kept=Kept(topic=topic))
    except InvalidInput as error:
        return [f"{fault.path}: {fault.message}" for fault in error.faults]
    return []


def sent(text: str = "", html: str = "", *, footer: str = "") -> tuple[str, str]:
    """Text and HTML as a reader gets them."""
    content = Content("a@mg.example.com", "Hi", text, html, AudienceId("aud_1"), 1, topic="newsletter", footer=footer)
    parts = compiled(content).parts_for({"name": ""}) | {LINK_KEY: URL}
    whole = compiled(content)
    return whole.text.with_placeholders(parts.__getitem__), whole.html.with_placeholders(parts.__getitem__)


@pytest.mark.parametrize(
    "html",
    [
        f'<a href="{LINK}">Leave</a>',
        f"<A HREF = '{LINK}' class=x>Leave</A>",
        f"<a class='x' href={LINK}>Leave</a>",
        f'<a title="a > b" href="{LINK}"><img src="x.png"></a>',
        f"<p>Leave: {LINK}</p>",
        f"<p>Leave: {LINK}.</p>",
        f"<!-- a comment --><p>{LINK}",
        f"<!--><a href='{LINK}'>Leave</a>",
        f"<style>p {{}}</style><titlebar>{LINK}</titlebar>",
        f'<div style="display:none">Preheader<div>x</div></div><a href="{LINK}">Leave</a>',
        f'<noscript><a href="{LINK}">Leave</a></noscript>',
    ],
)
def test_a_link_that_a_reader_finds_is_enough(html: str) -> None:
    assert faults(topic=a_topic(), text=f"Leave: {LINK}", html=html) == []


HIDDEN = [
    "<p>Hello</p>",
    f"<p>Hello</p><!-- {LINK} -->",
    f"<p>Hello</p><!-- {LINK}",
    f"<style>{LINK}</style>",
    f"<script>var a = '{LINK}'</script>",
    f"<title>{LINK}</title>",
    f'<img src="{LINK}">',
    f'<img alt="a > b" src="{LINK}">',
    f'<a title="{LINK}" href="https://example.com">Leave</a>',
    f'<a href="https://example.com" data-href="{LINK}">Leave</a>',
    f"<a href=\"https://example.com\" title='href={LINK}'>Leave</a>",
    f'<a href="{LINK}"></a>',
    f'<a href="{LINK}"> </a>',
    f'<a href="{LINK}{{{{ name }}}}">Leave</a>',
    f"<p>{LINK}{{{{ name }}}}</p>",
    f'<p style="color:red; display: none"><a href="{LINK}">Leave</a></p>',
    f"<div hidden><div></div><p>{LINK}</p></div>",
    "<p>{% raw %}{{ unsubscribe_url }}{% endraw %}</p>",
    "<p>https://unsubscribe.invalid/</p>",
]


@pytest.mark.parametrize("html", HIDDEN)
def test_a_link_that_no_reader_finds_is_none(html: str) -> None:
    (fault,) = faults(topic=a_topic(), text=f"Leave: {LINK}", html=html)

    assert fault.startswith("html: mail of a topic needs a link")


@pytest.mark.parametrize("html", [body for body in HIDDEN if not body.endswith(f"<!-- {LINK}")])
def test_a_footer_is_seen_wherever_the_body_has_none(html: str) -> None:
    topic = a_topic(footer=True, postal_address="Shop")

    assert faults(topic=topic, text="Hello", html=html) == []
    assert f'<a href="{URL}"' in sent("", html.replace("{{ name }}", "x"), footer="Shop")[1]


@pytest.mark.parametrize("html", ["<p>Hi</p><!-- not closed", "<p>Hi<style>p {}", "<div hidden><p>Hi"])
def test_a_body_that_would_hide_its_footer_is_refused(html: str) -> None:
    (fault,) = faults(topic=a_topic(footer=True, postal_address="Shop"), text="Hello", html=html)

    assert fault.startswith("html: the footer would not be seen")


def test_each_body_needs_its_own_link() -> None:
    assert [fault.partition(":")[0] for fault in faults(topic=a_topic())] == ["text", "html"]
    assert faults(topic=a_topic(), text=LINK, html="") == []


@pytest.mark.parametrize(
    ("field", "source"),
    [
        ("text", "{% if name %}" + LINK + "{% endif %}"),
        ("text", LINK + "{{ unsubscribe_url|upper }}"),
        ("html", LINK + "{{ unsubscribe_url ~ '?a=1' }}"),
        ("subject", f"Hi {LINK}"),
    ],
)
def test_a_link_where_it_cannot_be_filled_in_is_refused(field: str, source: str) -> None:
    found = faults(topic=a_topic(), **{"text": LINK, "html": LINK} | {field: source})

    assert [fault.partition(" stands")[0] for fault in found] == [f"{field}: {{{{ unsubscribe_url }}}}"]


def test_a_topic_that_is_not_there_is_refused_with_all_other_faults() -> None:
    draft = a_draft(topic="newsletter", name="", text=LINK)

    with pytest.raises(InvalidInput) as refused:
        check_draft(draft, now=NOW, kept=Kept())

    assert {fault.path for fault in refused.value.faults} == {"name", "topic"}


def test_without_a_topic_there_is_no_link() -> None:
    (fault,) = faults(topic=None, text=LINK)

    assert "campaigns with a topic have it" in fault


def test_a_merge_field_of_the_same_name_stays_what_it_is_without_a_topic() -> None:
    row = {"address": "bo@example.org", "name": "Bo", "variables": {"city": "Rome", "unsubscribe_url": "https://old"}}
    content = Content("a@mg.example.com", "Hi", LINK, "", AudienceId("aud_1"), 1)

    assert faults(topic=None, text=LINK, recipients=[row]) == []
    assert list(compiled(content).parts_for(row["variables"]).values()) == ["https://old"]  # type: ignore[arg-type]


def test_a_footer_has_the_link_and_the_postal_address_below_what_was_written() -> None:
    text, html = sent("Hello", "<body><p>Hi</p></body>", footer="Shop & Co\nVia Roma 1, Rome")

    assert text == f"Hello\n\n-- \nShop & Co\nVia Roma 1, Rome\nUnsubscribe: {URL}\n"
    assert html.startswith("<body><p>Hi</p><p ")
    assert "Shop &amp; Co<br>Via Roma 1, Rome<br>" in html
    assert f'href="{URL}"' in html
    assert html.endswith("</p></body>")


@pytest.mark.parametrize(
    ("html", "begins", "ends"),
    [
        ("<body>Hi</body>{{ '</body>' }}", "<body>Hi<p ", "</p></body>&lt;/body&gt;"),
        ("<body>Hi{% if true %}</body>{% endif %}", "<body>Hi</body><p ", "</p>"),
        (
            "<body>Hi</body><!--[if mso]></body><![endif]-->",
            "<body>Hi<p ",
            "</p></body><!--[if mso]></body><![endif]-->",
        ),
        ("<body>Hi</body><script>'</body>'</script>", "<body>Hi<p ", "</p></body><script>'</body>'</script>"),
        ("{% raw %}<body>{{ Hi }}</body>{% endraw %}", "<body>{{ Hi }}<p ", "</p></body>"),
        ("<p>Hi", "<p>Hi<p ", "</p>"),
    ],
)
def test_a_footer_stands_at_the_end_of_what_is_shown_whatever_the_template_is(
    html: str, begins: str, ends: str
) -> None:
    written = sent("", html, footer="Shop")[1]

    assert written.startswith(begins)
    assert written.endswith(ends)
    assert written.count(URL) == 1


def test_a_footer_of_a_text_has_lines_of_its_own_after_whatever_ends_the_text() -> None:
    assert sent("Hi{% if true %} you{% endif -%}", footer="Shop")[0] == f"Hi you\n\n-- \nShop\nUnsubscribe: {URL}\n"


def test_a_footer_goes_only_below_bodies_that_lack_a_link() -> None:
    text, html = sent(f"Leave: {LINK}", "<p>Hi</p>", footer="Shop")

    assert text == f"Leave: {URL}"
    assert html.count(URL) == 1
    assert sent("Hello", "", footer="Shop")[1] == ""


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "<",
            "<a ",
            '<a href="',
            "<!--",
            "</",
            "<script>",
            "<a x=x ",
            "<a/",
            "<title",
            "</body ",
            "<a href=href=",
            "<p hidden>",
        ),
        *(
            "<div>",
            "<a b='",
            "<!-->",
            "<a " + " " * 1_900,
            "</title",
            "<title>",
            "<script></script ",
            "<a style='display:",
        ),
    ],
)
def test_the_cost_of_looking_for_a_link_is_bounded(piece: str) -> None:
    body = piece * (190_000 // len(piece))
    began = time.process_time()

    for html in (body, body[:100_000] + f"<a x={LINK * 300}", (piece + f"x{LINK}>") * min(450, 100_000 // len(piece))):
        faults_of_links("Hi", "", html, footer="")
        faults_of_links("Hi", "", html, footer="Shop")

    assert time.process_time() - began < 6
