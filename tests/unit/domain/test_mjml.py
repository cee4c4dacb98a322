"""MJML becomes the page that it stands for; merge fields and conditions keep their places, and no document ends the
process."""

import time

import pytest

from mailroom.domain.bodies.finish import finish
from mailroom.domain.bodies.masks import masked
from mailroom.domain.bodies.mjml_page import page_of
from mailroom.domain.bodies.places import PlaceLost
from mailroom.domain.bodies.written import Written
from mailroom.domain.content import render_once
from mailroom.domain.limits import MAX_MJML_ELEMENTS

LETTER = """<mjml><mj-head><mj-title>News for {{ name }}</mj-title></mj-head><mj-body>
<mj-section><mj-column><mj-text>Hello {{ name }}</mj-text>
<mj-button href="https://shop.example/{{ city|urlencode }}">Go, {{ name }}</mj-button></mj-column></mj-section>
{% if vip %}<mj-section><mj-column><mj-text>A gift</mj-text></mj-column></mj-section>{% endif %}
<mj-section>{% for item in items %}<mj-column><mj-text>{{ item.title }}</mj-text></mj-column>{% endfor %}</mj-section>
</mj-body></mjml>"""
VALUES = {"name": "Bo & Co", "city": "São Paulo", "items": [{"title": "Tea"}, {"title": "Pot"}]}


def page(mjml: str) -> str:
    source = masked(mjml)
    return source.restored(page_of(source))


def test_a_document_becomes_a_page_with_its_merge_fields_and_conditions() -> None:
    made = finish(Written(None, mjml=LETTER))

    with_gift, without = (
        render_once({"text": made.text, "html": made.html}, VALUES | {"vip": vip}) for vip in (True, False)
    )

    assert "<title>News for Bo &amp; Co</title>" in with_gift["html"]
    assert 'href="https://shop.example/S%C3%A3o%20Paulo"' in with_gift["html"]
    assert with_gift["html"].index("Tea") < with_gift["html"].index("Pot")
    assert "Hello Bo & Co" in with_gift["text"]
    assert ["A gift" in one for one in (with_gift["html"], without["html"], without["text"])] == [True, False, False]
    assert [one["html"].count("<!--[if") == one["html"].count("<![endif]-->") for one in (with_gift, without)] == [
        True,
        True,
    ]


def test_braces_of_a_mail_that_is_no_template_stay_braces() -> None:
    mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>{{ x }}</mj-text></mj-column></mj-section></mj-body></mjml>"

    assert "{{ x }}" in finish(Written(None, mjml=mjml), templated=False).html


@pytest.mark.parametrize(
    ("mjml", "words"),
    [
        ("Hello", "cannot be read as MJML"),
        ("<mjml>", "cannot be read as MJML"),
        ("<html></html>", "cannot be read as MJML"),
        ('<mjml><mj-body><mj-include path="/etc/passwd" /></mj-body></mjml>', "cannot be read as MJML"),
        ('<mjml><mj-body><mj-include path="https://x.example/a.mjml" /></mj-body></mjml>', "cannot be read as MJML"),
        ("<mjml><mj-body><mj-section><mj-column><mj-table><tr><td>1éd></tr></mj-table>", "cannot be read as MJML"),
        ("<mjml><mj-body>" + "<mj-wrapper>" * 4_000 + "</mj-wrapper>" * 4_000, "at most 800 elements"),
        ("<mjml><mj-body><mj-raw>" + "<div>" * 9_000, "at most 800 elements"),
        ("<mjml><mj-body>" + "<!-- -->" * 900 + "</mj-body></mjml>", "at most 800 elements"),
        (
            '<mjml><mj-body><mj-section><mj-column><mj-button background-color="{% if a %}red{% endif %}">x</mj-button>'
            "</mj-column></mj-section></mj-body></mjml>",
            "has no place in what the MJML gives",
        ),
        ("<mjml><mj-head>{{ lost }}</mj-head><mj-body></mj-body></mjml>", "no place|cannot be read"),
    ],
    ids=range(11),
)
def test_what_is_no_mjml_or_has_no_place_is_refused(mjml: str, words: str) -> None:
    with pytest.raises(PlaceLost, match=words):
        page(mjml)


@pytest.mark.parametrize("element", ["mj-wrapper", "mj-group", "div"])
def test_the_deepest_document_that_is_taken_is_read_within_a_second(element: str) -> None:
    count = MAX_MJML_ELEMENTS - 2
    inside = f"<{element}>" * count + f"</{element}>" * count
    before = time.process_time()

    try:
        page(f"<mjml><mj-body>{inside}</mj-body></mjml>")
    except PlaceLost as error:
        assert element == "div" or "more than" in str(error), error

    assert time.process_time() - before < 1.0
