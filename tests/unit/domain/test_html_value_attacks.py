"""Values that are HTML as an attacker would give them: nothing of them acts, and they are read within bounds."""

import re
from typing import Any

import pytest

from mailroom.domain.content import render_once
from mailroom.domain.errors import InvalidInput
from tests.support.attacks import NUMBERS, within_bounds
from tests.support.stored_templates import saved

VALUES_OF_HTML = [
    "<script>alert(1)</script>",
    "<SCRIPT/SRC=//x.example>",
    "<img src=x onerror=alert(1)>",
    "<img src=`javascript:alert(1)`>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='java\nscript:alert(1)'>x</a>",
    "<a href='data:text/html,x'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<svg onload=alert(1)>",
    "<math><mi xlink:href='data:x,<script>alert(1)</script>'>",
    "<iframe src=//x.example></iframe>",
    "<form action=//x.example><input name=password></form>",
    "<style>body{display:none}</style>",
    "<p style='position:fixed;inset:0'>x</p>",
    "<link rel=stylesheet href=//x.example>",
    "<base href=//x.example>",
    "<meta http-equiv=refresh content='0;url=//x.example'>",
    "<!-- ",
    "<!--><script>alert(1)</script>-->",
    "</td></tr></table></body></html>",
    "<div><div><div>",
    "<textarea>",
    "<title>",
    "<plaintext>",
    "<noscript><p title='</noscript><script>alert(1)</script>'>",
    "<table><td><a href=x><tr>",
    "<p title='\"><script>alert(1)</script>'>",
    "<template><script>alert(1)</script></template>",
    "<a href=https://x.example target=_top onclick=x>x</a>",
    "\x00<scr\x00ipt>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "{{ 7 * 7 }}{% raw %}",
    "%recipient.name%",
]
FORBIDDEN = (
    *("<script", "onerror=", "onload=", "onclick=", "<iframe", "<form", "<input", "<style", " style=", "<link"),
    *("<base", "<meta", "<svg", "<math", "<!--", "</body", "</html", "<textarea", "<title", "<plaintext"),
    *("<noscript", "<template", '="javascript:', '="vbscript:', '="data:'),
)


@pytest.mark.parametrize("value", VALUES_OF_HTML, ids=lambda value: value[:30])
def test_a_value_that_is_html_brings_nothing_that_acts_and_ends_nothing_around_it(value: str) -> None:
    template = saved("attack", html="<table><td>{{ body|safe }}</td></table><p>end", html_fields=["body"])

    html = render_once(template.content, {"body": value}, html=frozenset({"body"}))["html"]

    inside = html.removeprefix("<table><td>").removesuffix("</td></table><p>end")
    assert html == f"<table><td>{inside}</td></table><p>end"
    outside_of_values = re.sub(r'title="[^"]*"', "", inside.lower())
    assert not [word for word in FORBIDDEN if word in outside_of_values], inside
    tags = re.findall(r"<(/?)([a-z0-9]+)", outside_of_values)
    void = {"br", "hr", "img", "wbr", "col", "area"}
    opened = sorted(name for closing, name in tags if not closing and name not in void)
    assert opened == sorted(name for closing, name in tags if closing)


UNSAFE = [
    ("{{ s|safe }}", "only for values that a stored template declares"),
    ("{{ body.x ~ s|safe }}", "stands last"),
    ("{{ (body ~ s)|safe }}", "only for values that a stored template declares"),
    ("{{ 'x'|safe }}", "only for values that a stored template declares"),
    ("{{ body|safe|upper }}", "stands last"),
    ("{{ body|safe|truncate(5) }}", "stands last"),
    ("{{ (body|safe) ~ '<script>' }}", "stands last"),
    ("{% if body|safe %}x{% endif %}", "stands last"),
    ("{% for a in body|safe %}{% endfor %}", "stands last"),
    ("{{ body|safe if s else s }}", "stands last"),
    ("{{ [body|safe]|join }}", "stands last"),
    ("{{ body|safe|safe }}", "stands last"),
    ("{{ body|safe(s) }}", "only for values that a stored template declares"),
    ("{% for a in rows %}{{ a.name|safe }}{% endfor %}", "only for values that a stored template declares"),
    ("{% for body in rows %}{{ body|safe }}{% endfor %}", "only for values that a stored template declares"),
    ("{% for a in body %}{% for a in rows %}{{ a|safe }}{% endfor %}{% endfor %}", "only for values"),
    ('<a href="{{ body|safe }}">x</a>', "stands between elements"),
    ("<p title='{{ body|safe }}'>", "stands between elements"),
    ("<p {{ body|safe }}>", "stands between elements"),
    ("<{{ body|safe }}>", "stands between elements"),
    ("<style>{{ body|safe }}</style>", "stands between elements"),
    ("<script>{{ body|safe }}</script>", "stands between elements"),
    ("<title>{{ body|safe }}</title>", "stands between elements"),
    ("<textarea>{{ body|safe }}</textarea>", "stands between elements"),
    ("<!-- {{ body|safe }} -->", "stands between elements"),
    ('<a href="{% if s %}{{ body|safe }}{% endif %}">x</a>', "stands between elements"),
    ('<p title="{% for a in body %}{{ a|safe }}{% endfor %}">', "stands between elements"),
    ("{{ body|forceescape }}", "there is no filter"),
    ("{{ body|xmlattr }}", "there is no filter"),
    ("{% autoescape false %}{{ body }}{% endautoescape %}", "{% autoescape %} is not offered"),
    ("</{{ body|safe }}>", "stands between elements"),
]


@pytest.mark.parametrize(("template", "words"), UNSAFE, ids=lambda value: value[:40])
def test_safe_stands_only_behind_what_is_declared_last_and_between_elements(template: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        saved("attack", html=template, html_fields=["body"])

    assert any(words in fault.message for fault in refused.value.faults), refused.value.faults


def test_in_a_subject_there_is_no_html_and_in_a_text_only_its_words() -> None:
    body = "<p>Tea &amp; <b>pots</b></p><script>x</script><p title=a>now<br>here</p>"
    mail = saved("mail", text="{{ body|safe }}", html_fields=["body"])

    text = render_once(mail.content, {"body": body}, html=frozenset({"body"}))["text"]

    assert text == "Tea & pots\nnow\nhere"
    with pytest.raises(InvalidInput, match="one line of text"):
        saved("mail", subject="{{ body|safe }}", text="x", html_fields=["body"])


@pytest.mark.parametrize(
    "value",
    [
        *("<div>" * 2_000, "<b>" * 2_000, "<a href=x>" * 2_000, "<table>" * 2_000, "<" * 2_000, "<!--" * 2_000),
        *("&" * 100_000, "x" * 100_000, "".join(f"<b id={n}>" for n in range(1_000)) + "<p>" * 1_000),
    ],
    ids=range(9),
)
def test_html_that_is_hard_to_read_is_read_within_bounds(value: str) -> None:
    template = saved("attack", html="{{ body|safe }}", html_fields=["body"])

    within_bounds(lambda: render_once(template.content, {"body": value}, html=frozenset({"body"})) and None)


@pytest.mark.parametrize(
    ("value", "words"),
    [("<b>" * 2_001, "up to 2,000 tags"), ("x" * 100_001, "up to 100,000 characters"), (["a"], "takes a text")],
)
def test_html_beyond_the_limits_is_refused(value: Any, words: str) -> None:
    template = saved("attack", html="{{ body|safe }}", html_fields=["body"])

    with pytest.raises(InvalidInput, match=words):
        render_once(template.content, {"body": value}, html=frozenset({"body"}))


def test_html_in_a_loop_uses_the_allowance_of_the_mail() -> None:
    template = saved("attack", html="{% for a in x %}{{ body|safe }}{% endfor %}", html_fields=["body"])

    def attack() -> None:
        with pytest.raises(InvalidInput, match=r"too many characters|too much"):
            render_once(template.content, {"x": NUMBERS, "body": "<p>" * 2_000}, html=frozenset({"body"}))

    within_bounds(attack)
