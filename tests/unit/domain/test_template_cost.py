"""Whatever a template or its values look like, reading, compiling and rendering it stays within a stated cost."""

import time

import pytest

from mailroom.domain.content import check_content, names_in, render_once
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.emails.template_budget import TemplateBudget
from mailroom.domain.errors import InvalidInput
from mailroom.domain.template_checks import KnownNames, lacking_in_audience
from mailroom.domain.template_cutting import compile_content
from mailroom.domain.template_spending import CannotRender

KNOWN = KnownNames(frozenset({"a", "name", "address"}), lacking_in_audience)
EXAMPLE = {"a": "x", "name": "Bo", "address": "bo@example.org"}
DEEP = "nested too deep"
LONG = "words and signs"
# Each was tried without limits: seconds of processor for a template of a few kilobytes.
HOSTILE = [
    ("{{ a" + "|e" * 160 + " }}", DEEP),
    ("{{ a" + "|e" * 50_000 + " }}", LONG),
    ("{{ " + "not " * 200 + "a }}", DEEP),
    ("{{ " + "-" * 200 + "1 }}", DEEP),
    ("{{ " + "'x' if a else " * 90 + "'y' }}", DEEP),
    ("{{ a" + " + a" * 200 + " }}", DEEP),
    ("{{ a" + " and a" * 200 + " }}", DEEP),
    ("{{ " + "(" * 200 + "a" + ")" * 200 + " }}", DEEP),
    ("{{ " + "[" * 200 + "a" + "]" * 200 + "|length }}", DEEP),
    ("{{ {1: " * 60 + "a" + "} }}" * 60, DEEP),
    ("{{ a" + "~a" * 400 + " }}", LONG),
    ("{% if a %}" * 101 + "x" + "{% endif %}" * 101, DEEP),
    ("{% if a %}" * 5_000 + "x" + "{% endif %}" * 5_000, LONG),
    ("{% if a %}x" + "{% elif a %}y" * 5_000 + "{% endif %}", LONG),
    ("{{a}}" * 20_000, LONG),
    ("{{ " + "a" * 150_000 + " }}", "at most 64 characters"),
    ("{{ " + "9" * 150_000 + " }}", "at most 64 characters"),
    ("{{ " + "9_9" * 60_000 + " }}", "at most 64 characters"),
    (("{{ a" + "~a" * 200 + " }}") * 3, "join at most"),
]


@pytest.mark.parametrize(("template", "words"), HOSTILE, ids=lambda value: value[:24])
def test_a_template_that_would_cost_much_is_refused_with_its_place_wherever_it_is_saved(
    template: str, words: str
) -> None:
    begun = time.process_time()
    of_schedule = check_content({"text": template}, KNOWN, EXAMPLE)
    with pytest.raises(InvalidInput) as of_stored:
        names_in({"html": template})
    with pytest.raises(InvalidInput) as of_mail:
        render_once({"subject": template}, EXAMPLE)
    spent = time.process_time() - begun

    for faults in (of_schedule, of_stored.value.faults, of_mail.value.faults):
        assert words in faults[0].message
        assert "line 1" in faults[0].message or "join" in faults[0].message
    assert spent < 1


def test_nesting_as_people_write_it_is_taken() -> None:
    nested = "{% if a %}" * 10 + "{{ a|default('x')|trim|title|truncate(20) }}" + "{% endif %}" * 10
    choices = "{% if a == 'x' %}0" + "".join(f"{{% elif a == '{n}' %}}{n}" for n in range(60)) + "{% endif %}"
    listed = "{% if a in [" + ", ".join(f"'{n}'" for n in range(150)) + "] %}y{% endif %}"

    assert check_content({"text": nested + choices, "html": listed}, KNOWN, EXAMPLE) == []


def test_rendering_stops_at_its_limit_while_it_renders() -> None:
    with pytest.raises(InvalidInput, match="1,000,000 fit"):
        render_once({"text": "{{ a }}" * 700}, {"a": "x" * 100_000})
    with pytest.raises(CannotRender, match="65,536 fit"):
        compile_content("", "{% if a %}" + "{{ a }}" * 700 + "{% endif %}", "").parts_for({"a": "x" * 2_000})
    with pytest.raises(CannotRender, match="65,536 fit"):
        compile_content("", "{{ a }}" * 700, "").parts_for({"a": "x" * 2_000})


@pytest.mark.parametrize("read", ["a|urlencode", "a|title", "a|wordcount", "a|string|e", "a|upper|lower"])
def test_filters_read_a_bounded_number_of_characters(read: str) -> None:
    with pytest.raises(InvalidInput, match="too many characters"):
        render_once({"text": f"{{% if {read} %}}x{{% endif %}}" * 200}, {"a": "é" * 100_000})


def test_the_templates_of_one_request_share_a_budget_and_equal_ones_are_paid_once() -> None:
    budget = TemplateBudget()
    same = EmailDraft(sender="", to=[], text="{{ a }}" * 1_000, variables={"a": "x"})
    others = [EmailDraft(sender="", to=[], text=f"{n} " + "{{ a }}" * 1_000, templated=True) for n in range(20)]

    for _ in range(1_000):
        budget.spend(same, None)

    with pytest.raises(InvalidInput, match="hand this mail in with another request"):
        for draft in others:
            budget.spend(draft, None)
