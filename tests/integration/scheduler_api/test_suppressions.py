"""Suppressions over a real MongoDB: their scopes, what events make of them, and who adds, shows and lifts them."""

from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.events import EventKind
from mailroom.domain.suppressions import OF_CAMPAIGNS, OF_SINGLE_MAILS
from mailroom.services.feedback.intake import take_in
from mailroom.storage import suppressions
from mailroom.storage.database import Db
from tests.support.builders import NOW, an_event
from tests.support.caller import Caller
from tests.support.suppressions import BO, take_in_event
from tests.support.system import System
from tests.support.tokens import a_token


def held(db: Db, address: str = BO) -> list[tuple[str, str]]:
    found = suppressions.get(db, address)
    return [(entry.scope, entry.reason) for entry in found.entries] if found else []


def test_an_event_forbids_what_it_is_about(db: Db) -> None:
    cases: list[tuple[EventKind, bool, list[tuple[str, str]]]] = [
        (EventKind.BOUNCED, True, [("all", "bounced")]),
        (EventKind.BOUNCED, False, []),
        (EventKind.COMPLAINED, False, [("campaigns", "complained")]),
        (EventKind.UNSUBSCRIBED, False, [("campaigns", "unsubscribed")]),
        *((kind, False, []) for kind in (EventKind.UNSUBSCRIBED_BY_MACHINE, EventKind.FEEDBACK)),
        *((kind, False, []) for kind in (EventKind.REJECTED, EventKind.UNKNOWN)),
    ]
    for number, (kind, hard, _) in enumerate(cases):
        take_in_event(db, kind, f"e{number}", hard=hard, recipient=f"reader-{number}@example.org")

    assert [held(db, f"reader-{n}@example.org") for n in range(len(cases))] == [scopes for _, _, scopes in cases]


def test_an_address_holds_several_scopes_and_the_first_reason_of_each_stays(db: Db) -> None:
    take_in_event(db, EventKind.COMPLAINED, "c1")
    take_in_event(db, EventKind.UNSUBSCRIBED, "u1")
    take_in_event(db, EventKind.BOUNCED, "b1", hard=True)

    assert held(db) == [("all", "bounced"), ("campaigns", "complained")]


def test_a_complaint_that_named_several_says_so(db: Db) -> None:
    take_in_event(db, EventKind.COMPLAINED, note="one of 3 named")

    found = suppressions.get(db, BO)

    assert found
    assert found.entries[0].note == "one of 3 named"


AGAIN: list[tuple[str, list[tuple[str, str]]]] = [
    ("unsubscribed 0, resubscribed 1", []),
    ("resubscribed 1, unsubscribed 0", []),
    ("unsubscribed 0, resubscribed 1, unsubscribed 2", [("campaigns", "unsubscribed")]),
    ("unsubscribed 0, unsubscribed 2, resubscribed 1", [("campaigns", "unsubscribed")]),
    ("unsubscribed 2, resubscribed 1", [("campaigns", "unsubscribed")]),
    ("complained 0, resubscribed 1", [("campaigns", "complained")]),
    ("unsubscribed 0, complained 0, resubscribed 1", [("campaigns", "complained")]),
    ("resubscribed 1", []),
    ("unsubscribed 1, resubscribed 1", [("campaigns", "unsubscribed")]),
]


@pytest.mark.parametrize("at_once", [True, False])
def test_who_subscribes_again_gets_campaigns_again(db: Db, at_once: bool) -> None:
    for number, (order, _) in enumerate(AGAIN):
        pile = []
        for step, words in enumerate(order.split(", ")):
            kind, minute = words.split()
            at, to = NOW + timedelta(minutes=int(minute)), f"Reader-{number}@Example.org"
            pile.append(an_event(EventKind(kind), id_=f"e{number}-{step}", recipient=to, at=at))
        for batch in [pile] if at_once else [[event] for event in pile]:
            take_in(db, batch, now=NOW)

    assert [held(db, f"reader-{n}@example.org") for n in range(len(AGAIN))] == [left for _, left in AGAIN]
    assert len(suppressions.page(db, before=None, limit=99)) == sum(bool(left) for _, left in AGAIN)


def test_one_stored_before_there_were_scopes_is_read_by_its_reason(db: Db) -> None:
    stored = {"bounced": {"since": NOW}, "complained": {"since": NOW, "event_id": "e"}, "unsubscribed": {}}
    keys = [f"{reason}@example.org" for reason in stored]
    db.suppressions.insert_many(
        [{"_id": f"{reason}@example.org", "reason": reason, **more} for reason, more in stored.items()]
    )

    assert list(suppressions.among(db, keys, OF_CAMPAIGNS).values()) == list(stored)
    assert suppressions.among(db, keys, OF_SINGLE_MAILS) == {"bounced@example.org": "bounced"}

    for key in keys:
        take_in_event(db, EventKind.BOUNCED, key, hard=True, recipient=key)
    assert [len(held(db, key)) for key in keys] == [1, 2, 2]
    assert suppressions.remove(db, keys, "all") == keys
    assert [held(db, key) for key in keys] == [[], [("campaigns", "complained")], [("campaigns", "unsubscribed")]]


def test_an_event_of_a_name_that_is_not_ascii_is_about_the_same_address(db: Db) -> None:
    take_in_event(db, EventKind.BOUNCED, hard=True, recipient="Bo@Bücher.example")

    assert held(db, "bo@xn--bcher-kva.example") == held(db, "bo@bücher.EXAMPLE") == [("all", "bounced")]


def test_one_stored_under_a_name_that_is_not_ascii_keeps_matching(db: Db) -> None:
    db.suppressions.insert_one({"_id": "bo@bücher.example", "reason": "bounced", "since": NOW})
    key = "bo@xn--bcher-kva.example"

    assert suppressions.among(db, [key], OF_SINGLE_MAILS) == {key: "bounced"}
    assert suppressions.remove(db, [key], None) == [key]
    assert not db.suppressions.count_documents({})


def test_suppressions_are_added_looked_up_and_lifted(call: Caller) -> None:
    added = call(
        "POST", "/v1/suppressions", json={"address": "Bo@Bücher.example", "reason": "asked", "scope": "campaigns"}
    )
    call("POST", "/v1/suppressions", json={"address": "bo@bücher.example"})

    assert added.status_code == 201
    assert added.json["scopes"] == [{"scope": "campaigns", "reason": "asked", "since": added.json["since"]}]
    one = call("GET", "/v1/suppressions/bo@bücher.example").json
    assert one["address"] == "bo@xn--bcher-kva.example"
    assert [(each["scope"], each["reason"]) for each in one["scopes"]] == [("all", "manual"), ("campaigns", "asked")]
    assert call("GET", "/v1/suppressions?address=bo@xn--bcher-kva.example").json["items"] == [one]
    assert call("GET", "/v1/suppressions?address=nobody@example.org").json["items"] == []
    assert call("GET", "/v1/suppressions").json["items"] == [one]

    assert call("DELETE", "/v1/suppressions/bo@bücher.example?scope=all").status_code == 204
    left = call("GET", "/v1/suppressions/bo@bücher.example").json["scopes"]
    assert [each["scope"] for each in left] == ["campaigns"]
    assert call("DELETE", "/v1/suppressions/bo@bücher.example?scope=all").status_code == 404
    assert call("DELETE", "/v1/suppressions/bo@bücher.example").status_code == 204
    assert call("GET", "/v1/suppressions/bo@bücher.example").status_code == 404


def test_what_is_no_suppression_is_refused(call: Caller) -> None:
    wrong: list[dict[str, Any]] = [
        {},
        {"address": "nobody"},
        {"address": BO, "scope": "newsletter"},
        {"address": BO, "reason": "x" * 300},
        {"address": BO, "more": 1},
        {"address": "a@example.org, b@example.org"},
    ]
    for body in wrong:
        assert call("POST", "/v1/suppressions", json=body).status_code == 422
    assert call("GET", "/v1/suppressions").json["items"] == []


def test_a_reason_is_kept_as_it_is_written(call: Caller) -> None:
    for reason in ("$reason", "$$ROOT", "{}", "complained"):
        call("POST", "/v1/suppressions", json={"address": f"bo{len(reason)}@example.org", "reason": reason})
        found = call("GET", f"/v1/suppressions/bo{len(reason)}@example.org").json
        assert found["scopes"][0]["reason"] == reason


FILES = [
    "address,reason,scope\nbo@example.org,unsubscribed,\nnobody,,\ncy@example.org,,campaigns\n",
    "\ufeffEmail Address;First Name;reason\r\nbo@example.org;Bo;unsubscribed\r\nnobody;;\r\n",
    "bo@example.org,unsubscribed\nnobody\n\ncy@example.org\tcomplained",
    '"email"\t"reason"\nbo@example.org\tunsubscribed\nnobody\t\nCy@Example.org\t\n',
]


NO_FILES = [b"", b"name,city\nBo,Rome", b"\xff\xfe\x00", b'address\n"bo']


def test_a_file_is_taken_but_for_its_wrong_rows(call: Caller) -> None:
    for raw in NO_FILES:
        answer = call("POST", "/v1/suppressions/import", data=raw, content_type="text/csv")
        assert answer.status_code == 422 or answer.json["added"] == 0, raw
    assert call("GET", "/v1/suppressions").json["items"] == []

    for text in FILES:
        done = call("POST", "/v1/suppressions/import", data=text.encode(), content_type="text/csv").json
        assert done["refused"][0]["address"] == "nobody", text
        found = {one["address"]: one["scopes"][0]["scope"] for one in call("GET", "/v1/suppressions").json["items"]}
        assert found.get(BO) == "campaigns", text
        call("POST", "/v1/suppressions/remove", json={"addresses": [BO]})


def test_a_long_file_is_taken_in_steps_and_removed_again(call: Caller) -> None:
    addresses = [f"reader-{n}@example.org" for n in range(2_500)]

    first, again = (
        call("POST", "/v1/suppressions/import", data="\n".join(addresses), content_type="text/csv").json
        for _ in range(2)
    )
    removed = call("POST", "/v1/suppressions/remove", json={"addresses": [*addresses, BO], "scope": "all"}).json

    assert (first["added"], first["unchanged"], again["added"], again["unchanged"]) == (2_500, 0, 0, 2_500)
    assert removed == {"removed": 2_500, "not_found": [BO]}


def test_who_only_reads_adds_and_lifts_nothing(system: System, call: Caller) -> None:
    call.headers = {"Authorization": f"Bearer {a_token(system.db, 'read')}"}

    for method, path, json in (
        ("POST", "", {"address": BO}),
        ("POST", "/import", {}),
        ("POST", "/remove", {"addresses": [BO]}),
        ("DELETE", f"/{BO}", None),
    ):
        assert call(method, f"/v1/suppressions{path}", json=json).status_code == 403
