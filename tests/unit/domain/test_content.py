"""Templates: what is refused when saved, and what each recipient gets."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest

from mailroom.domain.content import check_content, names_in, render_once
from mailroom.domain.draft_checks import check_draft
from mailroom.domain.errors import InvalidInput
from mailroom.domain.template_checks import KnownNames, lacking_by_count, lacking_in_audience
from mailroom.domain.template_cutting import compile_content
from mailroom.domain.template_filling import FIELDS
from mailroom.domain.template_parts import Compiled
from mailroom.domain.template_spending import CannotRender
from tests.support.builders import NOW, a_draft

KNOWN = KnownNames(frozenset({"name", "address", "city"}), lacking_in_audience)
BO = {"name": "Bo", "address": "bo@example.org", "city": "Rome"}


def whole(content: Compiled, context: Mapping[str, Any]) -> dict[str, str]:
    """Subject, text and HTML as a recipient with these values reads them."""
    parts = content.parts_for(context)
    return {field: getattr(content, field).with_placeholders(parts.__getitem__) for field in FIELDS}


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("Hi {{ nam }}", 'line 1, column 7: not every recipient has "nam". Did you mean "name"?'),
        ("one\ntwo {{ x }}", "line 2, column 8: not every recipient has \"x\". Write {{ x|default('...') }}"),
        ("{{ name", "line 1: something is opened and not closed: write }} after it"),
        ("{% if name", "line 1: something is opened and not closed: write %} after it"),
        ("{% if name %}", "line 1: Unexpected end of template"),
        ("{% for c in name %}{{ c }}{% endfor %}", "loops are not offered"),
        ("{% set a = 1 %}", "{% set %} is not offered"),
        ("{% include 'x' %}", "{% include %} is not offered"),
        ("{{ name.__class__ }}", "they have no attributes"),
        ("{{ name['__class__'] }}", "they have no parts"),
        ("{{ 1|round(3000000, 'ceil') }}", "round takes 0 to 15 digits"),
        ("{{ name|truncate(2) }}", "expected length"),
        ("{{ " + "(" * 500 + "name" + ")" * 500 + " }}", "nested too deep"),
        ("{{ " + "9" * 5_000 + " }}", "at most 64 characters"),
        ("%recip{% raw %}ient{% endraw %}.s0%", "the provider's own substitution"),
        ("{{ name() }}", "calls are not offered"),
        ("{{ 'a' * 1000000000 }}", "* is not offered"),
        ("{{ 2 ** 1000000 }}", "** is not offered"),
        ("{{ name|center(1000000000) }}", "there is no filter 'center'"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("%recipient.name%", "the provider's own substitution"),
        ("{{ range(10) }}", "calls are not offered"),
    ],
)
def test_content_that_cannot_be_filled_in_is_refused_with_its_place(template: str, words: str) -> None:
    faults = check_content({"text": template}, KNOWN, BO)

    assert [fault.path for fault in faults] == ["text"]
    assert words in faults[0].message


def test_every_unknown_variable_of_every_field_is_reported_at_once() -> None:
    faults = check_content({"subject": "{{ a }}", "text": "{{ b }} {{ c }}", "html": "{{ name }}"}, KNOWN, BO)

    assert [(fault.path, fault.message.split('"')[1]) for fault in faults] == [
        ("subject", "a"),
        ("text", "b"),
        ("text", "c"),
    ]


def test_each_recipient_gets_its_own_values_and_html_is_escaped() -> None:
    content = compile_content("Hi {{ name }}", "In {{ city|upper }}", "<p>{{ name }}</p>")

    found = whole(content, {"name": "<Bo>", "city": "Rome", "address": "bo@example.org"})

    assert found == {"subject": "Hi <Bo>", "text": "In ROME", "html": "<p>&lt;Bo&gt;</p>"}


def test_a_batch_carries_fixed_text_once_and_parts_for_each() -> None:
    content = compile_content("", "Dear {{ name }}, {% if city %}in {{ city }}{% else %}wherever{% endif %}!", "")

    assert content.text.with_placeholders(lambda key: f"<{key}>") == "Dear <t1>, <t3>!"
    assert content.parts_for({"name": "Bo", "city": ""}) == {"t1": "Bo", "t3": "wherever"}


def test_a_subject_stays_one_line_whatever_stands_in_the_values() -> None:
    content = compile_content("Hi {{ name }}", "x", "")

    assert whole(content, {"name": "Bo\r\nBcc: all@example.org"})["subject"] == "Hi Bo Bcc: all@example.org"


def test_cutting_a_template_gives_what_the_whole_template_gives() -> None:
    template = "A {{ name }} B{% if city == 'Rome' %} in {{ city }}{% elif city %} elsewhere{% endif %} {{ 1 + 2 }}\n"
    content = compile_content("", template, "")

    for name, city in product(["Bo", ""], ["Rome", "Oslo", ""]):
        expected = f"A {name} B{' in Rome' if city == 'Rome' else ' elsewhere' if city else ''} 3\n"
        assert whole(content, {"name": name, "city": city})["text"] == expected


def test_a_mail_whose_personal_parts_are_too_large_cannot_be_rendered() -> None:
    content = compile_content("", "{{ city }}", "")

    with pytest.raises(CannotRender, match="fit"):
        content.parts_for({"city": "x" * 70_000})


def test_a_null_is_nothing_rather_than_the_word_none() -> None:
    assert whole(compile_content("", "Hi {{ name }}!", ""), {"name": None})["text"] == "Hi !"


def test_many_unknown_variables_are_reported_in_bounded_number() -> None:
    template = "\n".join(f"{{{{ a{n} }}}}" for n in range(2_000))

    assert len(check_content({"text": template}, KNOWN, BO)) == 50


@pytest.mark.parametrize(
    "template",
    [
        "{{ plan|default('free') }}",
        "{{ plan|d('free')|upper }}",
        "{% if plan is defined %}{{ plan }}{% endif %}",
        "{% if plan is undefined %}none{% else %}{{ plan }}{% endif %}",
        "{% if not (plan is defined) %}none{% else %}{{ plan }}{% endif %}",
        "{% if plan is not defined %}none{% elif plan == 'pro' %}{{ plan }}{% endif %}",
        "{% if plan is defined and plan == 'pro' %}{{ plan }}{% endif %}",
        "{% if plan is defined and (plan == 'pro' or plan == 'gold') %}{{ plan }}{% endif %}",
        "{% if plan is undefined or plan == 'free' %}x{% else %}{{ plan }}{% endif %}",
        "{{ plan if plan is defined else name }}",
        "{{ plan|default(name) }}",
    ],
)
def test_a_value_that_some_lack_may_be_used_where_the_template_says_what_then(template: str) -> None:
    assert check_content({"text": template}, KNOWN, BO) == []
    content = compile_content("", template, "")
    assert whole(content, BO)["text"] in ("", "free", "FREE", "none", "x", "Bo")
    assert "pro" in whole(content, BO | {"plan": "pro"})["text"].lower()
    assert names_in({"text": template}) <= {"name"}


@pytest.mark.parametrize("blank", ["", "  ", None])
def test_a_blank_value_is_no_value_where_the_template_has_another_one(blank: str | None) -> None:
    content = compile_content("Hi {{ city|default('friend') }}", "{{ city|d('x')|upper }}", "")

    assert whole(content, BO | {"city": blank}) == {"subject": "Hi friend", "text": "X", "html": ""}
    assert whole(content, BO | {"city": 0})["text"] == "0"


@pytest.mark.parametrize(
    "template",
    [
        "{{ plan }}",
        "{% if plan %}x{% endif %}",
        "{{ plan|upper|default('x') }}",
        "{{ name|default(plan) }}",
        "{% if plan is defined %}x{% endif %}{{ plan }}",
        "{% if plan is defined %}x{% else %}{{ plan }}{% endif %}",
        "{% if plan is defined or name %}{{ plan }}{% endif %}",
        "{{ plan or 'free' }}",
        "{{ plan if name else 'x' }}",
    ],
)
def test_a_value_that_some_lack_is_refused_where_the_template_counts_on_it(template: str) -> None:
    (fault,) = check_content({"text": template}, KNOWN, BO)

    assert 'not every recipient has "plan"' in fault.message
    assert "{{ plan|default('...') }}" in fault.message


def test_how_many_recipients_lack_a_value_is_said_where_they_are_at_hand() -> None:
    known = KnownNames(frozenset({"City", "name"}), lacking_by_count({"City": 12, "plan": 9}, 12))

    faults = check_content({"text": "{{ city }} {{ plan }} {{ x }}"}, known, BO)

    assert [fault.message.partition(": ")[2] for fault in faults] == [
        'no recipient has "city". Did you mean "City"?',
        "3 of 12 recipients have no \"plan\". Write {{ plan|default('...') }} to do without.",
        "no recipient has \"x\". Write {{ x|default('...') }} to do without.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "@media screen{#outlook a{padding:0}}",
        "Price {# of the day #} 5",
        "{#",
        "#}",
        "{#-",
        "a{#b{c:d}#e{f:g}}",
        "50%}",
        "# {{ name }} {# {{ name }} #}",
    ],
)
def test_mail_content_has_no_comments(text: str) -> None:
    assert check_content({"html": text}, KNOWN, BO) == []
    assert whole(compile_content("", "", text), BO)["html"] == text.replace("{{ name }}", "Bo")
    assert render_once({"html": text}, BO)["html"] == text.replace("{{ name }}", "Bo")


def test_a_single_mail_whose_value_is_missing_is_refused() -> None:
    with pytest.raises(InvalidInput, match='"code" is not among the variables'):
        render_once({"text": "{{ code }}"}, {})


def test_a_bad_recipient_hides_no_fault_of_the_templates() -> None:
    draft = a_draft(recipients=[{"address": "bo@@x"}], subject="Hi {{ name", text="{% for a in b %}{% endfor %}")

    with pytest.raises(InvalidInput) as refused:
        check_draft(draft, now=NOW)

    assert [fault.path for fault in refused.value.faults] == ["recipients[0].address", "subject", "text"]
