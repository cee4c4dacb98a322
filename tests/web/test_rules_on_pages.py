"""What the pages say of rules that cannot be: typed ones beside their field, stored ones with their schedule."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from mailroom.assembly.api import build_api_services
from mailroom.storage.database import Db
from tests.support.rules import EVERY_MINUTE, plan, with_rule
from tests.support.system import System
from web.app import create_app


@pytest.fixture
def client(system: System) -> FlaskClient:
    client = create_app(build_api_services(system.settings, app="tests")).test_client()
    client.post("/sign-in", data={"token": system.token, "next": "/", "csrf_token": csrf(client, "/sign-in")})
    return client


def csrf(client: FlaskClient, path: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    assert found
    return found[1]


def previewed(client: FlaskClient, **typed: str) -> Any:
    form = {"action": "preview", "kind": "rrule", "time_zone": "UTC", "csrf_token": csrf(client, "/schedules/new")}
    return client.post("/schedules/new", data=form | typed)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"rrule": EVERY_MINUTE, "starts_at": "1970-01-01T00:00"}, "at most 288 are taken"),
        ({"rrule": "FREQ=MONTHLY;BYMONTHDAY=0"}, "is not a day of the month"),
        ({"kind": "cron", "cron": "*/90 * * * *"}, "a step of 90"),
        ({"kind": "cron", "cron": "0 9 * * *", "time_zone": "Berlin"}, "Did you mean Europe/Berlin?"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_beside_its_field(
    client: FlaskClient, typed: dict[str, str], words: str
) -> None:
    page = previewed(client, **typed)

    assert page.status_code == 422
    assert words in page.text


def test_a_schedule_whose_stored_rule_cannot_be_computed_is_shown_with_the_reason(client: FlaskClient, db: Db) -> None:
    bad = with_rule(db, EVERY_MINUTE)

    before = client.get(f"/schedules/{bad.id}")
    plan(db, bad)
    after = client.get(f"/schedules/{bad.id}")
    listed = client.get("/")

    assert "cannot be computed" in before.text
    assert "Mailroom has paused this schedule" in after.text
    assert "at most 288 are taken" in after.text
    assert (before.status_code, after.status_code, listed.status_code) == (200, 200, 200)
