"""Acts that mail or cannot be undone ask once, with the count and the name; a double click does nothing more."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from mailroom.domain.drafts import DraftChanges
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.audiences import segments
from mailroom.services.audiences.lists import NewAudience
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from tests.support.builders import recipients, stored_schedule
from tests.support.dead_letters import failed_dispatches
from tests.support.doubts import DISPATCH, a_doubt
from tests.support.emails import an_email
from tests.support.lines import Line, a_run
from tests.support.pages import look, sign_in
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def open_page(page: Page, system: System, path: str) -> None:
    sign_in(page, system)
    page.goto(f"{system.web_url}{path}")


def confirm_twice(page: Page) -> None:
    """Double-click the button of the question."""
    page.locator("main form button").dblclick()
    page.wait_for_load_state()


def test_send_now_names_the_recipients_and_a_double_click_sends_once(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db, recipients=recipients(1_994))
    open_page(page, system, f"/schedules/{schedule.id}")

    page.get_by_role("button", name="Send now").click()
    expect(page.get_by_role("heading", name="Send now to 1,994 recipients?")).to_be_visible()
    expect(page.get_by_text("Schedule: Weekday digest")).to_be_visible()
    look(page, "ask-send-now")
    assert system.db.runs.count_documents({}) == 0
    confirm_twice(page)

    expect(page.locator(".state").first).to_have_text("Planning")
    assert system.db.runs.count_documents({}) == 1


def test_send_now_to_a_segment_names_how_many_it_finds(page: Page, system: System) -> None:
    made = audience_lists.create(system.db, NewAudience("Customers", recipients(5)), owner="tests", key="k").audience
    found = "name = 'Reader 3'"
    segment = segments.create(system.db, made.id, name="One", filter_=found, by="tests", events_kept=timedelta(days=30))
    schedule = stored_schedule(system.db, recipients=None, segments=[segment.id])
    open_page(page, system, f"/schedules/{schedule.id}/run-now")

    expect(page.get_by_role("heading", name="Send now to 1 recipient?")).to_be_visible()
    page.get_by_role("button", name="Send now").click()

    expect(page.locator(".state").first).to_have_text("Planning")


def test_going_back_from_the_question_does_nothing(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db)
    open_page(page, system, f"/schedules/{schedule.id}/run-now")

    page.get_by_role("link", name="Go back").click()

    expect(page.get_by_role("heading", name="Weekday digest")).to_be_visible()
    assert system.db.runs.count_documents({}) == 0


def test_send_now_asks_again_if_the_recipients_have_changed_since_the_question(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db)
    open_page(page, system, f"/schedules/{schedule.id}/run-now")
    system.db.audiences.update_many({}, {"$set": {"count": 2}})

    page.get_by_role("button", name="Send now").click()

    expect(page.get_by_role("heading", name="Send now to 2 recipients?")).to_be_visible()
    assert system.db.runs.count_documents({}) == 0


def test_send_now_asks_again_if_others_as_many_are_to_get_it_since(page: Page, system: System) -> None:
    made = audience_lists.create(system.db, NewAudience("Customers", recipients(5)), owner="tests", key="k").audience
    ids = [
        segments.create(
            system.db, made.id, name=f"Part {n}", filter_=f"name = 'Reader {n}'", by="t", events_kept=timedelta(days=9)
        ).id
        for n in (3, 4)
    ]
    schedule = stored_schedule(system.db, recipients=None, segments=ids[:1])
    open_page(page, system, f"/schedules/{schedule.id}/run-now")
    edit_schedule.edit(system.db, schedule.id, DraftChanges(segments=ids[1:]), seen_version=None)

    page.get_by_role("button", name="Send now").click()

    expect(page.get_by_role("heading", name="Send now to 1 recipient?")).to_be_visible()
    assert system.db.runs.count_documents({}) == 0


def test_a_schedule_that_is_paused_under_the_question_asks_again(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db)
    open_page(page, system, f"/schedules/{schedule.id}/run-now")
    schedule_lifecycle.pause(system.db, schedule.id)

    page.get_by_role("button", name="Send now").click()

    expect(page.get_by_text("This schedule is paused.")).to_be_visible()
    assert system.db.runs.count_documents({}) == 0


def test_a_schedule_that_is_archived_under_the_question_is_shown_with_the_reason(page: Page, system: System) -> None:
    """The list had changed too: the question would be asked again, were there anything to send."""
    schedule = stored_schedule(system.db, recipients=recipients(3))
    open_page(page, system, f"/schedules/{schedule.id}/run-now")
    system.db.audiences.update_many({}, {"$set": {"count": 4}})
    schedule_lifecycle.archive(system.db, schedule.id)

    page.get_by_role("button", name="Send now").click()

    expect(page.get_by_text("An archived schedule sends nothing")).to_be_visible()
    expect(page).to_have_url(f"{system.web_url}/schedules/{schedule.id}")


def test_archiving_names_the_schedule_and_the_emails_that_are_cancelled(page: Page, system: System, line: Line) -> None:
    _, schedule = a_run(line, 30)
    open_page(page, system, f"/schedules/{schedule}")

    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_role("heading", name="Archive “Weekday digest”?")).to_be_visible()
    expect(page.get_by_text("30 emails have not been sent yet. They are cancelled.")).to_be_visible()
    look(page, "ask-archive")
    confirm_twice(page)

    expect(page.get_by_role("status")).to_contain_text("Archived.")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_double_click_skips_one_run(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db)
    due = schedule.next_run_at
    assert due is not None
    open_page(page, system, f"/schedules/{schedule.id}")

    page.get_by_role("button", name="Skip next run").click()
    expect(page.get_by_text(f"It is due {due:%a %d %b %Y %H:%M:%S}")).to_be_visible()
    confirm_twice(page)

    expect(page.get_by_role("status").first).to_have_text("The next run is skipped.")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert system.db.runs.count_documents({"state": "skipped"}) == 1
    stored = system.db.schedules.find_one({"_id": schedule.id})
    assert stored["next_run_at"] == due + timedelta(hours=1)


def test_a_run_is_stopped_by_a_double_click_without_a_complaint(page: Page, system: System, line: Line) -> None:
    run_id, _ = a_run(line, 30)
    open_page(page, system, f"/runs/{run_id}")

    page.get_by_role("button", name="Stop sending").click()
    expect(page.get_by_text("30 emails have not been sent yet.")).to_be_visible()
    confirm_twice(page)

    expect(page.get_by_role("status").first).to_contain_text("Stopped for good.")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_an_audience_is_deleted_by_a_double_click_without_a_complaint(page: Page, system: System) -> None:
    made = audience_lists.create(system.db, NewAudience("Customers", recipients(3)), owner="tests", key="k")
    open_page(page, system, f"/audiences/{made.audience.id}")

    page.get_by_role("button", name="Delete audience").click()
    expect(page.get_by_role("heading", name="Delete audience “Customers”?")).to_be_visible()
    expect(page.get_by_text("It has 3 contacts.")).to_be_visible()
    confirm_twice(page)

    expect(page.get_by_role("status").first).to_have_text("Audience deleted. Schedules that send to it still do.")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert system.db.audiences.count_documents({"listed": True}) == 0


def test_dismissing_all_names_how_many_and_dismisses_exactly_these(page: Page, system: System) -> None:
    failed_dispatches(system.db, 3)
    open_page(page, system, "/dead-letters")

    page.get_by_role("button", name="Dismiss all").click()
    expect(page.get_by_role("heading", name="Dismiss 3 failed requests?")).to_be_visible()
    look(page, "ask-dismiss-all")
    failed_dispatches(system.db, 1, first=3)
    confirm_twice(page)

    expect(page.get_by_role("checkbox")).to_have_count(1)
    assert system.db.dispatches.count_documents({"dropped": {"$exists": True}}) == 3


def test_nothing_selected_is_said_and_asks_nothing(page: Page, system: System) -> None:
    failed_dispatches(system.db, 1)
    open_page(page, system, "/dead-letters")

    page.get_by_role("button", name="Retry selected").click()

    expect(page.get_by_role("alert")).to_have_text("Nothing was selected.")


def test_a_request_is_resolved_by_a_double_click_without_a_complaint(page: Page, system: System) -> None:
    a_doubt(system.db, state="unknown", messages=994)
    open_page(page, system, f"/dispatches/{DISPATCH}")

    page.get_by_role("button", name="Mark as sent").click()
    expect(page.get_by_role("heading", name="Mark 994 emails as sent?")).to_be_visible()
    look(page, "ask-mark-as-sent")
    confirm_twice(page)

    expect(page.locator(".head .state")).to_have_text("accepted")
    expect(page.get_by_text("Marked as sent by test")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_an_email_is_cancelled_after_a_question(page: Page, system: System) -> None:
    system.start_simulator()
    system.start_api()
    body = an_email(subject="Invoice", send_at=(datetime.now(UTC) + timedelta(days=1)).isoformat())
    email = system.call("POST", "/v1/emails", json=body).json()["id"]
    open_page(page, system, f"/emails/{email}")

    page.get_by_role("button", name="Cancel email").click()
    expect(page.get_by_role("heading", name="Cancel “Invoice”?")).to_be_visible()
    page.get_by_role("button", name="Cancel email").click()

    expect(page.get_by_role("status")).to_have_text("Cancelled: it is not sent.")


@pytest.mark.parametrize("path", ["run-now", "archive", "skip"])
def test_a_question_alone_changes_nothing_and_its_form_carries_the_csrf_token(
    page: Page, system: System, path: str
) -> None:
    schedule = stored_schedule(system.db)
    open_page(page, system, f"/schedules/{schedule.id}/{path}")

    answer = page.request.post(page.url, form={"confirmed": "yes"}, max_redirects=0)

    assert answer.status == 400
    assert re.search(r'name="csrf_token" value="[^"]+"', page.content())
    assert system.db.schedules.find_one({"_id": schedule.id})["state"] == "active"
    assert system.db.runs.count_documents({}) == 0


def test_pause_and_resume_ask_nothing(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db)
    open_page(page, system, f"/schedules/{schedule.id}")

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_contain_text("Paused.")
    page.get_by_role("button", name="Resume").click()

    expect(page.get_by_role("status")).to_contain_text("Resumed.")
