"""Real Chromium, as a user would: sign in, make a schedule, see its mails, open two, see the report.

Scripts are off in the browser: everything works without them. Screenshots go to MAILROOM_SCREENSHOTS, if that is set.
"""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.support.campaigns import a_campaign, dispatch_states, finished, marks
from tests.support.doubts import a_doubt
from tests.support.emails import an_email, hand_in, status
from tests.support.finished_runs import a_finished_run, sent_by_smtp
from tests.support.pages import fill_in, look, sign_in
from tests.support.system import System, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def provider_and_api(system: System) -> None:
    system.start_simulator()
    system.start_api()


@pytest.mark.usefixtures("provider_and_api")
def test_from_the_form_to_two_of_three_opens_on_the_report(page: Page, system: System) -> None:
    system.start_senders(1)
    page.goto(system.web_url)
    look(page, "sign-in")
    sign_in(page, system)
    look(page, "schedules-empty")

    page.get_by_role("link", name="New schedule").click()
    due = datetime.now(UTC) + timedelta(seconds=12)
    fill_in(page, Name="Spring news", From="Ann <ann@mg.example.com>", Subject="Hello {{ name }} from {{ city }}")
    fill_in(
        page, Text="Hello {{ name }}", HTML="<h1>Hello {{ name }}</h1><p><a href='https://example.org'>Read</a></p>"
    )
    page.get_by_label("Paste addresses or CSV").fill(
        "address,name,city\nann@example.org,Ann,Rome\nbo@example.org,Bo,Oslo\ncy@example.org,Cy,Bern"
    )
    page.get_by_label("Date and time").fill(due.strftime("%Y-%m-%dT%H:%M:%S"))
    page.get_by_role("button", name="Preview schedule").click()
    expect(page.get_by_text(due.strftime("%H:%M:%S UTC"))).to_be_visible()
    look(page, "schedule-form")
    page.get_by_role("button", name="Save schedule").click()
    expect(page.get_by_text("Schedule saved.")).to_be_visible()
    look(page, "schedule")
    schedule = page.url

    wait_for(lambda: system.simulator.record()["mails"] == 3, within_s=30, what="three mails went out")
    page.goto(f"{system.simulator.url}/inbox")
    expect(page.locator(".mail")).to_have_count(3)
    look(page, "inbox")
    for subject in ("Hello Ann from Rome", "Hello Bo from Oslo"):
        page.goto(f"{system.simulator.url}/inbox")
        with page.expect_response(re.compile("pixel.gif")):
            page.get_by_role("link", name=subject).click()
    look(page, "mail")
    assert page.locator(".note").count() == 0  # what was said while it was unknown is part of its story only

    def opened_twice() -> bool:
        page.goto(schedule)
        return page.get_by_role("cell", name="66.7 %").count() == 1

    wait_for(opened_twice, within_s=20, what="two of three unique opens are on the schedule's page")
    look(page, "schedule-with-runs")
    page.get_by_role("link", name="Report", exact=True).click()
    opens = page.locator(".figures div").filter(has_text="Unique opens")
    expect(opens).to_contain_text(re.compile(r"2\s*66\.7 % open rate"))
    expect(page.locator(".figures div").filter(has_text="Delivered")).to_contain_text("3")
    assert page.locator("svg rect").count() >= 2
    look(page, "report")
    page.locator("table a").first.click()
    expect(page.get_by_text("3 of 3 sent")).to_be_visible()
    look(page, "run")
    page.goto(f"{system.web_url}/dispatches?state=accepted")
    look(page, "dispatches")
    page.locator("table a").first.click()
    expect(page.get_by_text("planned", exact=True).first).to_be_visible()
    look(page, "dispatch")
    page.goto(f"{system.api_url}/docs")
    page.get_by_text("/v1/schedules", exact=True).first.click()
    look(page, "api-docs")
    page.goto(system.web_url)
    look(page, "schedules")


def test_a_refused_form_comes_back_with_what_was_typed_and_the_message_beside_the_field(
    page: Page, system: System
) -> None:
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/new")
    fill_in(page, Name="<b>Name</b>", From="nobody", Subject="Hi {{ nam }}", Text="Hello")
    page.get_by_label("Paste addresses or CSV").fill("good@example.org\nbad address")
    page.get_by_text("Cron", exact=True).click()
    page.get_by_label("Cron expression").fill("61 9 * * *")

    page.get_by_role("button", name="Save schedule").click()

    assert page.get_by_label("Name", exact=True).input_value() == "<b>Name</b>"
    assert page.get_by_label("Paste addresses or CSV").input_value() == "good@example.org\nbad address"
    expect(page.locator(".field:has(#from) .message")).to_contain_text("Write one address")
    expect(page.locator(".field:has(#recipients) .message")).to_contain_text("1 line cannot be imported")
    expect(page.locator(".refused tbody tr")).to_contain_text(re.compile(r"2\s*bad address"))
    expect(page.get_by_role("alert")).to_contain_text("Could not save: 4 fields need attention")
    expect(page.locator(".field:has(#cron) .message")).to_contain_text("Bad minute")
    look(page, "schedule-form-refused")
    assert system.db.schedules.count_documents({}) == 0


def test_an_edit_keeps_the_recipients_and_a_stale_one_is_refused(page: Page, system: System) -> None:
    from tests.support.builders import stored_schedule

    schedule = stored_schedule(system.db)
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/{schedule.id}/edit")
    system.db.schedules.update_one({"_id": schedule.id}, {"$inc": {"version": 1}})
    fill_in(page, Name="Renamed")
    page.get_by_role("button", name="Save schedule").click()
    expect(page.get_by_text("Somebody else has changed this schedule")).to_be_visible()

    page.goto(f"{system.web_url}/schedules/{schedule.id}/edit")
    fill_in(page, Name="Renamed")
    page.get_by_role("button", name="Save schedule").click()

    expect(page.get_by_role("heading", name="Renamed")).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("1 recipient")


def test_pausing_resuming_skipping_and_archiving_from_the_page(page: Page, system: System) -> None:
    from tests.support.builders import stored_schedule

    schedule = stored_schedule(system.db)
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/{schedule.id}")

    for button, said in [
        ("Pause", "Paused."),
        ("Resume", "Resumed."),
    ]:
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("status")).to_contain_text(said)
    for button, asked, said in [
        ("Skip next run", "Skip the next run of “Weekday digest”?", "The next run is skipped."),
        ("Archive", "Archive “Weekday digest”?", "Archived."),
    ]:
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("heading", name=asked)).to_be_visible()
        page.locator("main button").click()
        expect(page.get_by_role("status")).to_contain_text(said)

    look(page, "schedule-archived")
    page.goto(system.web_url)
    expect(page.get_by_text("No schedules yet.")).to_be_visible()


def test_pages_are_only_for_those_who_are_signed_in(page: Page, system: System) -> None:
    page.goto(f"{system.web_url}/schedules/new")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

    page.get_by_label("Token").fill("mr_wrong")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_text("This token is not known here")).to_be_visible()


@pytest.mark.usefixtures("provider_and_api")
def test_a_person_decides_about_a_call_whose_outcome_cannot_be_known(page: Page, system: System) -> None:
    system.simulator.turn(log_lies_empty=True)
    system.simulator.fail_next("500_before")
    quick = {"MAILROOM_CALL_TIMEOUT": "1", "MAILROOM_IDLE_LIMIT": "1", "MAILROOM_SETTLE": "1"}
    system.start_senders(1, **quick, MAILROOM_LOG_RETENTION="3")
    schedule = a_campaign(system, 3)
    wait_for(lambda: dispatch_states(system)["unknown"], within_s=40, what="the dispatch is unknown")
    sign_in(page, system)

    page.goto(f"{system.web_url}/dispatches?state=unknown")
    look(page, "dispatches-unknown")
    page.get_by_role("link", name=re.compile("@example.org and 2 more")).click()
    look(page, "dispatch-unknown")
    # A busy machine may let the next call take longer than a second too: then the log is there to tell of it.
    system.simulator.turn(log_lies_empty=False)
    page.get_by_role("button", name="Resend").click()
    expect(page.get_by_role("heading", name="Resend 3 emails?")).to_be_visible()
    look(page, "ask-resolve")
    page.get_by_role("button", name="Resend").click()

    expect(page.get_by_text("It is resent")).to_be_visible()
    run = wait_for(lambda: finished(system, schedule), within_s=20, what="it went out")
    page.goto(f"{system.web_url}/runs/{run.id}")
    look(page, "run-after-doubt")
    page.get_by_role("link", name="reader-1@example.org").click()
    expect(page.get_by_text("resolved")).to_be_visible()
    look(page, "mail")
    assert set(marks(system).values()) == {1}


@pytest.mark.usefixtures("provider_and_api")
def test_what_failed_for_good_is_ticked_and_sent_again_and_the_rest_is_taken_off_the_list(
    page: Page, system: System
) -> None:
    system.simulator.turn(refused_addresses=["cy@example.org", "dy@example.org"])
    system.start_senders(1)
    mended, left = (hand_in(system, to=[f"{name}@example.org"]) for name in ("cy", "dy"))
    wait_for(lambda: {status(system, id_) for id_ in (mended, left)} == {"failed"}, within_s=20, what="both failed")
    system.simulator.turn(refused_addresses=[])
    sign_in(page, system)

    page.get_by_role("link", name="Failed").click()
    look(page, "dead-letters")
    page.get_by_label("Select cy@example.org: Your new password").check()
    page.get_by_role("button", name="Retry selected").click()
    expect(page.get_by_role("heading", name="Retry 1 failed request?")).to_be_visible()
    look(page, "ask-retry")
    page.get_by_role("button", name="Retry").click()

    expect(page.get_by_role("status")).to_have_text("1 request is retried.")
    wait_for(lambda: status(system, mended) == "delivered", within_s=20, what="it is sent")
    page.get_by_role("button", name="Dismiss all").click()
    expect(page.get_by_role("heading", name="Dismiss 1 failed request?")).to_be_visible()
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("Nothing has failed.")).to_be_visible()
    assert status(system, left) == "failed"


@pytest.mark.usefixtures("provider_and_api")
def test_who_did_not_get_a_run_or_a_mail_gets_it_at_the_press_of_a_button(page: Page, system: System) -> None:
    system.simulator.turn(refused_addresses=["reader-1@example.org", "cy@example.org"])
    system.start_senders(1)
    schedule = a_campaign(system, 5)
    email = hand_in(system, to=["cy@example.org"])
    wait_for(lambda: finished(system, schedule) and status(system, email) == "failed", within_s=40, what="it failed")
    system.simulator.turn(refused_addresses=[])
    sign_in(page, system)

    for name, path, what in (("run", f"/schedules/{schedule}", "table a"), ("email", f"/emails/{email}", "")):
        page.goto(f"{system.web_url}{path}")
        if what:
            page.locator(what).first.click()
        expect(page.get_by_role("heading", name="Recipients not reached")).to_be_visible()
        look(page, f"{name}-not-reached")
        page.get_by_role("button", name="Resend to 1 recipient").click()
        expect(page.get_by_role("heading", name="to 1 recipient?")).to_be_visible()
        look(page, f"ask-resend-{name}")
        page.get_by_role("button", name="Resend").click()
        expect(page.get_by_text(re.compile("to the recipients that .*did not reach"))).to_be_visible()
        look(page, f"{name}-again")

    wait_for(lambda: system.simulator.record()["mails"] == 6, within_s=30, what="both have their mail")
    assert max(marks(system).values()) == 1


@pytest.mark.usefixtures("provider_and_api")
def test_a_provider_is_switched_off_and_a_limit_is_set_and_removed(page: Page, system: System) -> None:
    sign_in(page, system)
    page.get_by_role("link", name="Providers").click()

    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_text("nothing is sent until one is")).to_be_visible()
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_text("mailgun accepts mail.")).to_be_visible()

    page.get_by_label("Webhook URL for mailgun").fill(system.api_url)
    page.get_by_role("button", name="Register and test").click()
    expect(page.get_by_text("a test event came after")).to_be_visible()
    page.get_by_label("Domain or provider").fill("example.org")
    page.locator("[name=mails]").fill("none")
    page.get_by_role("button", name="Set limit").click()
    expect(page.get_by_text("A whole number from 1")).to_be_visible()
    page.locator("[name=mails]").fill("100")
    page.get_by_label("Warm-up").fill("10, 20")
    page.get_by_role("button", name="Set limit").click()
    expect(page.get_by_text("example.org: 10 emails per hour")).to_be_visible()
    look(page, "providers")
    page.get_by_role("button", name="Remove").click()

    expect(page.get_by_text("example.org has no limit any more.")).to_be_visible()
    assert system.call("GET", "/v1/rate-limits").json()["items"] == []


@pytest.mark.usefixtures("provider_and_api")
def test_a_refused_request_is_shown_with_its_reasons(page: Page, system: System) -> None:
    assert system.call("POST", "/v1/emails", json=an_email(to=["nonsense"])).status_code == 422
    sign_in(page, system)

    wait_for(lambda: system.db.refusals.count_documents({}) == 1, within_s=10, what="it is written")
    page.get_by_role("link", name="Rejected").click()

    expect(page.get_by_text("POST /v1/emails")).to_be_visible()
    expect(page.get_by_text("to[0]")).to_be_visible()
    look(page, "refusals")
    page.get_by_role("link", name="409").click()
    expect(page.get_by_text("No request was rejected with 409.")).to_be_visible()


def test_what_was_typed_when_the_session_had_expired_is_sent_after_signing_in_again(page: Page, system: System) -> None:
    sign_in(page, system)
    page.goto(f"{system.web_url}/audiences/new")
    fill_in(page, Name="Customers")
    page.get_by_label("Paste addresses or CSV").fill("bo@example.org\nann@example.org")
    system.db.sessions.delete_many({})

    page.get_by_role("button", name="Save audience").click()
    expect(page.get_by_text("Your session has expired.")).to_be_visible()
    look(page, "session-expired")
    page.get_by_label("Token").fill(system.token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Your form was not sent yet")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Customers")
    expect(page.get_by_label("Paste addresses or CSV")).to_have_value("bo@example.org\nann@example.org")
    look(page, "signed-in-again")
    page.get_by_role("button", name="Save audience").click()

    expect(page.get_by_role("heading", name="Customers")).to_be_visible()
    assert system.db.audiences.count_documents({"name": "Customers"}) == 1


def test_an_address_is_suppressed_looked_up_and_removed(page: Page, system: System) -> None:
    old = {"_id": "cy@example.org", "reason": "complained", "since": datetime.now(UTC) - timedelta(days=3)}
    system.db.suppressions.insert_one(old)
    sign_in(page, system)
    page.get_by_role("link", name="Suppressions").click()
    add = page.locator("section", has_text="Add an address")

    add.get_by_label("Address").fill("nobody")
    add.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_contain_text("Could not save: 1 field needs attention: Address")
    expect(page.locator(".field:has([name=address]) .message")).to_be_visible()
    expect(add.get_by_label("Address")).to_have_value("nobody")
    add.get_by_label("Address").fill("Bo@Bücher.example")
    add.get_by_label("Scope").select_option("campaigns")
    add.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status")).to_have_text("bo@xn--bcher-kva.example is suppressed.")
    page.get_by_role("link", name="Show all").click()
    look(page, "suppressions")
    expect(page.get_by_role("row")).to_have_count(3)
    page.get_by_role("button", name="Remove cy@example.org from campaigns").click()

    expect(page.get_by_role("status")).to_have_text("cy@example.org was removed from campaigns.")
    assert [doc["_id"] for doc in system.db.suppressions.find()] == ["bo@xn--bcher-kva.example"]


def test_a_call_in_doubt_shows_what_the_providers_events_report(page: Page, system: System) -> None:
    a_doubt(system.db, messages=2)
    told = {"run_id": "run-1", "dispatch_id": "run-1-d000000", "sent_at": datetime.now(UTC)}
    rows = [{"_id": f"m{n}", "address": f"{n}@example.org", "state": "delivered", **told} for n in range(2)]
    system.db.messages.insert_many([row | {"delivered_at": datetime.now(UTC)} for row in rows])
    sign_in(page, system)
    page.goto(f"{system.web_url}/dispatches/run-1-d000000")
    look(page, "call-reported-delivered")

    expect(page.get_by_text("The provider's events report 2 of 2 emails as delivered.")).to_be_visible()
    expect(page.get_by_role("button", name="Mark as sent, as the provider's events report")).to_be_visible()
    expect(page.get_by_role("button", name="Resend")).to_have_count(0)


def test_a_report_says_where_bounces_are_not_measured(page: Page, system: System) -> None:
    run = a_finished_run(system.db, 3)
    sent_by_smtp(system.db, run, bounces_read=False)
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/{run.schedule_id}/report")
    look(page, "report-bounces-not-measured")

    expect(page.locator("dl.figures").get_by_text("not measured for 3 emails by SMTP")).to_be_visible()
    expect(page.get_by_role("cell", name="Not measured")).to_be_visible()
