"""The text part made from HTML: what a reader sees, in order, with merge fields and conditions in their places."""

import pytest

from mailroom.domain.bodies.text_part import text_part
from mailroom.domain.content import render_once
from tests.support.newsletters import ALL, RIGHT_TO_LEFT, STYLED, TEXT_OF_STYLED

CASES = [
    ("<p>One</p><p>Two</p>", "One\n\nTwo"),
    ("<div>One</div><div>Two</div>", "One\nTwo"),
    ("One<br>Two<br/><br>Three", "One\nTwo\n\nThree"),
    ("  A\n  <b> bold </b>  word ", "A bold word"),
    ("A&nbsp;&amp;&lt;b&gt; &eacute;&#8364;&#x20ac;", "A &<b> é€€"),
    ("<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>d", "- a\n- b\n  - c\n\nd"),
    ("<ol><li><p>a</p></li><li>b</li></ol>", "1. a\n\n2. b"),
    ("<ol>{% for x in xs %}<li>{{ x }}</li>{% endfor %}</ol>", None),
    ("<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>", "A B\n1 2"),
    ('<a href="https://x.org/a?b=1&amp;c=2">Go</a>.', "Go (https://x.org/a?b=1&c=2)."),
    ('<a href="https://x.org">https://x.org</a>', "https://x.org"),
    ('<a href="mailto:bo@x.org?subject=Hi">bo@x.org</a>', "bo@x.org"),
    ('<a href="tel:+39 06 1">Call</a>', "Call (+39061)"),
    ('<a href="#top">Top</a> <a name="x">here</a>', "Top here"),
    ('<a href="https://x.org"><img src="a.png" alt="Shop"></a>', "Shop (https://x.org)"),
    ('<a href="https://x.org"><img src="a.png" alt=""></a>', "https://x.org"),
    ('<a href="https://x.org"><div>Words</div></a>After', "Words (https://x.org)\nAfter"),
    ('<p>A<img src="a.png" alt="of a &quot;shoe&quot;">B', 'A of a "shoe" B'),
    ("<style>p{}</style><script>x</script><title>T</title><p>A<!-- no --></p>", "A"),
    ('<p style="display:none">no</p><div hidden>no</div><i style="visibility: hidden">no</i>A', "A"),
    ('<div style="max-height:0;overflow:hidden">no</div>A', "A"),
    ('<td style="font-size:0px"><span style="font-size:14px">A</span></td>', "A"),
    ("<!DOCTYPE html><?xml version='1.0'?><![if !mso]>A<![endif]>", "A"),
    ("A<hr>B", "A\n\n" + "-" * 20 + "\n\nB"),
    ("<pre>a\n  b\nc</pre>", "a\nb\nc"),
    ("so&shy;ft and&#8203; zero", "soft and\u200b zero"),
    ("&#99999999999999999999; &#xfffffff; &nothing; &", None),
    ("", ""),
    ("<img src=a.png>", ""),
]
CONDITIONS = [
    ("Hello{% if a %} {{ a }}{% endif %}!", "Hello{% if a %} {{ a }}{% endif %}!"),
    ("<p>{% if a %}Dear {{ a }}, {% endif %}welcome</p>", "{% if a %}Dear {{ a }}, {% endif %}welcome"),
    (
        "<p>One</p>{% if a %}<p>Two</p>{% endif %}<p>Three</p>",
        "One\n\n{% if a %}Two\n\n{% endif %}Three",
    ),
    ("<p>{% if a %}A{% else %}B{% endif %}, C</p>", "{% if a %}A{% else %}B{% endif %}, C"),
    ("A{%- if a -%} B {%- endif %} C", "A{% if a %}B{% endif %} C"),
    ("A{% if a %}<img src=x>{% endif %}B", "AB"),
    ("<!--{% if a %}-->A<!--{% else %}-->B<!--{% endif %}-->", "{% if a %}A{% else %}B{% endif %}"),
    ("{% if a %}<b style='display:none'>no {{ a }}</b>{% endif %}A", "A"),
    ("<p style='display:none'>{% if a %}no{% endif %}</p>A", "A"),
    ("<td {% if a %}class='x'{% endif %}>A</td>", "A"),
    (
        "{% if a %}<a href='https://x.org'>{% else %}<a href='https://y.org'>{% endif %}Go</a>",
        "{% if a %}https://x.org {% else %}https://y.org {% endif %}Go",
    ),
    (
        '<a href="https://{% if a %}x{% else %}y{% endif %}.org">Go</a>',
        "Go (https://{% if a %}x{% else %}y{% endif %}.org)",
    ),
    ("{<b>{ a }}</b>", "{% raw %}{{% endraw %}{ a }}"),
    ("{<b>{{ a }}</b>", "{% raw %}{{% endraw %}{{ a }}"),
    ("{% raw %}{{ a }}{% endraw %}", "{% raw %}{{% endraw %}{ a }}"),
    ("<td {% if a %}class='x'>{% endif %}A", ""),
    ("{% if a %}A<b {% endif %}c{% if b %}>B{% endif %}", ""),
    (
        "<ol><li>a</li>{% if x %}<li>b</li>{% endif %}<li>c</li></ol>",
        "1. a\n{% if x %}- b\n{% endif %}2. c",
    ),
]


@pytest.mark.parametrize(("html", "text"), CASES)
def test_the_text_has_what_a_reader_sees(html: str, text: str | None) -> None:
    made = text_part(html)

    if text is not None:
        assert made == text


@pytest.mark.parametrize(("html", "text"), CONDITIONS)
def test_conditions_and_merge_fields_stay_where_they_are(html: str, text: str) -> None:
    assert text_part(html) == text


def test_a_newsletter_reads_well_as_text() -> None:
    assert text_part(STYLED) == TEXT_OF_STYLED
    assert text_part(RIGHT_TO_LEFT) == "שלום {{ name }}\n\n1. ראשון\n2. שני\n  - בתוך\n\n‏מחיר: 30 ₪"


def test_lines_are_apart_whether_a_condition_holds_or_not() -> None:
    html = "<table><tr><td>A</td></tr>{% if x == 'y' %}<tr><td>B</td></tr>{% endif %}<tr><td>C</td></tr></table>"

    texts = [render_once({"text": text_part(html)}, {"x": value})["text"] for value in ("y", "n")]

    assert texts == ["A\nB\nC", "A\nC"]


def test_braces_of_html_that_is_no_template_are_braces() -> None:
    assert text_part("<p>{{ a }} {% if %} {<b>{</b></p>", templated=False) == "{{ a }} {% if %} {{"


@pytest.mark.parametrize("html", ALL.values(), ids=ALL)
def test_a_reader_of_the_text_gets_the_words_of_the_html(html: str) -> None:
    text = text_part(html)
    values = {"a": "x", "b": 1, "name": "Bo", "city": "Rome", "points": 7, "unsubscribe_url": "https://u.org/1"}

    rendered = render_once({"text": text}, values)["text"] if "a > 1" not in html else ""

    assert "{%" not in rendered.replace("{% if %}", "")
    assert "<td" not in rendered


def test_loops_over_lists_and_values_that_are_html_stay_in_the_text() -> None:
    html = "{% for item in feed.items %}<p>{{ item.title }}</p>{% endfor %}<p>{{ body|safe }}</p>"

    assert text_part(html) == "{% for item in feed.items %}{{ item.title }}\n\n{% endfor %}{{ body|safe }}"
