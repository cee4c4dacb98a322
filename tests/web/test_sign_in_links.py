"""A link that signs a browser in, once: what `mailroom up` prints at a terminal."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from config.settings import read_settings
from mailroom.assembly.api import build_api_services
from mailroom.services.operations import sign_in_links
from mailroom.services.operations import tokens as token_service
from mailroom.services.operations.token_check import token_id_of
from mailroom.storage.database import Db, server_now
from tests.support.system import System
from web.app import create_app

Open = Callable[[], FlaskClient]


@pytest.fixture
def browser(system: System) -> Open:
    return create_app(build_api_services(system.settings, app="tests")).test_client


def a_link(system: System, *, age: timedelta = timedelta()) -> str:
    token_id = token_id_of(system.token)
    secret = sign_in_links.create(system.db, token_id, now=server_now(system.db) - age)
    return f"/sign-in/link?secret={secret}"


def is_signed_in(client: FlaskClient) -> bool:
    return client.get("/").status_code == 200


def test_a_link_signs_one_browser_in_as_its_token(browser: Open, system: System) -> None:
    link, first, second = a_link(system), browser(), browser()

    answer, again = first.get(link), second.get(link)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert is_signed_in(first)
    assert "Providers" in first.get("/providers").text
    assert again.status_code == 401
    assert "used before" in again.text
    assert not is_signed_in(second)


def test_a_link_is_over_after_its_minutes_and_ends_with_its_token(browser: Open, system: System) -> None:
    old = a_link(system, age=sign_in_links.LIFETIME + timedelta(seconds=1))
    of_a_revoked_token = a_link(system)

    over = browser().get(old)
    token_service.revoke(system.db, token_id_of(system.token), now=server_now(system.db))
    revoked = browser().get(of_a_revoked_token)

    assert (over.status_code, revoked.status_code) == (401, 401)
    assert system.db.sessions.count_documents({}) == 0


@pytest.mark.parametrize("query", ["", "?secret=", "?secret=nonsense", "?secret=" + "x" * 43])
def test_a_wrong_link_signs_nobody_in(browser: Open, system: System, query: str) -> None:
    good, client = a_link(system), browser()

    assert client.get(f"/sign-in/link{query}").status_code == 401
    assert not is_signed_in(client)
    assert client.get(good).status_code == 303


def test_only_a_persons_visit_uses_a_link_up(browser: Open, system: System) -> None:
    link, client = a_link(system), browser()

    ahead = client.get(link, headers={"Sec-Purpose": "prefetch;prerender"})
    head = client.head(link)

    assert (ahead.status_code, head.status_code) == (503, 503)
    assert not is_signed_in(client)
    assert client.get(link).status_code == 303


def test_the_secret_itself_is_stored_nowhere_and_goes_when_its_time_is_over(system: System, db: Db) -> None:
    secret = a_link(system).partition("=")[2]

    stored = db.sign_in_links.find_one({})

    assert stored
    assert secret not in str(stored)
    assert db.sign_in_links.index_information()["ended"]["expireAfterSeconds"] == 0


def test_a_link_takes_the_place_of_the_session_before(browser: Open, system: System, db: Db) -> None:
    client = browser()
    client.get(a_link(system))
    client.get(a_link(system))

    assert db.sessions.count_documents({}) == 1
    assert is_signed_in(client)


def test_links_cannot_be_guessed_at_leisure(system: System) -> None:
    system.environment["MAILROOM_SIGN_INS_PER_MINUTE"] = "3"
    settings = read_settings(system.environment, dotenv=None)
    client = create_app(build_api_services(settings, app="tests")).test_client()

    statuses = [client.get("/sign-in/link?secret=x").status_code for _ in range(4)]

    assert statuses == [401, 401, 401, 429]
