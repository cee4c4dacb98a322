"""Style sheets written into the elements: the right rules, and nothing else of the page changed."""

import re

import pytest

from mailroom.domain.bodies.finish import finish
from mailroom.domain.bodies.masks import masked
from mailroom.domain.bodies.written import Written
from tests.support.newsletters import ALL, STYLED


def inlined(html: str) -> str:
    return finish(Written("x", html, inline_css=True)).html


def hint(html: str) -> str:
    found = finish(Written("x", html, inline_css=True)).hint
    return found.message if found else ""


def style_of(html: str, mark: str) -> str:
    """The style of the element that has this text in its start tag."""
    tag = re.search(rf"<[^<>]*{re.escape(mark)}[^<>]*>", html.rpartition("</style>")[2])
    assert tag, html
    style = re.search(r'style="([^"]*)"', tag[0])
    return re.sub(r"\s*([:;])\s*", r"\1", style[1]) if style else ""


def test_a_newsletter_keeps_all_but_its_styles() -> None:
    html = inlined(STYLED)

    assert style_of(html, 'class="wide"') == "width:600px;color:#333333;border-collapse:collapse"
    assert style_of(html, 'class="button"') == "background:#0b57d0;padding:12px 24px;color:#ffffff"
    assert style_of(html, 'class="price"') == "text-align:right"
    assert style_of(html, "body").startswith("margin:0;font-family:'Open Sans'")
    assert "text-align" in html.partition("{% if points %}")[2].partition("{% endif %}")[0]
    assert without_styles(html) == without_styles(STYLED)
    assert hint(STYLED) == ""


def without_styles(html: str) -> str:
    html = re.sub(r" !important", "", html)
    return re.sub(r' style="[^"]*"', "", html)


def test_media_queries_and_hover_hold_against_what_stands_in_the_elements() -> None:
    html = inlined(STYLED)

    assert re.search(r"max-width: 620px\) \{\s*\.wide \{ width: 100% !important \}", html)
    assert re.search(r"\.button \{ display: block !important; padding: 16px\s*!important\s*\}", html)
    assert re.search(r"\.button:hover \{ background: #0842a0\s*!important\s*\}", html)
    assert ".wide { width: 600px; color: #333333 }" in html


RULES = [
    ("p{color:red}", "<p id=m>", "color:red"),
    ("p{color:red}", "<p id=m style='color:blue'>", "color:red;color:blue"),
    ("p{color:red!important}", "<p id=m style='color:blue'>", "color:blue;color:red"),
    (".a{color:red} p{color:blue}", "<p id=m class='b a'>", "color:red"),
    ("p{color:blue} .a{color:red}", "<p id=m class=a>", "color:red"),
    ("#m{color:red} .a{color:blue}", "<p id=m class=a>", "color:red"),
    ("div p{color:red}", "<div><p id=m></div>", "color:red"),
    ("div > p{color:red}", "<div><b><p id=m></p></b></div>", ""),
    ("p{color:red}", "<P ID=m>", "color:red"),
    ("p:first-child{color:red}", "<p id=m>", ""),
    ("a:hover, p{color:red}", "<p id=m>", "color:red"),
    ("p + p{color:red}", "<p><p id=m>", ""),
    ("@media print{p{color:red}}", "<p id=m>", ""),
    ("@font-face{font-family:x;src:url(a;b)} p{color:red}", "<p id=m>", "color:red"),
    ("@import url(https://x.org/a.css); p{color:red}", "<p id=m>", "color:red"),
    ("/* p{color:blue} */ p{color:red/* ; */;}", "<p id=m>", "color:red"),
    ("<!-- p{color:red} -->", "<p id=m>", "color:red"),
    ("p{background:url(data:image/png;base64,AA==)}", "<p id=m>", "background:url(data:image/png;base64,AA==)"),
    ("td[align=right]{color:red}", "<table><tr><td id=m align=right>", "color:red"),
    ("p{color:red;;}", "<p id=m style=''>", "color:red"),
    ("", "<p id=m>", ""),
]


@pytest.mark.parametrize(("css", "element", "style"), RULES)
def test_an_element_gets_what_the_sheets_say_about_it(css: str, element: str, style: str) -> None:
    html = inlined(f"<style>{css}</style>{element}words {{{{ name }}}}")

    assert style_of(html, "id=m" if "id=m" in html else "ID=m") == style


UNTOUCHED = [
    (ALL["torn"], "a condition begins or ends within <div>"),
    (ALL["classes"], "depends on merge fields"),
    (ALL["in_tag"], "depends on merge fields"),
    (ALL["in_sheet"], "a <style> holds merge fields"),
    ("<style>p{color:red}</style>" + "<div>" * 300, "deep within one another"),
    ("<style>" + "p{color:red}" * 1_500 + "</style><p>", "too many"),
    ("<style>p{color:red}</style>" + "<br>" * 6_000, "too many"),
    ("<style>*{" + "a:b;" * 10_000 + "}</style>" + "<br>" * 800, "too many"),
]


@pytest.mark.parametrize(("html", "why"), UNTOUCHED, ids=[why for _, why in UNTOUCHED])
def test_html_whose_styles_no_attribute_could_follow_stays_as_it_is_and_a_hint_says_why(html: str, why: str) -> None:
    assert inlined(html) == html
    assert why in hint(html)


@pytest.mark.parametrize("name", ALL)
def test_every_merge_field_and_condition_stays_in_its_order(name: str) -> None:
    html = ALL[name]

    assert [one.source for one in masked(inlined(html)).constructs] == [one.source for one in masked(html).constructs]
    assert name == "own_style" or without_styles(inlined(html)) == without_styles(html)


def test_a_sheet_of_another_medium_is_not_written_into_elements() -> None:
    html = inlined('<style media="only screen and (max-width:600px)">p{color:red}</style><p id=m>')

    assert style_of(html, "id=m") == ""
    assert "p{color:red !important}" in html


def test_nothing_is_fetched_or_read() -> None:
    html = '<link rel="stylesheet" href="/etc/passwd"><link rel=stylesheet href="http://127.0.0.1:9/a.css"><p>'

    assert inlined(f"{html}<style>@import '/etc/passwd'; p{{color:red}}</style>").startswith(html.removesuffix("<p>"))
