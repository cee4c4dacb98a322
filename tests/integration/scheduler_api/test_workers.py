"""Who works here, as a caller of the API sees it; and which worker has or had a mail."""

from datetime import timedelta

from mailroom.domain.ids import Lane
from mailroom.domain.sender_rules import PROTOCOL
from mailroom.domain.workers import WorkerKind
from mailroom.storage.database import Db
from tests.support.caller import Caller
from tests.support.claims import a_claimed_mail
from tests.support.emails import an_email
from tests.support.workers import SINCE, checked_in, checked_in_by_an_earlier_version


def test_each_process_is_listed_with_all_that_it_said(call: Caller, db: Db) -> None:
    checked_in(db, "ann-1", [Lane("mail/1")], in_flight=2)
    checked_in(db, "web-1", kind=WorkerKind.WEB)

    answer = call("GET", "/v1/workers")

    assert answer.status_code == 200
    first, second = answer.json["items"]
    assert first.pop("last_check_in").endswith("+00:00")
    assert first == {
        "id": "ann-1",
        "kind": "sender",
        "host": "ann",
        "address": "192.0.2.7",
        "pid": 4711,
        "version": "1.2.3",
        "protocol": PROTOCOL,
        "since": SINCE.isoformat(),
        "check_ins": 1,
        "silent": False,
        "lanes": ["mail/1"],
        "lanes_count": 1,
        "in_flight": 2,
    }
    assert (second["kind"], second["lanes"], second["lanes_count"]) == ("web", [], 0)
    assert answer.json["next_cursor"] is None


def test_one_that_has_stopped_checking_in_is_silent_and_one_of_an_earlier_version_is_shown_too(
    call: Caller, db: Db
) -> None:
    checked_in(db, "gone", ago=timedelta(minutes=2))
    checked_in_by_an_earlier_version(db, "old", [Lane("mail/1")])

    gone, old = call("GET", "/v1/workers").json["items"]

    assert (gone["silent"], old["silent"]) == (True, False)
    assert (old["kind"], old["host"], old["version"], old["check_ins"]) == ("sender", None, None, None)
    assert old["lanes"] == ["mail/1"]


def test_the_list_is_paged_and_bounded(call: Caller, db: Db) -> None:
    for n in range(5):
        checked_in(db, f"w-{n}")

    first = call("GET", "/v1/workers?limit=3").json
    rest = call("GET", f"/v1/workers?limit=3&cursor={first['next_cursor']}").json

    assert [one["id"] for one in first["items"] + rest["items"]] == [f"w-{n}" for n in range(5)]
    assert rest["next_cursor"] is None
    assert call("GET", "/v1/workers?limit=100000").status_code == 422
    assert call("GET", "/v1/workers?cursor=nonsense").status_code == 422
    assert call("GET", "/v1/workers?colour=red").status_code == 422


def test_it_needs_a_token_that_may_read(call: Caller) -> None:
    statuses = {}
    for scope in ("read", "mail", "schedules"):
        token = call("POST", "/v1/tokens", json={"name": scope, "scopes": [scope]}).json["token"]
        answer = call.client.get("/v1/workers", headers={"Authorization": f"Bearer {token}"})
        like = call.client.get("/v1/dispatches", headers={"Authorization": f"Bearer {token}"})
        statuses[scope] = (answer.status_code, like.status_code)

    assert statuses["read"] == (200, 200)
    assert all(own == neighbour for own, neighbour in statuses.values())
    assert call.client.get("/v1/workers").status_code == 401


def test_a_mail_names_the_worker_of_its_newest_claim(call: Caller, db: Db) -> None:
    id_ = call("POST", "/v1/emails", json=an_email()).json["id"]
    before = call("GET", f"/v1/emails/{id_}").json

    claimed = a_claimed_mail(db)
    after = call("GET", f"/v1/emails/{id_}").json

    assert before["worker"] is None
    assert after["worker"] == claimed.claim.sender
