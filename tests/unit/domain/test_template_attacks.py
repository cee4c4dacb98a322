"""Loops, lists and dotted values as an attacker would use them: each is refused or stopped, within a second or so and
a bounded memory."""

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
from mailroom.domain.template_checks import KnownNames, lacking_in_audience
from mailroom.domain.template_spending import CannotRender
from tests.support.attacks import LONG, NUMBERS, VALUES, loops, within_bounds
from tests.support.builders import NOW

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
