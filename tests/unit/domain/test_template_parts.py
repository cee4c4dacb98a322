"""Parts of a content that need no Jinja2, or are known already, are what Jinja2 makes of them."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom.domain import template_parts
from mailroom.domain.limits import MAX_RENDERED_BYTES
from mailroom.domain.run_values import RunValues
from mailroom.domain.template_cutting import compile_content
from mailroom.domain.template_filling import FIELDS, TemplatePart, filled_in
from mailroom.domain.template_language import with_spending
from mailroom.domain.template_parts import Compiled
from mailroom.domain.template_spending import OF_PARTS, CannotRender

SUBJECT = "{{ name }}: {% if city == 'Rome' %}{{ name|upper }}{% else %}{{ city }}{% endif %}"
TEXT = "{{ name }}{% if city %} in {{ city|default('x') }}{% endif %} {{ city|lower }} {{ name }}{{ city }}"
HTML = "<p title='{{ city }}'>{{ name }}</p>{% if name == city %}<b>{{ name|e }}</b>{% endif %}"
VALUES = st.one_of(st.text(max_size=12), st.sampled_from(["Rome", "<b>&'\"", "a\r\nb", "", "\0"]))


def by_jinja2(compiled: Compiled, context: Mapping[str, Any]) -> dict[str, str]:
    whole = with_spending(context, OF_PARTS)
    return {
        piece.key: filled_in(
            piece.template, {**whole, **piece.bound}, field, MAX_RENDERED_BYTES, MAX_RENDERED_BYTES, steps=piece.steps
        )
        for field in FIELDS
        for piece in getattr(compiled, field).pieces
        if isinstance(piece, TemplatePart)
    }


@settings(deadline=None)
@given(people=st.lists(st.fixed_dictionaries({"name": VALUES, "city": VALUES}), max_size=8))
def test_every_recipient_gets_what_jinja2_makes(people: list[dict[str, str]]) -> None:
    compiled = compile_content(SUBJECT, TEXT, HTML)

    for person in people:
        assert compiled.parts_for(person) == by_jinja2(compiled, person)


@pytest.mark.parametrize("value", [None, 7, 1.5, True])
def test_a_value_that_is_no_text_is_rendered_by_jinja2(value: object) -> None:
    compiled = compile_content("{{ name }}", "{{ name }}", "{{ name }}")

    assert compiled.parts_for({"name": value}) == by_jinja2(compiled, {"name": value})


def test_a_value_that_is_not_there_is_told_by_its_name() -> None:
    compiled = compile_content("Hello", "Hello {{ name }}", "")

    with pytest.raises(CannotRender, match="text: 'name' is undefined"):
        compiled.parts_for({"city": "Rome"})


def test_a_loop_over_a_runs_items_is_rendered_once_for_each_value_that_it_reads() -> None:
    loop = "{% for item in feed %}{{ item.title }}{% if item.city == city %} in {{ city }}{% endif %};{% endfor %}"
    items = [{"title": "Coat", "city": "Rome"}, {"title": "Hat", "city": "Oslo"}]
    compiled = compile_content("Hello", f"{{{{ name }}}}: {loop}", f"<p>{loop}</p>", run=RunValues.of({"feed": items}))

    parts = [compiled.parts_for({"name": f"R{n}", "city": ("Rome", "Oslo", "Bonn")[n % 3]}) for n in range(30)]

    assert len(compiled.memory) == 3  # cities: for each the parts of two items and two bodies
    assert parts[27] == by_jinja2(compiled, {"name": "R27", "city": "Rome"})
    assert parts[29] == by_jinja2(compiled, {"name": "R29", "city": "Bonn"})


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_parts, "_MOST_REMEMBERED", 1_400)  # characters, ten entries
    compiled = compile_content("{{ name|upper }}", "", "")

    for number in range(95):
        compiled.parts_for({"name": f"R{number}"})
    compiled.parts_for({"name": "x" * 5_000})

    assert 0 < len(compiled.memory) <= 10


@pytest.mark.parametrize("renders_before", [0, 1, 3])
def test_parts_that_are_known_cost_a_mail_what_they_cost_before(renders_before: int) -> None:
    """Whether a mail can be rendered must not depend on which mails were rendered before it."""
    long = "{{% if {}|upper|lower|upper|lower == 'x' %}}x{{% endif %}}"
    compiled = compile_content("Hello", long.format("city") * 150, long.format("name") * 60)
    for number in range(renders_before):
        compiled.parts_for({"city": "c" * 256, "name": f"n{number}"})

    with pytest.raises(CannotRender, match="read too many characters"):
        compiled.parts_for({"city": "c" * 256, "name": "n" * 256})


def test_a_part_that_is_known_has_no_more_room_than_before(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile_content("", "{{ name }}{{ city|upper }}", "")
    compiled.parts_for({"name": "a", "city": "Rome"})
    monkeypatch.setattr(template_parts, "MAX_RENDERED_BYTES", 100)

    with pytest.raises(CannotRender, match="too many characters; 100 fit"):
        compiled.parts_for({"name": "a" * 98, "city": "Rome"})
    with pytest.raises(CannotRender, match="too many characters; 100 fit"):
        compiled.parts_for({"name": "a" * 101, "city": "Rome"})
