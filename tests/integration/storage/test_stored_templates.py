"""Templates and their versions: stored only over what was seen."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mailroom.domain.errors import TemplateNotFound
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.templates import Template
from mailroom.storage.database import AlreadyThere, Db, Session, in_transaction
from mailroom.storage.mails import template_versions, templates

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
WELCOME = Template(
    name="welcome", subject="Hello", text="Hi", html="", variables=frozenset({"name"}), version=1, updated_at=NOW,
    updated_by="ann", owner="ann",
)  # fmt: skip


def put(db: Db, template: Template, seen: Template | None = None) -> bool:
    def store(session: Session) -> None:
        templates.put(db, template, seen=seen, session=session)
        template_versions.add(db, [template], session=session)

    try:
        in_transaction(db, store)
    except AlreadyThere:
        return False
    return True


def removed(db: Db, seen: Template) -> bool:
    try:
        in_transaction(db, lambda session: templates.remove(db, seen, session=session))
    except AlreadyThere:
        return False
    return True


def test_a_template_is_replaced_only_over_the_version_that_was_seen_and_by_its_owner(db: Db) -> None:
    second = replace(WELCOME, subject="Hello again", version=2)
    assert put(db, WELCOME)
    assert not put(db, WELCOME)

    assert not put(db, second, replace(WELCOME, owner="bo"))
    assert not put(db, second, replace(WELCOME, owner=""))
    assert put(db, second, WELCOME)
    assert not put(db, second, WELCOME)

    assert templates.get(db, "welcome") == second
    assert not removed(db, replace(second, owner="bo"))
    assert not removed(db, WELCOME)
    assert removed(db, second)
    with pytest.raises(TemplateNotFound):
        templates.get(db, "welcome")


def test_a_version_is_stored_once_and_stays_as_it_is(db: Db) -> None:
    second = replace(WELCOME, subject="Hello again", version=2)
    put(db, WELCOME)
    put(db, second, WELCOME)

    assert template_versions.find(db, PinnedTemplate("welcome", 1)) == WELCOME
    assert template_versions.find(db, PinnedTemplate("welcome", 3)) is None
    assert template_versions.page(db, "welcome", before=None, limit=5) == [second, WELCOME]
    assert template_versions.page(db, "welcome", before=2, limit=5) == [WELCOME]
    assert (template_versions.newest(db, "welcome"), template_versions.newest(db, "other")) == (2, 0)


def test_templates_are_paged_by_name(db: Db) -> None:
    for name in ("c", "a", "d", "b"):
        put(db, replace(WELCOME, name=name))

    assert [one.name for one in templates.page(db, after="", limit=2)] == ["a", "b"]
    assert [one.name for one in templates.page(db, after="b", limit=5)] == ["c", "d"]
