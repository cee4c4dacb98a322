"""Whatever HTML, CSS or Markdown looks like, making bodies of it takes a bounded time and a bounded memory."""

import contextlib
import time

import pytest

from mailroom.domain.bodies.checking import faults_of_shape
from mailroom.domain.bodies.finish import finish
from mailroom.domain.bodies.places import PlaceLost
from mailroom.domain.bodies.written import Written
from mailroom.domain.limits import MAX_MADE_FROM, MAX_MARKDOWN
from tests.support.peak_memory import Peak

_MOST_S = 3.0
_MOST_BYTES = 250 * 1024 * 1024


def full(piece: str, most: int = MAX_MADE_FROM - 10_000, *, before: str = "", after: str = "") -> str:
    return before + piece * ((most - len(before) - len(after)) // len(piece)) + after


STYLE = "<style>p{color:red}</style>"
HTML = {
    "open tags": full("<a "),
    "links": full("<a href=x>"),
    "links left open": full("<a href='x'>y"),
    "attributes": full(" a", before="<p"),
    "values": full(" a='b'", before="<p"),
    "unclosed value": full("<p a='"),
    "comments": full("<!--"),
    "declarations": full("<!"),
    "less than": full("<"),
    "entities": full("&#1;"),
    "long number": full("9", before="&#"),
    "ampersands": full("&"),
    "spaces": full(" ", before="a", after="b"),
    "breaks": full("<br>"),
    "nested": full("<div>"),
    "nested hidden": full("<div hidden>"),
    "lists": full("<ul><li>"),
    "tables": full("<table><tr><td>"),
    "conditions": full("{% if a %}<p>{% endif %}", 160_000),
    "conditions in links": full("<a href={% if a %}x{% endif %}>", 160_000),
    "braces": full("{<b>"),
    "pre": full("\n", before="<pre>a"),
    "style": full("<style>", before=STYLE),
    "bold": full("<b>", before=STYLE),
    "elements": full("<p>", before=STYLE),
    "closing": full("</p>", before=STYLE),
    "formatting": full("<b><p>", before=STYLE),
    "select": full("<select><p>", before=STYLE),
    "plaintext": full("<plaintext><p>", before=STYLE),
}
CSS = {
    "rules": full("p{a:b}"),
    "selectors": full("p,", after="p{a:b}"),
    "descendants": full("p p p p p,", after="p{a:b}"),
    "long selector": full("p ", after="p{a:b}"),
    "not": full(":not(", after="{a:b}"),
    "is": full("p:is(", after=")" * 1_000 + "{a:b}"),
    "attributes": full("[a=b]", 190, after="{a:b}"),
    "declarations": full("a:b;", before="p{", after="}"),
    "long value": full("x", before="p{a:", after="}"),
    "blocks": full("{"),
    "ends": full("}"),
    "brackets": full("("),
    "media": full("@media x{"),
    "comments": full("/*"),
    "quotes": full('"'),
    "urls": full("url("),
    "escapes": full("\\"),
    "names": full("".join(f"p{{a{n}:b}}" for n in range(900)), 20_000),
}
#: Just within the limits.
NESTED = ("<div>" * 190 + "<p>a</p>" * 10 + "</div>" * 190) * 5
WITHIN = {
    "deep selectors": ("div div div div p{a:b}" * 480, NESTED),
    "children": ("div>div>div div p{a:b}" * 480, NESTED),
    "no match": ("p div div div b{a:b}" * 480, NESTED),
    "many matches": ("".join(f"*{{a{n}:b}}" for n in range(490)), "<p>a</p>" * 1_000),
    "much written": ("*{" + "".join(f"a{n}:b;" for n in range(1_100)) + "}", "<p>a</p>" * 1_000),
    "important": ("*{" + "".join(f"a{n}:b!important;" for n in range(700)) + "}", "<p>a</p>" * 1_000),
    "media": ("@media x{p{a:b}}" * 990, "<p>a</p>" * 4_000),
    "attributes": ("[a=b] [a=b] [a=b] [a=b] p{a:b}" * 480, NESTED.replace("<div>", "<div a=b>")),
}
MARKDOWN = {
    "brackets": full("[", MAX_MARKDOWN),
    "closing brackets": full("]", MAX_MARKDOWN),
    "links": full("[a](", MAX_MARKDOWN),
    "images": full("![", MAX_MARKDOWN),
    "stars": full("*", MAX_MARKDOWN),
    "mixed stars": full("*a **a ", MAX_MARKDOWN),
    "underscores": full("_a_ __a", MAX_MARKDOWN),
    "ticks": full("`", MAX_MARKDOWN),
    "tick runs": "".join("`" * n + " " for n in range(300)),
    "quotes": full(">", MAX_MARKDOWN),
    "quoted lists": full("> - ", MAX_MARKDOWN),
    "lists": "\n".join(" " * n + "- a" for n in range(300)),
    "items": full("- a\n", MAX_MARKDOWN),
    "tables": full("|", MAX_MARKDOWN, before="|a|\n|-|\n"),
    "rows": full("|a|a|a|a\n", MAX_MARKDOWN, before="|a|a|a|a\n|-|-|-|-\n"),
    "wide": "|a" * 8_000 + "\n" + "|-" * 8_000 + "\n" + "|\n" * 8_000,
    "definitions": full("[a]: b\n", MAX_MARKDOWN),
    "titles": full('[a]: b "', MAX_MARKDOWN),
    "entities": full("&amp", MAX_MARKDOWN),
    "angles": full("<", MAX_MARKDOWN),
    "autolinks": full("<a:b", MAX_MARKDOWN),
    "comments": full("<!--", MAX_MARKDOWN),
    "tildes": full("~~a", MAX_MARKDOWN),
    "breaks": full("a  \n", MAX_MARKDOWN),
    "fences": full("```\n", MAX_MARKDOWN),
    "merge fields": full("{{ a }} ", 50_000),
    "conditions": full("{% if a %}\n{% endif %}\n", 50_000),
    "spaces": full(" ", MAX_MARKDOWN, after="a"),
    "backslashes": full("\\", MAX_MARKDOWN),
}
ATTACKS = [
    *(pytest.param(Written(None, html, inline_css=True), id=f"HTML of {name}") for name, html in HTML.items()),
    *(
        pytest.param(Written(None, f"<style>{css}</style>" + "<p>a</p>" * 900, inline_css=True), id=f"CSS of {name}")
        for name, css in CSS.items()
    ),
    *(
        pytest.param(Written(None, f"<style>{css}</style>{html}", inline_css=True), id=f"CSS with {name}")
        for name, (css, html) in WITHIN.items()
    ),
    *(pytest.param(Written(None, markdown=text), id=f"Markdown of {name}") for name, text in MARKDOWN.items()),
]


@pytest.mark.parametrize("written", ATTACKS)
def test_hostile_bodies_cost_little(written: Written) -> None:
    assert len(ATTACKS) >= 70
    memory = Peak()
    begun = time.process_time()

    assert faults_of_shape(written) == []
    with contextlib.suppress(PlaceLost):
        finish(written)

    assert time.process_time() - begun < _MOST_S
    assert memory.growth() < _MOST_BYTES


def test_html_that_is_too_long_is_sent_as_it_is() -> None:
    html = full("<p>a", MAX_MADE_FROM + 30, before=STYLE)

    made = finish(Written(None, html, inline_css=True))

    assert (made.text, made.html) == ("", html)
    assert made.hint and "200,000 characters" in made.hint.message


def test_a_newsletter_takes_milliseconds() -> None:
    rows = "<tr><td class='a'><a href='https://x.org'>Shoe</a></td><td class='b'>49.00</td></tr>" * 300
    html = f"<style>{'.a{color:red;padding:4px} .b td{margin:0} ' * 40}</style><table>{rows}</table>"
    begun = time.process_time()

    assert finish(Written(None, html, inline_css=True)).hint is None

    assert time.process_time() - begun < 0.5
