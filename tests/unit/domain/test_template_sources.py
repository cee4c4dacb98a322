"""What a person writes of a stored template: Markdown or MJML in place of HTML, a layout beside them, a preheader."""

from typing import Any

import pytest

from mailroom.domain.content import render_once
from mailroom.domain.errors import InvalidInput
from mailroom.domain.limits import MAX_TEMPLATE
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.template_checking import named_by
from mailroom.domain.template_examples import example_of
from mailroom.domain.templates import TemplateDraft
from tests.support.stored_templates import library, saved

BASE = {
    "kind": "layout",
    "html": "<html><body><h1>Shop</h1>{% block content %}{% endblock %}<hr></body></html>",
}
BOTH = BASE | {"text": "Shop\n{% block content %}{% endblock %}\n-- "}
OTHER = {"kind": "layout", "html": "{% block main %}{% endblock %}{% block foot %}{% endblock %}"}
SIGNATURE = {"kind": "partial", "markdown": "Yours, **{{ agent }}**"}
MJML = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>Hi {{ name }}</mj-text></mj-column></mj-section></mj-body></mjml>"
)


def refused(**said: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        saved("mail", library(base=BASE, other=OTHER, signature=SIGNATURE), **said)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_markdown_becomes_a_page_and_is_kept_as_it_was_written() -> None:
    mail = saved("mail", markdown="# Hello {{ name }}")

    assert mail.html.startswith("<!doctype html>")
    assert ">Hello {{ name }}</h1>" in mail.html
    assert (mail.source.markdown, mail.source.html) == ("# Hello {{ name }}", "")
    assert mail.draft == TemplateDraft(subject="Hello", markdown="# Hello {{ name }}")


def test_markdown_stands_in_the_block_of_its_layout_and_is_no_page_there() -> None:
    mail = saved(
        "mail", library(base=BASE, signature=SIGNATURE), markdown='Hi\n\n{% include "signature" %}', layout="base"
    )

    html = render_once(mail.content, {"agent": "Ann & Co"})["html"]

    assert html.startswith("<html><body><h1>Shop</h1><p ")
    assert "<strong>Ann &amp; Co</strong>" in html
    assert html.count("<body") == 1
    assert mail.uses == (PinnedTemplate("base", 1), PinnedTemplate("signature", 1))
    assert mail.variables == {"agent"}


def test_html_and_text_stand_in_the_layout_each_in_its_own() -> None:
    mail = saved("mail", library(base=BOTH), html="<p>Hi</p>", text="Hi", layout="base")

    assert mail.html == "<html><body><h1>Shop</h1><p>Hi</p><hr></body></html>"
    assert mail.text == "Shop\nHi\n-- "


def test_a_text_beside_html_stands_alone_where_the_layout_has_none() -> None:
    mail = saved("mail", library(base=BASE), html="<p>Hi</p>", text="Hi", layout="base")

    assert mail.text == "Hi"
    assert "<h1>Shop</h1><p>Hi</p>" in mail.html


def test_a_layout_stands_in_a_layout_that_is_named_beside_it() -> None:
    wide = {"kind": "layout", "html": "<table>{% block rows %}{% endblock %}</table>", "layout": "base"}
    stored = library(base=BASE, wide=wide)

    mail = saved("mail", stored, html='{% extends "wide" %}{% block rows %}<tr></tr>{% endblock %}')

    assert mail.html == "<html><body><h1>Shop</h1><table><tr></tr></table><hr></body></html>"


def test_mjml_becomes_html() -> None:
    mail = saved("mail", mjml=MJML)

    assert "Hi {{ name }}" in mail.html
    assert "<mj-" not in mail.html
    assert mail.source.mjml == MJML


def test_a_preheader_is_hidden_at_the_start_of_the_html_and_asks_for_its_fields() -> None:
    mail = saved("mail", library(base=BASE), html="<p>Hi</p>", layout="base", preheader="Now in {{ city }}")

    assert mail.html.startswith('<html><body><div style="display:none')
    assert ">Now in {{ city }}" in mail.html
    assert mail.variables == {"city"}
    assert mail.source.preheader == "Now in {{ city }}"


def test_all_faults_are_told_at_once_each_at_what_was_written() -> None:
    found = refused(subject="{{ a", markdown="{{ b", preheader="{{ c", text="{{ d", layout="none", html_fields=["1"])

    assert found.keys() == {"subject", "markdown", "preheader", "text", "layout", "html_fields[0]"}


@pytest.mark.parametrize(
    ("said", "path", "words"),
    [
        ({"html": "x", "markdown": "x"}, "markdown", "give one of html, markdown and mjml"),
        ({"html": "x", "mjml": MJML}, "mjml", "give one of html, markdown and mjml"),
        ({"mjml": "<mjml><mj-bo"}, "mjml", "cannot be read as MJML"),
        ({"mjml": MJML, "layout": "base"}, "layout", "MJML gives a whole page"),
        ({"html": "x", "layout": "none"}, "layout", "there is no layout of this name"),
        ({"html": "x", "layout": "signature"}, "layout", "it is a partial, and no layout"),
        ({"html": "x", "layout": "other"}, "layout", "no block content (its html has main, foot)"),
        ({"text": "x", "layout": "base"}, "text", "this layout has no text"),
        ({"html": '{% extends "base" %}', "layout": "base"}, "html", "{% extends %} stands once"),
        ({"text": "x", "preheader": "Now"}, "preheader", "stands in the HTML"),
        ({"kind": "layout", "html": "x", "preheader": "Now"}, "preheader", "a layout has none"),
        ({"kind": "partial", "mjml": MJML}, "mjml", "gives a whole page"),
        ({"kind": "partial", "html": "x", "layout": "base"}, "layout", "a partial extends no layout"),
        ({"markdown": "[a]: {{ b }}\n\nx"}, "markdown", "has no place in what the Markdown gives"),
        ({"markdown": '{% include "none" %}'}, "markdown", "there is no partial of this name"),
        ({"markdown": "x\n\n" * 12_000}, "markdown", f"gives HTML of more than {MAX_TEMPLATE:,} characters"),
        ({"html": "x" * MAX_TEMPLATE, "preheader": "Now"}, "preheader", "with it the HTML has more than"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(said: dict[str, Any], path: str, words: str) -> None:
    assert words in refused(**said)[path]


def test_layouts_and_partials_are_looked_for_in_all_that_is_written() -> None:
    draft = TemplateDraft(
        text='{% include "a" %}', markdown='{% include "b" %}', mjml='{% include "c" %}', layout="d", preheader="e"
    )

    assert named_by(draft) == {"a", "b", "c", "d"}


def test_the_same_request_is_known_again() -> None:
    mail = saved("mail", library(base=BASE), markdown="Hi", layout="base", html_fields=["body"])

    assert mail.is_of(mail.draft)
    assert not mail.is_of(TemplateDraft(subject="Hello", markdown="Hi", html_fields=["body"]))


def test_the_example_of_a_template_reads_the_names_of_its_merge_fields() -> None:
    mail = saved("mail", text="{{ name }} in {{ city }}, {{ plan|default('free') }}: {{ unsubscribe_url }}")

    assert example_of(mail).context() == {"address": "ann@example.org", "name": "Ann", "city": "[city]"}
