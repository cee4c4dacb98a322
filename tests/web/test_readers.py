"""A token sees the buttons that it may press, and no others; the acts themselves are refused all the same."""

import re
from collections.abc import Sequence

import pytest
from flask.testing import FlaskClient

from mailroom.services.audiences import lists as audience_lists
from mailroom.services.audiences.lists import NewAudience
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from tests.support.builders import recipients, stored_schedule
from tests.support.dead_letters import failed_dispatches
from tests.support.lines import Line, a_run
from tests.support.system import System
from tests.web.conftest import SignedIn

BUTTONS = (
    "Send now", "Pause(?!d)", "Skip next run", "Archive(?!d)", "Restore",
    "Edit", "New schedule", "New audience", "Delete audience",
    "Stop sending", "Retry selected", "Dismiss all", "Remove", "Add", "Disable", "Set limit",
    "Register and test", "Stop all sending", "Retry",
)  # fmt: skip


@pytest.fixture
def paths(system: System, line: Line) -> Sequence[str]:
    """One page of each kind, with something on it that could be acted on."""
    run_id, _ = a_run(line, 3)
    schedule = stored_schedule(system.db, name="Active")
    archived = stored_schedule(system.db, name="Archived")
    schedule_lifecycle.archive(system.db, archived.id)
    audience = audience_lists.create(
        system.db, NewAudience("Customers", recipients(3)), owner="tests", key="k"
    ).audience
    failed = failed_dispatches(system.db, 1)
    system.db.suppressions.insert_one({"_id": "cy@example.org", "reason": "complained", "since": schedule.created_at})
    return [
        "/", f"/schedules/{schedule.id}", f"/schedules/{archived.id}", "/runs", f"/runs/{run_id}", "/people",
        "/audiences", f"/audiences/{audience.id}",
        "/dead-letters", f"/dispatches/{failed[0]}", "/suppressions", "/providers", "/sending", "/emails",
    ]  # fmt: skip


def buttons_on(client: FlaskClient, paths: Sequence[str]) -> set[str]:
    pages = [client.get(path) for path in paths]
    assert {page.status_code for page in pages} == {200}
    return {name for page in pages for name in BUTTONS if re.search(rf">{name}[^<]*</(?:a|button)>", page.text)}


def test_a_reader_sees_no_button(signed_in: SignedIn, paths: Sequence[str]) -> None:
    assert buttons_on(signed_in("read"), paths) == set()


def test_a_token_for_schedules_sees_the_buttons_of_campaigns(signed_in: SignedIn, paths: Sequence[str]) -> None:
    admins = {"Disable", "Set limit", "Register and test", "Stop all sending"}

    assert buttons_on(signed_in("schedules"), paths) == set(BUTTONS) - admins


def test_an_admin_sees_every_button(signed_in: SignedIn, paths: Sequence[str]) -> None:
    assert buttons_on(signed_in("admin"), paths) == set(BUTTONS)


def test_only_an_admin_is_led_to_the_rejected_requests(signed_in: SignedIn) -> None:
    menus = {scope: signed_in(scope).get("/").text for scope in ("read", "schedules", "admin")}

    assert {scope for scope, menu in menus.items() if 'href="/refusals"' in menu} == {"admin"}


@pytest.mark.parametrize("act", ["pause", "archive", "restore", "run-now", "skip"])
def test_a_reader_who_posts_all_the_same_is_refused(signed_in: SignedIn, system: System, act: str) -> None:
    schedule = stored_schedule(system.db)

    answer = signed_in("read").post(f"/schedules/{schedule.id}/{act}")

    assert answer.status_code == 403
    assert system.db.schedules.find_one({"_id": schedule.id})["state"] == "active"
