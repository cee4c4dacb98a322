"""Layouts and partials are made one flat template when it is saved, and what they are is checked there."""

from typing import Any

import pytest

from mailroom.domain.content import render_once
from mailroom.domain.errors import InvalidInput
from mailroom.domain.limits import MAX_USES_DEEP
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.template_checking import named_by
from mailroom.domain.templates import Template, TemplateDraft
from tests.support.stored_templates import library, saved

BASE = {
    "kind": "layout",
    "html": "<html><body>{% block content %}<p>Nothing</p>{% endblock %}<hr>"
    "{% block foot %}Bye{% endblock %}</body></html>",
}
SIGNATURE = {"kind": "partial", "html": "<p>Yours, {{ agent }}</p>", "text": "Yours, {{ agent }}"}
CHILD = '{% extends "base" %}\n{% block content %}<p>Hello {{ name }}</p>{% endblock %}\n'


def refused(name: str, stored: dict[str, Template], **said: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        saved(name, stored, **said)
    return "; ".join(f"{fault.path}: {fault.message}" for fault in caught.value.faults)


def test_a_template_fills_the_blocks_of_its_layout_and_leaves_the_others() -> None:
    welcome = saved("welcome", library(base=BASE), html=CHILD)

    rendered = render_once(welcome.content, {"name": "Bo & Co"})

    assert rendered["html"] == "<html><body><p>Hello Bo &amp; Co</p><hr>Bye</body></html>"
    assert welcome.source.html == CHILD
    assert (welcome.uses, welcome.depth) == ((PinnedTemplate("base", 1),), 1)
    assert welcome.variables == {"name"}


def test_a_partial_stands_in_text_and_html_and_asks_for_its_own_variables() -> None:
    stored = library(base=BASE, signature=SIGNATURE)
    include = '{% include "signature" %}'

    both = saved("both", stored, text=f"Hi\n{include}", html=f"{CHILD}{{% block foot %}}{include}{{% endblock %}}")

    assert both.text == "Hi\nYours, {{ agent }}"
    assert "<hr><p>Yours, {{ agent }}</p></body>" in both.html
    assert both.variables == {"name", "agent"}
    assert both.uses == (PinnedTemplate("base", 1), PinnedTemplate("signature", 1))


def test_a_layout_extends_a_layout_and_gives_new_blocks_within_its_own() -> None:
    wide = {
        "kind": "layout",
        "html": '{% extends "base" %}{% block content %}<table>{% block rows %}-{% endblock %}</table>{% endblock %}',
    }
    stored = library(base=BASE, wide=wide)

    mail = saved("mail", stored, html='{% extends "wide" %}{% block rows %}<tr></tr>{% endblock %}')
    other = saved("other", stored, html='{% extends "wide" %}{% block content %}Own{% endblock %}')

    assert mail.html == "<html><body><table><tr></tr></table><hr>Bye</body></html>"
    assert other.html == "<html><body>Own<hr>Bye</body></html>"
    assert mail.uses == (PinnedTemplate("base", 1), PinnedTemplate("wide", 1))


def test_a_partial_in_a_loop_sees_the_item() -> None:
    stored = library(row={"kind": "partial", "html": "<li>{{ loop.index }} {{ line.name }}</li>"})

    order = saved("order", stored, html='<ul>{% for line in lines %}{% include "row" %}{% endfor %}</ul>')

    lines = [{"name": "Tea"}, {"name": "Pot"}]
    assert render_once(order.content, {"lines": lines})["html"] == "<ul><li>1 Tea</li><li>2 Pot</li></ul>"


def test_a_layout_may_decide_whether_a_block_is_seen() -> None:
    base = {"kind": "layout", "html": "{% if vip %}{% block gift %}-{% endblock %}{% endif %}!"}

    mail = saved("mail", library(base=base), html='{% extends "base" %}{% block gift %}A gift{% endblock %}')

    assert [render_once(mail.content, {"vip": vip})["html"] for vip in (True, False)] == ["A gift!", "!"]


def test_what_is_raw_is_not_resolved() -> None:
    mail = saved("mail", text='{% raw %}{% include "none" %}{% block x %}{% endraw %}')

    assert (mail.uses, mail.written) == ((), None)
    assert render_once(mail.content, {})["text"] == '{% include "none" %}{% block x %}'


def test_the_white_space_that_a_sign_removes_is_removed() -> None:
    stored = library(part={"kind": "partial", "text": "b"})

    assert saved("mail", stored, text='a \n {%- include "part" -%} \n c').text == "abc"


def test_a_template_without_layouts_stays_as_it_was_written() -> None:
    mail = saved("mail", text="a\r\nb {{ x }}\r\n", html="<p>{#</p>")

    assert (mail.text, mail.written, mail.depth) == ("a\r\nb {{ x }}\r\n", None, 0)


def test_a_layout_that_changes_changes_no_template_that_is_saved() -> None:
    stored = library(base=BASE)
    before = saved("mail", stored, html=CHILD)
    stored["base"] = saved("base", version=2, **BASE | {"html": "<i>{% block content %}{% endblock %}</i>"})

    after = saved("mail", stored, html=CHILD, version=2)

    assert before.html.startswith("<html>")
    assert (after.html, after.uses) == ("<i><p>Hello {{ name }}</p></i>", (PinnedTemplate("base", 2),))
    assert not after.says_as(before)
    assert after.says_as(saved("mail", stored, html=CHILD, version=7))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"html": '{% extends "none" %}'}, 'html: "none": there is no layout of this name'),
        ({"html": '{% include "none" %}'}, 'html: "none": there is no partial of this name'),
        ({"html": '{% include "base" %}'}, 'html: "base": it is a layout, and no partial'),
        ({"html": '{% extends "signature" %}'}, 'html: "signature": it is a partial, and no layout'),
        (
            {"html": '{% extends "base" %}{% block content %}{% include "base" %}{% endblock %}'},
            "it is a layout, and no",
        ),
        ({"html": '{% extends "own" %}'}, 'html: "own": it is a template, and no layout'),
        ({"text": '{% extends "base" %}'}, 'text: "base": this layout has no text'),
        ({"html": CHILD + "{% block rows %}{% endblock %}"}, "html: line 3: the layout"),
        ({"html": CHILD + "outside"}, "html: beside {% extends %} all stands in blocks"),
        ({"html": CHILD + '{% include "signature" %}'}, "html: beside {% extends %} all stands in blocks"),
        ({"html": "x" + CHILD}, "html: line 1: {% extends %} stands once, before everything else"),
        ({"html": '{% extends "base" %}' * 2}, "{% extends %} stands once"),
        ({"html": CHILD + CHILD[21:]}, "the block content is there already"),
        ({"html": "{% block a %}{% endblock %}"}, "html: line 1: only a layout has blocks"),
        ({"html": "{% block a %}"}, "{% block a %} is not closed"),
        ({"html": "{% endblock %}"}, "{% endblock %} closes a block, and none is open"),
        ({"html": "{% block a %}{% endblock b %}"}, "{% endblock b %} closes the block a"),
        ({"html": "{% block a b %}{% endblock %}"}, "write {% block name %}"),
        ({"html": "{% block a scoped %}{% endblock %}"}, "write {% block name %}"),
        ({"html": "{% block a %}{% if x %}{% endblock %}{% endif %}"}, "{% if %} of line 1 is open"),
        ({"html": "{% if x %}{% block a %}{% endif %}{% endblock %}"}, "{% block %} of line 1 is open"),
        ({"html": "{% if x %}{% block a %}{% else %}{% endblock %}{% endif %}"}, "{% else %} stands in a block"),
        ({"html": "{% include name %}"}, 'write {% include "name" %}'),
        ({"html": '{% include ["signature"] %}'}, 'write {% include "name" %}'),
        ({"html": '{% include "signature" ignore missing %}'}, 'write {% include "name" %}'),
        ({"html": '{% include "signature" without context %}'}, 'write {% include "name" %}'),
        ({"html": '{% include "signature" ~ x %}'}, 'write {% include "name" %}'),
        ({"html": '{% extends "../base" %}'}, 'write {% extends "name" %}'),
        ({"html": '{% extends "/etc/passwd" %}'}, 'write {% extends "name" %}'),
        ({"html": '{% import "signature" as s %}'}, "{% import %} is not offered"),
        ({"html": '{% from "signature" import x %}'}, "{% import %} is not offered"),
        ({"html": CHILD.replace("Hello", "{{ super() }}")}, "calls are not offered"),
        ({"html": CHILD.replace("Hello", "{{ self.content() }}")}, "calls are not offered"),
        ({"html": "{% for a in x %}{% include 'part' %}{% endfor %}"}, "there is no partial"),
        ({"subject": '{% include "signature" %}', "text": "x"}, "subject: line 1: {% include %} is not offered"),
        ({"subject": '{% extends "base" %}', "text": "x"}, "subject: line 1: {% extends %} is not offered"),
        ({"kind": "layout", "html": "x", "subject": "y"}, "subject: a layout has none"),
        ({"kind": "partial", "html": '{% extends "base" %}'}, "html: a partial extends no layout"),
        ({"kind": "partial", "html": "{% block a %}{% endblock %}"}, "only a layout has blocks"),
        ({"kind": "layout"}, "text: a text or an HTML body is needed"),
        ({"kind": "page", "html": "x"}, "kind: one of template, layout, partial"),
        ({"html": "{{ x"}, "html: line 1: something is opened and not closed"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(said: dict[str, Any], words: str) -> None:
    stored = library(base=BASE, signature=SIGNATURE, own={"html": "x"})

    assert words in refused("mail", stored, **said)


def test_every_fault_of_every_field_is_told_at_once() -> None:
    said = refused("Mail", {}, subject="{% set x = 1 %}", text='{% include "none" %}', html="{{ x() }}")

    assert [fault.partition(":")[0] for fault in said.split("; ")] == ["name", "html", "subject", "text"]


def test_what_only_the_whole_gets_wrong_is_told_as_of_the_whole() -> None:
    loops = "".join(f"{{% for {name} in {over} %}}" for name, over in (("a", "x"), ("b", "a")))
    part = {"kind": "partial", "html": f"{loops}{{{{ b }}}}{'{% endfor %}' * 2}"}

    said = refused(
        "mail", library(part=part), html="{% for p in z %}{% for q in p %}{% include 'part' %}{% endfor %}{% endfor %}"
    )

    assert "html: with its layout and partials: line 1: at most 3 loops stand in one another" in said


def test_no_template_is_made_of_itself_however_far_away() -> None:
    stored = library(
        a={"kind": "partial", "html": "a"},
        b={"kind": "partial", "html": '{% include "a" %}b'},
        c={"kind": "partial", "html": '{% include "b" %}c'},
    )

    assert 'html: "a": it is made of a itself' in refused("a", stored, kind="partial", html='{% include "a" %}')
    assert 'html: "c": it is made of a itself' in refused("a", stored, kind="partial", html='{% include "c" %}')


def test_layouts_and_partials_go_only_so_deep() -> None:
    stored = library(p0={"kind": "partial", "html": "x"})
    for depth in range(1, MAX_USES_DEEP + 1):
        stored[f"p{depth}"] = saved(f"p{depth}", stored, kind="partial", html=f'{{% include "p{depth - 1}" %}}')

    said = refused("mail", stored, html=f'{{% include "p{MAX_USES_DEEP}" %}}')

    assert stored[f"p{MAX_USES_DEEP}"].depth == MAX_USES_DEEP
    assert f"up to {MAX_USES_DEEP} deep" in said


def test_the_names_of_a_draft_that_cannot_be_read_are_none() -> None:
    draft = TemplateDraft(html='{{ x {% include "a" %}', text='{% include "b" %}')

    assert named_by(draft) == {"b"}
