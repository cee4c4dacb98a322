"""Loops, lists and dotted values in single mails: what they give, what a template needs, what is refused."""

from typing import Any

import pytest

from mailroom.domain.content import names_in, render_once
from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.errors import InvalidInput
from mailroom.services.common.idempotency import digest_of_request
from tests.support.builders import NOW

ORDER = {
    "number": "A-1",
    "customer": None,
    "lines": [{"name": "Tea", "price": 4, "tags": ["hot", "green"]}, {"name": "<Pot>", "price": 12.5, "tags": []}],
}


def text_of(template: str, **variables: Any) -> str:
    return render_once({"text": template}, variables)["text"]


def fault_of(template: str, **variables: Any) -> str:
    with pytest.raises(InvalidInput) as refused:
        render_once({"text": template}, variables)
    (fault,) = refused.value.faults
    assert fault.path == "text"
    return fault.message


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% for line in order.lines %}{{ line.name }} {{ line.price }};{% endfor %}", "Tea 4;<Pot> 12.5;"),
        ("{{ order.lines[0].price }} {{ order['number'] }} {{ order.lines[-1]['name'] }}", "4 A-1 <Pot>"),
        ("{% for x in order.lines %}{{ loop.index }}{{ loop.index0 }}{% endfor %}", "1021"),
        (
            "{% for x in order.lines %}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
            "TrueFalse2 FalseTrue2 ",
        ),
        ("{% for x in order.lines[1].tags %}{{ x }}{% else %}none{% endfor %}", "none"),
        ("{% for x in order.customer %}{{ x }}{% else %}null{% endfor %}", "null"),
        (
            "{% for x in order.lines %}{% for tag in x.tags %}{{ x.name }}:{{ tag }} {% endfor %}{% endfor %}",
            "Tea:hot Tea:green ",
        ),
        (
            "{{ order.lines|length }} {{ order.lines[0].tags|join(', ') }} {{ order.lines[0].tags|first }}",
            "2 hot, green hot",
        ),
        ("{{ (order.lines|last).name }} {{ order|length }}", "<Pot> 3"),
        ("{% for number in order.lines %}{{ loop.index }}{% endfor %}{{ number }}", "12outside"),
        ("{% for order in order.lines %}{{ order.name }}{% endfor %} {{ order.number }}", "Tea<Pot> A-1"),
        ("{{ order.note|default('none') }} {{ order.customer.name|d('nobody') }}", "none nobody"),
        ("{{ order.a.b.c|default('x') }}{{ order.lines[7].name|default('y') }}", "xy"),
        ("{% if order.note is defined %}a{% elif order.lines[0].name is defined %}b{% endif %}", "b"),
        ("{% for x in ['a', 'b'] %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}", "a, b"),
        (
            "{% for x in order.lines %}{% if x.price > 5 and 'hot' not in x.tags %}{{ x.name }}{% endif %}{% endfor %}",
            "<Pot>",
        ),
        (
            "{% for line in order.lines %}{{ line.price + 1 }}{{ ' ' ~ line.price / 2 }};{% endfor %}",
            "5 2.0;13.5 6.25;",
        ),
        ("{% for x in order.lines %}{% if x.price is gt 5 or 1 < x.price <= 4 %}x{% endif %}{% endfor %}", "xx"),
        ("{{ prices[key] }}{{ prices['a.b'] }}{{ prices.items }}{{ prices.get|default('-') }}", "129-"),
    ],
)
def test_loops_and_dotted_values_give_what_they_say(template: str, text: str) -> None:
    variables = {"order": ORDER, "number": "outside", "key": "k", "prices": {"k": 1, "a.b": 2, "items": 9}}

    assert text_of(template, **variables) == text


def test_values_in_loops_are_escaped_in_html_and_make_no_second_line_of_a_subject() -> None:
    content = {
        "subject": "{% for line in lines %}{{ line }} {% endfor %}",
        "html": "{% for line in lines %}<li>{{ line }}{{ '<' ~ line }}{{ lines|join('<br>') }}</li>{% endfor %}",
    }

    written = render_once(content, {"lines": ["a\r\nBcc: x@example.org", "<b>"]})

    assert written["subject"] == "a Bcc: x@example.org <b>"
    assert written["html"].endswith("<li>&lt;b&gt;&lt;&lt;b&gt;a\r\nBcc: x@example.org&lt;br&gt;&lt;b&gt;</li>")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% for item in items %}{{ item.price }}{% endfor %}", "item.price: item 3 has none"),
        ("{% for item in items %}{{ item.by.name }}{% endfor %}", "item.by: item 1 has none"),
        ("{% for item in items %}{% for tag in item.tags %}{% endfor %}{% endfor %}", "item.tags: item 1 has none"),
        ("{{ items[2].price }}", "items[2].price: items[2] has none"),
        ("{{ items[3].price }}", "items[3]: items has 3 items; the first is items[0]"),
        ("{{ items.price }}", "items.price: items is a list; write a loop, or items[0]"),
        ("{{ items[0].price.high }}", "items[0].price.high: items[0].price is a number"),
        ("{{ items[0][0] }}", "items[0][0]: items[0] is an object"),
        ("{{ items }}", "this is a list: write a loop, or |join(', ')"),
        ("{{ items[0] }}", "this is an object: write which of its values, such as .name"),
        ("{{ items|upper }}", "|upper takes a text or a number, and this is a list"),
        ("{{ items[0]|first }}", "|first takes a text or a number, and this is an object"),
        ("{{ items|join(', ') }}", "this is an object"),
        ("{% for x in title %}{{ x }}{% endfor %}", "{% for x in … %} needs a list, and this is a text"),
        ("{% for x in items[0] %}{{ x }}{% endfor %}", "needs a list, and this is an object"),
        ("{% for x in others %}{% endfor %}", 'line 1, column 13: "others" is not among the variables'),
        ("{% for x in items %}{% endfor %}{{ x }}", '"x" is not among the variables'),
        ("{% for x in items %}{% else %}{{ x }}{% endfor %}", '"x" is not among the variables'),
        ("{% for x in items %}{{ x ~ '' }}{% endfor %}", "~ joins texts and numbers, and this is an object"),
        ("{% for x in items %}{% if x == items %}{% endif %}{% endfor %}", "lists and objects are not compared"),
        ("{% for x in items %}{% if x in items %}{% endif %}{% endfor %}", "in looks for a text or a number"),
    ],
)
def test_a_value_that_does_not_fit_is_a_fault_with_its_path(template: str, words: str) -> None:
    items = [{"price": 1}, {"price": 2}, {"cost": 3}]

    assert words in fault_of(template, items=items, title="Tea")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% for a, b in items %}{% endfor %}", "a loop gives one name to each item"),
        ("{% for x in items if x %}{% endfor %}", "for … if is not offered: write {% if %} within the loop"),
        ("{% for x in items recursive %}{% endfor %}", "recursive loops are not offered"),
        ("{% for loop in items %}{% endfor %}", "an item cannot be named loop"),
        ("{% for _x in items %}{% endfor %}", "an item cannot be named _x"),
        ("{% for unsubscribe_url in items %}{% endfor %}", "an item cannot be named unsubscribe_url"),
        ("{% for x in items %}{{ loop }}{% endfor %}", "loop has no value of its own; write loop.first, loop.index"),
        ("{% for x in items %}{{ loop.revindex }}{% endfor %}", "loop has no value of its own"),
        ("{% for x in items %}{{ loop['index'] }}{% endfor %}", "loop has no value of its own"),
        ("{{ items[0]._price }}", "names that begin with _ are not offered"),
        ("{{ items[0]['_price'] }}", "names that begin with _ are not offered"),
        ("{{ items[0:2] }}", "slices such as [1:3] are not offered"),
        ("{{ 'abc'[0] }}", "only the values of variables have parts"),
        ("{{ (items|length).real }}", "only the values of variables have parts"),
        ("{{ items|sort }}", "there is no filter 'sort'"),
        ("{{ items[0].keys() }}", "calls are not offered"),
        ("{{ '' | truncate(*items) }}", "* is not offered"),
        ("{% set x = items %}", "{% set %} is not offered"),
    ],
)
def test_what_is_not_offered_is_refused_with_its_line_when_a_template_is_saved_too(template: str, words: str) -> None:
    with pytest.raises(InvalidInput) as of_stored:
        names_in({"text": "one\n" + template})

    assert words in fault_of(template, items=[{"price": 1}])
    assert [fault.message.partition(": ")[0] for fault in of_stored.value.faults] == ["line 2"]


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("{% for item in items %}{{ item.name }}{{ loop.index }}{% endfor %}", {"items"}),
        ("{% for item in items %}{{ shop }}{% else %}{{ nothing }}{% endfor %}", {"items", "shop", "nothing"}),
        ("{% for item in items %}{% endfor %}{{ item }}", {"items", "item"}),
        ("{% for item in items|default([]) %}{{ item.name }}{% endfor %}", set()),
        ("{% for item in order.lines %}{% for tag in item.tags %}{{ tag }}{% endfor %}{% endfor %}", {"order"}),
        ("{% if items is defined %}{% for item in items %}{{ item }}{% endfor %}{% endif %}", set()),
        ("{{ order.note|default('') }}{{ order.a[key]|d('') }}", {"key"}),
        ("{% if order.note is defined %}{{ order.note }}{% endif %}", set()),
        ("{% if order.note is undefined %}none{% else %}{{ order.note }}{% endif %}", set()),
        ("{{ (items|first).name|default('x') }}", {"items"}),
        ("{{ loop.index }}", {"loop"}),
    ],
)
def test_a_stored_template_needs_the_variables_and_not_the_names_of_its_loops(template: str, names: set[str]) -> None:
    assert names_in({"text": template}) == names


def test_variables_may_hold_lists_and_objects_within_bounds() -> None:
    deep: Any = "x"
    for _ in range(8):
        deep = [deep]

    assert faults_of({"items": [{"name": "Tea", "price": 4.5, "new": True, "note": None}], "deep": deep}) == {}
    assert faults_of({"items": [["x"] * 4_000, {"a": ["x"] * 4_000}]}) == {}


def test_every_fault_of_the_variables_is_told_with_its_path() -> None:
    too_deep: Any = "x"
    for _ in range(9):
        too_deep = {"a": too_deep}
    items = [{"price": 1}, {"price": 10**20}, {"note": "x" * 100_001, "k" * 101: 1}, [2.0**70]]

    found = faults_of({"items": items, "deep": too_deep, "9": 1, "plain": 10**20})

    assert found == {
        "variables.9": "a name has letters, digits and _, and at most 64 characters",
        "variables.plain": "a number has at most 20 digits; give longer ones as text",
        "variables.items[1].price": "a number has at most 20 digits; give longer ones as text",
        "variables.items[2].note": "at most 100,000 characters; these are 100,001",
        f"variables.items[2].{'k' * 100}": "a key has at most 100 characters",
        "variables.items[3][0]": "Give so large a number as text.",
        "variables.deep.a.a.a.a.a.a.a.a": "lists and objects go at most 8 deep",
    }


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (["x"] * 10_000, "lists and objects hold at most 10,000 values together"),
        ([["x"] * 5_000, ["x"] * 5_000], "lists and objects hold at most 10,000 values together"),
        (["x" * 100_000] * 11, "lists and objects hold at most 1,000,000 characters together"),
        ([{f"{n:0>100}": 1 for n in range(9_000)}, "x" * 100_000, "x"], "1,000,000 characters together"),
    ],
)
def test_the_values_of_all_lists_together_are_bounded(items: list[Any], words: str) -> None:
    (message,) = faults_of({"items": items, "others": ["x" * 10]}).values()

    assert words in message


def test_a_request_is_the_same_whatever_the_order_of_its_keys() -> None:
    one = a_mail({"order": {"a": 1, "b": [{"c": 2, "d": 3}]}})
    other = a_mail({"order": {"b": [{"d": 3, "c": 2}], "a": 1}})
    reordered = a_mail({"order": {"a": 1, "b": [{"c": 3, "d": 2}]}})

    assert digest_of_request(one) == digest_of_request(other) != digest_of_request(reordered)


def a_mail(variables: dict[str, Any]) -> EmailDraft:
    return EmailDraft("a@mg.example.com", ["bo@example.org"], "Hi", "Hi", variables=variables, templated=True)


def faults_of(variables: dict[str, Any]) -> dict[str, str]:
    try:
        check_email(a_mail(variables), now=NOW)
    except InvalidInput as error:
        return {fault.path: fault.message for fault in error.faults}
    return {}
