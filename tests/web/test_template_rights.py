"""Who may change templates on the pages: a button is there for those who may press it, and refuses all others."""

import pytest

from mailroom.domain.principals import Principal
from mailroom.domain.templates import TemplateDraft
from mailroom.services.mails import templates
from tests.support.builders import stored_schedule
from tests.support.system import System
from tests.web.conftest import SignedIn

OWNER = Principal(id="t", name="Eve", scopes=frozenset({"mail"}), owner="eve")
BUTTONS = ("New template", "Use in a schedule", "Edit", "Delete")
PATHS = ("/templates", "/templates/digest")


@pytest.fixture(autouse=True)
def digest(system: System) -> None:
    draft = TemplateDraft(subject="Hello", text="One")
    templates.put(system.db, "digest", draft, seen_version=None, actor=OWNER)


@pytest.mark.parametrize(
    ("scopes", "seen"),
    [
        (("read",), set()),
        (("schedules",), {"Use in a schedule"}),
        (("read", "mail"), {"New template"}),
        (("admin",), set(BUTTONS)),
    ],
)
def test_buttons_are_there_for_those_who_may_press_them(
    signed_in: SignedIn, scopes: tuple[str, ...], seen: set[str]
) -> None:
    client = signed_in(*scopes)

    pages = [client.get(path) for path in PATHS]

    assert {page.status_code for page in pages} == {200}
    assert {name for page in pages for name in BUTTONS if f">{name}</" in page.text} == seen


@pytest.mark.parametrize("scope", ["read", "schedules"])
def test_the_acts_are_refused_without_the_right(signed_in: SignedIn, system: System, scope: str) -> None:
    client = signed_in("read", scope)
    typed = {"name": "mine", "kind": "template", "subject": "Hi", "text": "x", "version": "1"}

    gets = [client.get(path).status_code for path in ("/new-template", "/templates/digest/edit")]
    posts = [
        client.post(path, data=typed).status_code
        for path in ("/new-template", "/templates/digest/edit", "/templates/digest/delete")
    ]

    assert {*gets, *posts} == {403}
    assert [one.text for one in templates.page(system.db, after="", limit=5)] == ["One"]


def test_a_template_of_another_owner_is_changed_by_nobody_but_an_admin(signed_in: SignedIn, system: System) -> None:
    client = signed_in("read", "mail")
    typed = {"kind": "template", "subject": "Hi", "text": "Mine", "version": "1"}

    changed = client.post("/templates/digest/edit", data=typed)
    deleted = client.post("/templates/digest/delete")

    assert (changed.status_code, deleted.status_code) == (403, 403)
    assert templates.get(system.db, "digest").text == "One"


def test_the_question_counts_the_schedules_that_use_the_template(signed_in: SignedIn, system: System) -> None:
    for name in ("One", "Two"):
        stored_schedule(system.db, name=name, template="digest", subject="", text=None, html="")

    question = signed_in("admin").get("/templates/digest/delete").text

    assert "2 schedules use it, and keep what they have." in question


def test_the_question_about_a_layout_counts_the_templates_that_are_made_with_it(
    signed_in: SignedIn, system: System
) -> None:
    layout = TemplateDraft(kind="layout", html="<h1>Shop</h1>{% block content %}{% endblock %}")
    templates.put(system.db, "base", layout, seen_version=None, actor=OWNER)
    news = TemplateDraft(subject="News", markdown="Hello", layout="base")
    templates.put(system.db, "news", news, seen_version=None, actor=OWNER)

    question, shown = (signed_in("admin").get(f"/templates/base{path}").text for path in ("/delete", ""))

    assert "1 template uses it, and keeps the version that it has." in question
    assert '<a href="/templates/news">news</a>' in shown


@pytest.mark.parametrize(
    "path",
    [
        "/templates/none", "/templates/digest/versions/9", "/templates/none/edit", "/templates/none/preview",
        "/templates/digest/preview?version=9", "/templates/digest/edit?version=9", "/templates/none/delete",
        "/templates/digest/preview?audience=aud_none",
    ],
)  # fmt: skip
def test_what_is_not_there_is_told(signed_in: SignedIn, path: str) -> None:
    assert signed_in("admin").get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/templates?after=%00%f0%9f", "/templates/digest?before=99999999999999999999999", "/templates/digest?before=x",
        "/templates/digest/preview?version=99999999999999999999999&width=7&turn=next&contact=%ff",
    ],
)  # fmt: skip
def test_odd_addresses_are_read_as_if_they_said_nothing(signed_in: SignedIn, path: str) -> None:
    assert signed_in("admin").get(path).status_code in (200, 422)


def test_a_preview_that_needs_a_list_says_why_there_is_none(signed_in: SignedIn, system: System) -> None:
    draft = TemplateDraft(subject="Order", text="{% for line in order.lines %}{{ line.name }}{% endfor %}")
    templates.put(system.db, "order", draft, seen_version=None, actor=OWNER)

    answer = signed_in("read").get("/templates/order/preview")

    assert answer.status_code == 422
    assert "Lists of transactional emails cannot be seen here" in answer.text
