"""Loops, lists and dotted values as an attacker would use them: each is refused or stopped, within a second or so and
a bounded memory."""

import re
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailroom.domain.campaign_content import compiled
from mailroom.domain.content import check_content, names_in, render_once
from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.emails.template_budget import TemplateBudget
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.run_values import RunValues
from mailroom.domain.schedules import Content
from mailroom.domain.template_checking import named_by
from mailroom.domain.template_checks import KnownNames, lacking_in_audience
from mailroom.domain.template_spending import CannotRender
from mailroom.domain.templates import TemplateDraft
from tests.support.builders import NOW
from tests.support.stored_templates import library, saved

MOST_S = 3.0  # of processor time
MOST_BYTES = 128 * 1024 * 1024  # of memory, besides what the process has

LONG = "é" * 100_000
NUMBERS = list(range(10_000))
ROWS = [{"name": f"name {n}", "tags": ["a", "b"]} for n in range(2_000)]
EVIL_KEYS = {"__class__": "a", "": "b", "a.b": "c", "$where": "d", "items": "e", "get": "f", "{{ x }}": "g"}
VALUES: dict[str, Any] = {
    "x": NUMBERS, "rows": ROWS, "long": LONG, "longs": ["x" * 99_999 + str(n) for n in range(10)], "s": "text",
    "n": 7, "o": {"items": [1, 2], "a": {"b": 1}}, "pairs": [[1, 2]] * 9_000, "hex": "f" * 100_000, "evil": EVIL_KEYS,
    "words": ["one", "two"], "nothing": [],
}  # fmt: skip


def loops(count: int, body: str, over: str = "x") -> str:
    names = "abcdefghijklmnopqrstuvwxyz"
    return "".join(f"{{% for {names[n]} in {over} %}}" for n in range(count)) + body + "{% endfor %}" * count


# What is refused before anything is rendered: in a single mail, and when a template is stored.
REFUSED = [
    (loops(4, "."), "at most 3 loops stand in one another"),
    (loops(25, "."), "nested too deep"),
    (loops(1, ".") * 3_000, "words and signs"),
    ("{{ o" + ".a" * 200 + " }}", "nested too deep"),
    ("{{ o" + "['a']" * 100 + " }}", "nested too deep"),
    ("{{ o" + ".a" * 300 + " }}", "words and signs"),
    ("{{ o.__class__ }}", "names that begin with _"),
    ("{{ o['__class__'] }}", "names that begin with _"),
    ("{{ o.a.__init__.__globals__ }}", "names that begin with _"),
    ("{{ (x|first).__class__.__mro__ }}", "names that begin with _"),
    ("{{ x|first.__class__ }}", "there is no filter"),
    ("{{ ''.__class__ }}", "only the values of variables have parts"),
    ("{{ [].append }}", "only the values of variables have parts"),
    ("{{ (s ~ s).format }}", "only the values of variables have parts"),
    ("{{ {}.update }}", "only the values of variables have parts"),
    ("{{ s.format('x') }}", "calls are not offered"),
    ("{{ o.items() }}", "calls are not offered"),
    ("{{ x.append(1) }}", "calls are not offered"),
    ("{{ cycler('a', 'b').next() }}", "calls are not offered"),
    ("{{ lipsum(n=10000) }}", "calls are not offered"),
    ("{% for i in range(1000000000) %}.{% endfor %}", "calls are not offered"),
    ("{% for i in 'a' * 1000000000 %}.{% endfor %}", "* is not offered"),
    ("{% for i in [1] * 1000000000 %}.{% endfor %}", "* is not offered"),
    ("{% for i in [1] ** 9 %}.{% endfor %}", "** is not offered"),
    (loops(1, "{{ loop.__init__ }}"), "loop has no value of its own"),
    (loops(1, "{{ loop.__class__.__mro__ }}"), "loop has no value of its own"),
    (loops(1, "{{ loop['__class__'] }}"), "loop has no value of its own"),
    (loops(1, "{{ loop._iterator }}"), "loop has no value of its own"),
    (loops(1, "{{ loop._undefined }}"), "loop has no value of its own"),
    (loops(1, "{{ loop }}"), "loop has no value of its own"),
    (loops(1, "{{ loop|string }}"), "loop has no value of its own"),
    (loops(1, "{% for b in loop %}{% endfor %}"), "loop has no value of its own"),
    (loops(1, "{{ loop.cycle('a', 'b') }}"), "calls are not offered"),
    (loops(1, "{{ loop.changed(a) }}"), "calls are not offered"),
    (loops(1, "{{ loop.previtem }}"), "loop has no value of its own"),
    ("{% for a in x recursive %}{{ loop(x) }}{% endfor %}", "calls are not offered"),
    ("{% for a in x recursive %}{% endfor %}", "recursive loops are not offered"),
    ("{% for a in x if a %}{% endfor %}", "for … if is not offered"),
    ("{% for a, b in pairs %}{% endfor %}", "one name to each item"),
    ("{% for o.a in x %}{% endfor %}", "line 1"),
    ("{% for loop in x %}{% endfor %}", "cannot be named loop"),
    ("{% for __class__ in x %}{% endfor %}", "cannot be named __class__"),
    ("{{ x[0:9999] }}", "slices"),
    ("{{ x[::0] }}", "slices"),
    ("{{ s|truncate(*x) }}", "* is not offered"),
    ("{{ s|truncate(**o) }}", "* is not offered"),
    ("{{ rows|map(attribute='__class__')|list }}", "there is no filter 'map'"),
    ("{{ rows|attr('__class__') }}", "there is no filter 'attr'"),
    ("{{ rows|groupby('name') }}", "there is no filter 'groupby'"),
    ("{{ rows|tojson }}", "there is no filter 'tojson'"),
    ("{{ rows|sort(attribute='name') }}", "there is no filter 'sort'"),
    ("{{ rows|sum }}", "there is no filter 'sum'"),
    ("{{ x|slice(3) }}", "there is no filter 'slice'"),
    ("{% for a in x %}{% break %}{% endfor %}", "unknown tag"),
    ("{% for a in x %}{% set n = n + a %}{% endfor %}", "{% set %} is not offered"),
    ("{% macro m() %}{{ m() }}{% endmacro %}", "is not offered"),
    ("{% autoescape false %}{{ s }}{% endautoescape %}", "is not offered"),
    ("{% autoescape s %}{{ s }}{% endautoescape %}", "is not offered"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "words"), REFUSED, ids=lambda value: value[:40])
def test_an_attack_is_refused_before_it_costs_anything(template: str, words: str) -> None:
    def attack() -> None:
        with pytest.raises(InvalidInput) as of_stored:
            names_in({"html": template})
        with pytest.raises(InvalidInput) as of_mail:
            render_once({"text": template}, VALUES)
        for faults in (of_stored.value.faults, of_mail.value.faults):
            assert any(words in fault.message for fault in faults), faults

    within_bounds(attack, seconds=2.0)


# What is stopped while it is rendered. Without limits many of these would take minutes, or all memory.
STOPPED = [
    (loops(2, "."), "at most 10,000 times"),
    (loops(3, ""), "at most 10,000 times"),
    (loops(3, "{% if false %}.{% endif %}"), "at most 10,000 times"),
    (loops(1, "{% for b in nothing %}{% else %}{% for c in x %}.{% endfor %}{% endfor %}"), "at most 10,000 times"),
    (loops(1, "") + loops(1, ""), "at most 10,000 times"),
    (loops(1, "{{ a }}" * 60), "loops do too much"),
    (loops(1, "{% if a == 1 or a == 2 or a == 3 %}{% endif %}" * 20), "loops do too much"),
    (loops(1, "{{ long }}"), "1,000,000 fit"),
    (loops(1, "{% if long|upper|lower %}{% endif %}"), "filters read too many characters"),
    (loops(1, "{% if long|urlencode %}{% endif %}"), "filters read too many characters"),
    (loops(1, "{% if long == long %}{% endif %}"), "loops do too much"),
    (loops(1, "{% if long ~ 'x' in long %}{% endif %}"), "loops do too much"),
    (loops(1, "{% if long is eq long %}{% endif %}"), "loops do too much"),
    (loops(1, "{% if long is in long %}{% endif %}"), "loops do too much"),
    (loops(1, "{% if long is lower %}{% endif %}"), "loops do too much"),
    (loops(1, "{% if long ~ long ~ long %}{% endif %}"), "loops do too much"),
    (loops(1, "{% if long + long %}{% endif %}"), "loops do too much"),
    (loops(1, "{% if a in x %}{% endif %}"), "loops do too much"),
    (loops(1, "{% if 0 - a is in x %}{% endif %}"), "loops do too much"),
    (loops(1, "{% if x == x %}{% endif %}"), "lists and objects are not compared"),
    (loops(1, "{% if rows is eq rows %}{% endif %}"), "lists and objects are not compared"),
    (loops(1, "{% if rows in rows %}{% endif %}"), "in looks for a text or a number"),
    (loops(1, "{% if x + x %}{% endif %}"), "+ takes texts and numbers"),
    (loops(1, "{% if a ~ rows %}{% endif %}"), "~ joins texts and numbers"),
    (loops(1, "{% if x|join %}{% endif %}"), "loops do too much"),
    (loops(1, "{% if words|join(long) %}{% endif %}"), "filters read too many characters"),
    (loops(1, "{% if pairs|urlencode %}{% endif %}"), "loops do too much"),
    (loops(1, "{% if longs|join %}{% endif %}"), "filters read too many characters"),
    ("{{ rows|urlencode }}", "|urlencode takes a text, or names with values"),
    ("{{ evil|urlencode ~ o|urlencode }}", "this is a list"),
    ("{{ x|join(long) }}", "filters read too many characters"),
    ("{{ rows|join }}", "this is an object"),
    ("{{ rows|string }}", "|string takes a text or a number"),
    ("{{ rows|upper }}", "|upper takes a text or a number"),
    ("{{ [rows, rows]|string }}", "|string takes a text or a number"),
    ("{{ rows|int }}", "|int takes a text or a number"),
    ("{{ hex|int(0, 16) // 3 }}", "a number is too large"),
    ("{{ long|trim(long) }}", "trim takes at most 100"),
    ("{% for a in s %}{{ a }}{% endfor %}", "needs a list, and this is a text"),
    ("{% for a in long %}{% for b in long %}.{% endfor %}{% endfor %}", "needs a list, and this is a text"),
    ("{% for a in o %}{{ a }}{% endfor %}", "needs a list, and this is an object"),
    ("{% for a in n %}{{ a }}{% endfor %}", "needs a list, and this is a number"),
    ("{% for a in x|join %}{{ a }}{% endfor %}", "needs a list, and this is a text"),
    ("{{ s.upper }}", "s.upper: s is a text"),
    ("{{ s.__len__|default('-') }}{{ n.real }}", "names that begin with _"),
    ("{{ n.real }}", "n.real: n is a number"),
    ("{{ x.append }}", "x.append: x is a list"),
    ("{{ o.keys }}", "o.keys: o has none"),
    ("{{ o['__cl' ~ 'ass__'] }}", "o.__class__: o has none"),
    ("{{ evil['__cl' ~ 'ass__'] }}", "evil.__class__: evil has none"),
    ("{{ x['__cl' ~ 'ass__'] }}", "x.__class__: x is a list"),
    ("{{ x[10000] }}", "x has 10,000 items"),
    ("{{ x[99999999999999999999999999] }}", "x has 10,000 items"),
    ("{{ x[true] }}", "x has 10,000 items"),
    ("{{ x[1.5] }}", "x[1.5]: x is a list"),
    ("{{ o[x] }}", "o[…]: o is an object"),
    ("{{ o[long] }}", "o has none"),
    ("{{ self.__init__ }}", "names that begin with _"),
    ("{% if self is defined %}{{ self['_TemplateReference__' ~ 'context'] }}{% endif %}", "self"),
    ("{% if self is defined %}{{ self.x }}{% endif %}", "self"),
    ("{{ {x: 1} }}", "unhashable"),
    ("{% for a in rows %}{{ a.name.first }}{% endfor %}", "a.name.first: item 1 is a text"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "words"), STOPPED, ids=lambda value: value[:40])
def test_an_attack_is_stopped_while_it_is_rendered(template: str, words: str) -> None:
    def attack() -> None:
        with pytest.raises(InvalidInput) as stopped:
            render_once({"text": template}, VALUES)
        faults = [f"{fault.path}: {fault.message}" for fault in stopped.value.faults]
        assert any(word in fault for word in words.split(" or ") for fault in faults), faults

    within_bounds(attack)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (
            "{{ evil['a.b'] }}{{ evil['$where'] }}{{ evil.items }}{{ evil.get }}{{ evil[''] }}{{ evil['{{ x }}'] }}",
            "cdefbg",
        ),
        ("{% for x in words %}{% for words in rows[0].tags %}{{ words }}{{ x }} {% endfor %}{% endfor %}", None),
        ("{% for items in o.items %}{{ items }}{% endfor %}{{ o.items|length }}", "122"),
        ("{% for a in x %}{% if loop.last %}{{ a }}{% endif %}{% endfor %}", "9999"),
        ("{% for a in rows %}{{ a.nick|default('') }}{% endfor %}", ""),
    ],
)
def test_odd_names_and_the_most_that_is_offered_are_rendered_within_bounds(template: str, text: str | None) -> None:
    def render() -> None:
        written = render_once({"text": template}, VALUES)["text"]
        assert written == ("aone bone atwo btwo " if text is None else text)

    within_bounds(render)


def nested(depth: int, value: Any = "x") -> Any:
    for _ in range(depth):
        value = {"a": [value]}
    return value


@pytest.mark.parametrize(
    "variables",
    [
        {"x": nested(5)},
        {"x": nested(450)},
        {"x": [nested(400)] * 50},
        {"x": [[]] * 200_000},
        {"x": ["x" * 100_000] * 390},
        {"x": [{str(n): n for n in range(200_000)}]},
        {f"x{n}": [[[[]]]] * 1_000 for n in range(190)},
        {"x": [{"k" * 1_000_000: 1}] * 30},
        {"x": [10**30] * 9_000},
    ],
    ids=range(9),
)
def test_hostile_variables_are_refused_at_once_with_few_faults(variables: dict[str, Any]) -> None:
    def attack() -> None:
        with pytest.raises(InvalidInput) as refused:
            check_email(EmailDraft("a@x.org", ["b@x.org"], "s", "{{ x }}", variables=variables), now=NOW)
        assert len(refused.value.faults) <= 60
        assert {fault.path.partition(".")[0] for fault in refused.value.faults} == {"variables"}

    within_bounds(attack)


FEED = {"items": [{"title": f"title {n}", "n": n} for n in range(10_000)], "long": LONG, "title": "t"}
OF_RUNS = [
    ("{% for i in feed.items %}{{ name }}{% endfor %}", "more than 1,000 places"),
    ("{% for i in feed.items %}{% for j in feed.items %}{{ name }}{% endfor %}{% endfor %}", "10,000 times"),
    ("{% for i in feed.items %}{% for j in feed.items %}.{% endfor %}{% endfor %}", "at most 10,000 times"),
    ("{% for i in feed.items %}{% if false %}{{ name }}{% endif %}{{ i.n + 1 }}{{ i.title|upper }}{% endfor %}", ""),
    ("{% for i in feed.items %}{% if feed.long ~ '' != feed.long %}{{ name }}{% endif %}{% endfor %}", "too much"),
    ("{% for i in feed.items %}{% if false %}{{ name }}{% endif %}{{ feed.long }}{% endfor %}", "characters"),
    ("{% for i in feed.items %}{% if name == feed.long %}{% endif %}{% endfor %}", "1,000 places"),
    ("{% if name %}{% for i in feed.items %}.{% endfor %}{% endif %}", "at most 1,000 times"),
    ("{% if name in feed.long %}{% endif %}" * 60, "loops do too much"),
    ("{{ name ~ feed.long }}" * 20, "65,536 fit"),
    ("{% if name ~ feed.long|upper %}{% endif %}" * 20, "filters read too many"),
    ("{{ feed.__class__ ~ name }}", "names that begin with _"),
    ("{{ feed[name] }}", "feed.Bo: feed has none"),
    ("{% for name in feed.items %}{% for feed in name.x %}{% endfor %}{% endfor %}", "name.x: item 1 has none"),
    ("{% for feed in feed.items %}{% for feed in feed.x|default([]) %}{{ name }}{% endfor %}{% endfor %}", ""),
]  # fmt: skip


@pytest.mark.parametrize(("template", "words"), OF_RUNS, ids=lambda value: value[:40])
def test_a_campaign_with_a_hostile_feed_or_template_is_stopped(template: str, words: str) -> None:
    known = KnownNames(frozenset({"name", "address"}), lacking_in_audience).with_feed()
    recipient = {"name": "Bo", "address": "bo@example.org"}
    run = RunValues.of({"feed": FEED})

    def attack() -> None:
        faults = check_content({"text": template}, known, recipient)
        try:
            if not faults:
                content = Content("a@x.org", "s", template, "", AudienceId("aud_1"), 1)
                compiled(content, run).parts_for(recipient)
        except CannotRender as error:
            assert words, error
            assert any(word in str(error) for word in words.split(" or ")), error
        else:
            assert any(words in fault.message for fault in faults) if words else not faults

    within_bounds(attack, seconds=10.0)


def nested_blocks(count: int) -> str:
    return "".join(f"{{% block b{n} %}}" for n in range(count)) + "{% endblock %}" * count


LIBRARY = library(
    big={"kind": "partial", "html": "é" * 100_000, "text": "x"},
    loop={"kind": "partial", "html": loops(3, "{{ c }}"), "text": "x"},
    costly={"kind": "partial", "html": "{{ s }}" * 1_000, "text": "x"},
    brace={"kind": "partial", "html": "{"},
    base={"kind": "layout", "html": "{% block a %}{% endblock %}{% block b %}{% endblock %}"},
    raws={"kind": "partial", "html": "{% raw %}{{ s.__class__ }}{% endraw %}"},
)
WITH_LAYOUTS = [
    ('{% include "big" %}' * 3, "more than 200,000 characters"),
    ('{% include "big" %}' * 10_000, "more than 200,000 characters"),
    ('{% include "costly" %}' * 3, "words and signs in all expressions"),
    ('{% for z in x %}{% include "loop" %}{% endfor %}', "at most 3 loops stand in one another"),
    ('{% include "' + "a" * 10_000 + '" %}', "write {% include"),
    ('{% include "../../etc/passwd" %}', "write {% include"),
    ('{% include "big\x00" %}', "write {% include"),
    ("{% include s %}", "write {% include"),
    ("{% include s.__class__ %}", "write {% include"),
    ("{% include ['big', 'loop'] %}", "write {% include"),
    ('{% include "big" if s else "loop" %}', "write {% include"),
    ("{% extends s %}", "write {% extends"),
    ('{% extends "attack" %}', "there is no layout of this name"),
    ('{% include "attack" %}', "there is no partial of this name"),
    ("".join(f'{{% include "p{n}" %}}' for n in range(9_000)), "there is no partial of this name"),
    (nested_blocks(2_000), "nested too deep"),
    (nested_blocks(20), "only a layout has blocks"),
    ("{% block a %}" * 15_000, "already"),
    ("{% endblock %}" * 14_000, "none is open"),
    ('{% extends "base" %}' + "".join(f"{{% block c{n} %}}{{% endblock %}}" for n in range(5_000)), "has no block"),
    ('{% extends "base" %}{% block a %}{{ self.a() }}{% endblock %}', "calls are not offered"),
    ('{% extends "base" %}{% block a %}{{ super() }}{% endblock %}', "calls are not offered"),
    ('{% extends "base" %}{% block a %}{% block b %}{% endblock %}{% endblock %}', "has the block b twice"),
    ('{% extends "base" %}{% block a %}{% if s %}{% endblock %}{% block b %}{% endif %}{% endblock %}', "is open"),
    ('{% extends "base" %}{% set a = s %}', "is not offered"),
    ('{% import "big" as b %}{{ b }}', "is not offered"),
    ('{% from "big" import x with context %}', "is not offered"),
    ('{% include "big" %}{{ s.__class__ }}', "names that begin with _"),
    ('{{ s|attr("x") }}{% include "big" %}', "there is no filter"),
    ('{{% include "big" %}', ""),
    ('{% raw %}{% include "big" %}', ""),
]  # fmt: skip


@pytest.mark.parametrize(("template", "words"), WITH_LAYOUTS, ids=lambda value: value[:40])
def test_an_attack_by_layouts_and_partials_is_refused_when_it_is_saved(template: str, words: str) -> None:
    def attack() -> None:
        with pytest.raises(InvalidInput) as refused:
            saved("attack", {name: LIBRARY[name] for name in named(template) if name in LIBRARY}, html=template)
        assert any(words in fault.message for fault in refused.value.faults), refused.value.faults[:3]

    within_bounds(attack)


def test_a_partial_that_goes_on_with_what_was_begun_before_it_is_checked_as_part_of_the_whole() -> None:
    """Text that is put together may mean more than its parts: `{` before `{ s }}`. So the whole is checked."""
    whole = saved("whole", LIBRARY, html='{% include "brace" %}{ s }}')
    hidden = saved("hidden", LIBRARY, html='{% include "raws" %}')

    assert whole.html == "{{ s }}"
    assert whole.variables == {"s"}
    assert render_once(hidden.content, VALUES)["html"] == "{{ s.__class__ }}"


def test_a_partial_doubled_again_and_again_stays_within_the_limit() -> None:
    stored = library(p0={"kind": "partial", "html": "0123456789" * 2_000})
    with pytest.raises(InvalidInput, match="more than 200,000 characters"):
        for n in range(1, 6):
            stored[f"p{n}"] = saved(f"p{n}", stored, kind="partial", html=f'{{% include "p{n - 1}" %}}' * 2)


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


def named(template: str) -> frozenset[str]:
    return named_by(TemplateDraft(html=template))


def test_the_loops_of_one_request_share_an_allowance() -> None:
    budget = TemplateBudget()
    draft = EmailDraft(
        "a@x.org", ["b@x.org"], "s", loops(1, "{{ a + 1 }}{{ a + 2 }}"), variables={"x": NUMBERS[:9_000]}
    )
    taken = 0

    def attack() -> None:
        nonlocal taken
        with pytest.raises(InvalidInput, match="hand this mail in with another request"):
            for _ in range(1_000):
                check_email(draft, now=NOW, steps=budget.steps)
                taken += 1

    within_bounds(attack, seconds=30.0)
    assert 5 < taken < 60


def within_bounds(attack: Callable[[], None], *, seconds: float = MOST_S) -> None:
    """Runs this, and asserts that it took no more processor time; more memory than MOST_BYTES it does not get."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_BYTES, before[1]))
    began = time.process_time()
    try:
        attack()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert time.process_time() - began < seconds
