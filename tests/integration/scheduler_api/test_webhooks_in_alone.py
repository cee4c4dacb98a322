"""The webhooks' intake as an application of its own: it takes in what the API takes in, and answers nothing else."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from mailroom.assembly.api import build_api_services
from mailroom.domain.limits import MAX_SMALL_BODY_BYTES, MAX_WEBHOOK_BYTES
from scheduler_api.webhooks_in import create_app
from tests.support.system import System, wait_for
from tests.support.webhooks import OPENED, webhook


@pytest.fixture
def intake(system: System) -> Iterator[FlaskClient]:
    with create_app(build_api_services(system.settings, app="tests")).test_client() as client:
        yield client


def test_an_event_is_stored_once(intake: FlaskClient, system: System) -> None:
    codes = [intake.post("/webhooks/mailgun", json=webhook(OPENED)).status_code for _ in range(2)]

    assert codes == [200, 200]
    assert system.db.events.count_documents({}) == 1


def test_a_forged_event_is_refused_and_shown_among_the_refused_requests(intake: FlaskClient, system: System) -> None:
    answer = intake.post("/webhooks/mailgun", json=webhook(OPENED, key="another"))

    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    kept = wait_for(lambda: system.db.refusals.find_one({}), within_s=10, what="the refusal is recorded")
    assert (kept["path"], kept["status"]) == ("/webhooks/mailgun", 401)


@pytest.mark.parametrize("path", ["/v1/emails", "/emails", "/v1/mail", "/docs", "/openapi.json", "/v1/workers"])
def test_what_the_api_alone_answers_is_not_there(intake: FlaskClient, system: System, path: str) -> None:
    answer = intake.get(path, headers={"Authorization": f"Bearer {system.token}"})

    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


def test_it_tells_whether_it_is_alive_and_ready(intake: FlaskClient) -> None:
    assert intake.get("/health").json == {"health": "ok"}
    assert intake.get("/ready").json["ready"] is True
    assert intake.get("/metrics").status_code == 200


def test_the_server_learns_how_large_a_body_may_be(intake: FlaskClient) -> None:
    admit = intake.application.extensions["admit"]

    def most(path: str) -> int:
        return int(admit({"REQUEST_METHOD": "POST", "PATH_INFO": path, "SERVER_NAME": "x", "SERVER_PORT": "80",
                          "wsgi.url_scheme": "http"}))  # fmt: skip

    assert most("/webhooks/mailgun") == MAX_WEBHOOK_BYTES
    assert most("/v1/emails") == MAX_SMALL_BODY_BYTES
