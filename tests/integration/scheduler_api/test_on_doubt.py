"""`on_doubt` of a single mail, over the API."""

from typing import Any

import pytest

from mailroom.domain.workers import WorkerKind
from mailroom.storage.database import Db
from tests.support.caller import Caller
from tests.support.emails import an_email
from tests.support.workers import checked_in, checked_in_by_an_earlier_version


def hand_in(call: Caller, *, key: str | None = None, **changes: Any) -> Any:
    return call("POST", "/v1/emails", json=an_email(**changes), headers={"Idempotency-Key": key} if key else {})


@pytest.mark.parametrize(("given", "shown"), [({}, "wait"), ({"on_doubt": "elsewhere"}, "elsewhere")])
def test_a_mail_shows_its_choice_for_a_doubt(call: Caller, given: dict[str, str], shown: str) -> None:
    id_ = hand_in(call, **given).json["id"]

    told = call("GET", f"/v1/emails/{id_}").json

    assert (told["on_doubt"], told["went_twice"]) == (shown, None)


def test_another_word_is_refused_with_the_other_faults(call: Caller) -> None:
    answer = hand_in(call, on_doubt="hope", priority="soon")

    assert answer.status_code == 422
    assert {fault["path"] for fault in answer.json["errors"]} == {"on_doubt", "priority"}


def test_the_same_key_with_another_choice_is_another_request(call: Caller) -> None:
    assert hand_in(call, key="k").status_code == 202

    assert hand_in(call, key="k", on_doubt="wait").status_code == 202
    assert hand_in(call, key="k", on_doubt="elsewhere").status_code == 422


def test_elsewhere_is_taken_in_only_once_every_sender_knows_it(call: Caller, db: Db) -> None:
    checked_in(db, "pages-1", kind=WorkerKind.WEB, protocol=0)
    checked_in(db, "new-1")
    before = hand_in(call, key="before", on_doubt="elsewhere")
    checked_in_by_an_earlier_version(db, "old-1")

    refused = hand_in(call, key="k", on_doubt="elsewhere")
    again = call("POST", f"/v1/emails/{before.json['id']}/send-again", headers={"Idempotency-Key": "again"})
    batch = call("POST", "/v1/emails/batch", json={"emails": [an_email(on_doubt="elsewhere"), an_email()]})

    assert (refused.status_code, refused.json["code"]) == (409, "senders_too_old")
    assert "old-1" in refused.json["detail"]
    assert "new-1" not in refused.json["detail"]
    assert (again.status_code, again.json["code"]) == (409, "senders_too_old")
    assert [one.get("problem", {}).get("code") for one in batch.json["items"]] == ["senders_too_old", None]
    assert hand_in(call, key="before", on_doubt="elsewhere").json["id"] == before.json["id"]
    assert hand_in(call, key="k2").status_code == 202
    db.workers.delete_one({"_id": "old-1"})
    assert hand_in(call, key="k", on_doubt="elsewhere").status_code == 202
