"""Layouts and partials as an attacker would use them: each is refused when it is saved, and within bounds."""

import pytest

from mailroom.domain.content import render_once
from mailroom.domain.errors import InvalidInput
from mailroom.domain.template_checking import named_by
from mailroom.domain.templates import TemplateDraft
from tests.support.attacks import VALUES, loops, within_bounds
from tests.support.stored_templates import library, saved


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


def named(template: str) -> frozenset[str]:
    return named_by(TemplateDraft(html=template))
