"""Sessions of the pages: kept on the server, ended there, and kind to what was typed."""

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.settings import read_settings
from mailroom.assembly.api import build_api_services
from mailroom.services.operations import tokens as token_service
from mailroom.services.operations.token_check import token_id_of
from mailroom.storage.database import Db
from tests.support.builders import stored_schedule
from tests.support.forms import csrf_of, fields_of, sign_in
from tests.support.system import System
from web.app import create_app

Open = Callable[[], FlaskClient]


@pytest.fixture
def browser(system: System) -> Open:
    app = create_app(build_api_services(system.settings, app="tests"))
    return app.test_client


def hidden(text: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', text)
    return {html.unescape(name): html.unescape(value) for name, value in found}


def cookie(client: FlaskClient) -> str:
    found = client.get_cookie("mailroom")
    assert found
    return found.value


def age(db: Db, **fields: timedelta) -> None:
    """Put the clock of every session back."""
    for doc in list(db.sessions.find()):
        changed = {name: doc[name] - span for name, span in fields.items()}
        db.sessions.update_one({"_id": doc["_id"]}, {"$set": changed})


def test_a_signed_out_session_is_dead_even_with_its_cookie(browser: Open, system: System) -> None:
    client, thief = browser(), browser()
    sign_in(client, system.token)
    stolen = cookie(client)
    page = client.get("/")
    thief.set_cookie("mailroom", stolen)
    assert thief.get("/").status_code == 200

    client.post("/sign-out", data={"csrf_token": csrf_of(page.text)})

    thief.set_cookie("mailroom", stolen)
    assert thief.get("/").status_code == 302
    assert client.get("/").status_code == 302
    assert system.db.sessions.count_documents({}) == 0


def test_a_key_that_is_retired_still_takes_what_it_signed_and_signs_nothing(system: System) -> None:
    def pages(keys: str) -> Flask:
        settings = read_settings(system.environment | {"MAILROOM_SECRET_KEY": keys}, dotenv=None)
        return create_app(build_api_services(settings, app="tests"))

    def moved(client: FlaskClient, keys: str) -> FlaskClient:
        other = pages(keys).test_client()
        other.set_cookie("mailroom", cookie(client))
        return other

    old, new = "the-old-key-of-the-pages", "the-new-key-of-the-pages"
    before = pages(old).test_client()
    sign_in(before, system.token)
    mark = csrf_of(before.get("/suppressions").text)

    rotated = moved(before, f"{new},{old}")
    added = rotated.post("/suppressions", data={"csrf_token": mark, "address": "bo@example.org"})

    assert added.status_code == 303
    fresh = csrf_of(rotated.get("/suppressions").text)
    assert moved(rotated, new).get("/").status_code == 200
    assert moved(before, new).get("/").status_code == 302
    assert moved(rotated, old).get("/").status_code == 302
    moved(rotated, new).post("/sign-out", data={"csrf_token": fresh})
    assert system.db.sessions.count_documents({}) == 0


def test_each_browser_has_a_session_of_its_own(browser: Open, system: System) -> None:
    one, other = browser(), browser()
    sign_in(one, system.token)
    sign_in(other, system.token)

    one.post("/sign-out", data={"csrf_token": csrf_of(one.get("/").text)})

    assert other.get("/").status_code == 200


def test_signing_in_again_ends_the_session_before(browser: Open, system: System) -> None:
    client, thief = browser(), browser()
    sign_in(client, system.token)
    stolen = cookie(client)

    sign_in(client, system.token)

    thief.set_cookie("mailroom", stolen)
    assert thief.get("/").status_code == 302
    assert client.get("/").status_code == 200
    assert system.db.sessions.count_documents({}) == 1


def test_the_cookie_holds_neither_the_token_nor_its_id_and_the_store_not_the_cookies_id(
    browser: Open, system: System
) -> None:
    client = browser()
    sign_in(client, system.token)

    with client.session_transaction() as held:
        assert token_id_of(system.token) not in str(dict(held))
        assert str(held["session_id"]) not in str(list(system.db.sessions.find()))


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"seen_at": timedelta(hours=11)}, 200),
        ({"seen_at": timedelta(hours=12, minutes=1)}, 302),
        ({"ends_at": timedelta(days=13, hours=23)}, 200),
        ({"ends_at": timedelta(days=14, minutes=1)}, 302),
    ],
)
def test_a_session_ends_when_it_is_idle_and_after_its_lifetime(
    browser: Open, system: System, fields: dict[str, timedelta], status: int
) -> None:
    client = browser()
    sign_in(client, system.token)
    age(system.db, **fields)

    assert client.get("/").status_code == status
    assert client.get("/").status_code == status


def test_a_page_keeps_a_session_awake_with_one_write_a_minute(browser: Open, system: System) -> None:
    client = browser()
    sign_in(client, system.token)
    age(system.db, seen_at=timedelta(hours=11))

    client.get("/")
    (seen,) = (doc["seen_at"] for doc in system.db.sessions.find())
    client.get("/")

    assert datetime.now(UTC) - seen < timedelta(minutes=1)
    assert [doc["seen_at"] for doc in system.db.sessions.find()] == [seen]


def test_a_session_ends_with_its_token(browser: Open, system: System) -> None:
    client, now = browser(), datetime.now(UTC)
    token = token_service.create_token(system.db, name="x", scopes=["read"], now=now)
    sign_in(client, token)

    token_service.revoke(system.db, token_id_of(token), now=now)

    assert client.get("/").status_code == 302


def test_a_cookie_from_before_sessions_were_stored_signs_nobody_in(browser: Open, system: System) -> None:
    client = browser()
    with client.session_transaction() as held:
        held["token_id"] = token_id_of(system.token)

    assert client.get("/").status_code == 302


@pytest.mark.parametrize("how", ["idle", "signed out in another tab"])
def test_what_was_typed_is_still_there_after_signing_in_again(browser: Open, system: System, how: str) -> None:
    schedule = stored_schedule(system.db)
    client = browser()
    sign_in(client, system.token)
    path = f"/schedules/{schedule.id}/edit"
    form = hidden(client.get(path).text) | {"name": 'The "new" <name>', "tags": "a, b", "action": "save"}
    if how == "idle":
        age(system.db, seen_at=timedelta(days=1))
    else:
        client.post("/sign-out", data={"csrf_token": form["csrf_token"]})

    late = client.post(path, data=form)
    assert late.status_code == 401
    if how == "idle":
        assert "Your session has expired." in late.text
    again = client.post("/sign-in", data=hidden(late.text) | {"token": "mr_wrong"})
    assert again.status_code == 401
    signed_in = client.post("/sign-in", data=hidden(again.text) | {"token": system.token})

    assert signed_in.status_code == 200
    assert "Your form was not sent yet" in signed_in.text
    assert f'action="{path}"' in signed_in.text
    kept = fields_of(signed_in.text) | {"action": "save"}
    assert {name: kept[name] for name in form if name != "csrf_token"} == {
        name: value for name, value in form.items() if name != "csrf_token"
    }
    assert system.db.schedules.count_documents({"name": schedule.name}) == 1
    assert client.post(path, data=kept).status_code != 400  # its mark against other sites is a good one


def test_a_request_from_another_site_is_never_taken_for_what_was_typed(browser: Open, system: System) -> None:
    schedule = stored_schedule(system.db)

    refused = browser().post(f"/schedules/{schedule.id}/archive", data={"x": "y"})

    assert refused.status_code == 400
    assert "Your session has expired" in refused.text
    assert "typed" not in hidden(refused.text)


@pytest.mark.parametrize("typed", ["[", "5", '[["a"]]', '{"a": 1}', "[[[]]]", "[" * 2_000])
def test_what_was_not_typed_into_a_form_is_dropped(browser: Open, system: System, typed: str) -> None:
    assert sign_in(browser(), system.token, typed=typed).status_code in (200, 302)


def test_the_form_goes_on_to_our_own_pages_only(browser: Open, system: System) -> None:
    answer = sign_in(browser(), system.token, typed='[["a", "b"]]', next="//example.org/")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/")


def test_what_is_too_long_to_be_kept_is_reported(browser: Open, system: System) -> None:
    client = browser()
    sign_in(client, system.token)
    form = {"csrf_token": csrf_of(client.get("/").text), "recipients": "x" * 60_000}
    age(system.db, seen_at=timedelta(days=1))

    late = client.post("/audiences", data=form)

    assert "too long to be kept" in late.text
    assert hidden(late.text).get("typed", "") == ""


def test_a_page_that_is_open_for_hours_can_still_be_sent(browser: Open, system: System) -> None:
    assert create_app(build_api_services(system.settings, app="tests")).config["WTF_CSRF_TIME_LIMIT"] is None


def test_signing_in_leads_only_to_our_own_pages(system: System) -> None:
    settings = read_settings(system.environment | {"MAILROOM_SIGN_INS_PER_MINUTE": "none"}, dotenv=None)
    client = create_app(build_api_services(settings, app="tests")).test_client()
    assert sign_in(client, system.token, next="/runs?state=planned").location == "/runs?state=planned"

    for off in (
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "evil.example",
        "javascript:alert(1)",
        " //evil.example",
        "\t//evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/runs\r\nX-Evil: 1",
        "/\u2028/evil.example",
        "\uff0f\uff0fevil.example",
        "",
    ):
        answer = sign_in(client, system.token, next=off)
        assert (answer.status_code, answer.location) == (302, "/"), off
