"""Newsletters handed in as single mails do not evade consent."""

import re
from typing import Any, cast

import pytest

from config.settings import read_settings
from mailroom.assembly.api import build_api_services
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.suppressions import Entry
from mailroom.domain.unsubscribe_links import UnsubscribeLinks
from mailroom.providers.connection import Request
from mailroom.providers.mailgun.sending import MailgunAdapter
from mailroom.services.dispatching.requests import Preparing
from mailroom.storage import suppressions
from mailroom.storage.database import Db, server_now
from scheduler_api.app import create_app
from tests.support.caller import Caller, problems
from tests.support.claims import a_claim, a_claimed_mail
from tests.support.system import System
from tests.support.topics import LINK, a_topic
from tests.support.topics import LINKED as BODIES

MAIL = {"from": "a@mg.example.com", "subject": "News", "to": ["Bo <bo@example.org>"], "topic": "newsletter"}
LINKED = MAIL | {"text": f"Hello. Leave: {LINK}", "html": f'<a href="{LINK}">Leave</a>'}
ADAPTER = MailgunAdapter(
    domain="mg.example.com", base_url="http://127.0.0.1:9", api_key="k", call_timeout_s=5, idle_limit_s=60
)


def leave(db: Db, scope: str = "newsletter") -> None:
    suppressions.add(db, [("bo@example.org", Entry(scope, "unsubscribed", server_now(db)))])


def built(db: Db, claimed: Claimed) -> tuple[list[str], int]:
    """Whether it is ready to be called, or over without a recipient."""
    prepared = Preparing(db, {"mailgun": ADAPTER}).build([claimed])
    return [one.id for one in prepared.ready], len(prepared.over)


@pytest.mark.parametrize("variables", [None, {}, {"name": "Bo"}])
def test_it_carries_its_readers_link_in_body_and_headers(
    call: Caller, db: Db, variables: dict[str, str] | None
) -> None:
    a_topic(db)

    taken = call("POST", "/v1/emails", json=LINKED | ({} if variables is None else {"variables": variables}))

    assert taken.status_code == 202
    shown = call("GET", f"/v1/emails/{taken.json['id']}?include=body").json
    link = shown["headers"]["List-Unsubscribe"][1:-1]
    assert link.startswith("http")
    assert shown["topic"] == "newsletter"
    assert shown["text"] == f"Hello. Leave: {link}"
    assert shown["html"] == f'<a href="{link}">Leave</a>'
    assert shown["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert shown["headers"]["List-Id"] == "<newsletter.mg.example.com>"
    path = link.partition("/u/")[2]
    assert call.client.post(f"/u/{path}", data="List-Unsubscribe=One-Click").status_code == 200
    assert call("POST", "/v1/emails", json=LINKED).json["status"] == "suppressed"


def test_who_has_left_gets_none_at_acceptance_and_none_at_the_hand_over(call: Caller, db: Db) -> None:
    a_topic(db)
    call("POST", "/v1/emails", json=LINKED)
    waiting = a_claimed_mail(db)

    leave(db)

    assert call("POST", "/v1/emails", json=LINKED).json["status"] == "suppressed"
    assert built(db, waiting) == ([], 1)


def test_another_topics_reader_and_a_reset_still_get_theirs(call: Caller, db: Db) -> None:
    a_topic(db)
    a_topic(db, "offers")
    leave(db)

    offers = call("POST", "/v1/emails", json=LINKED | {"topic": "offers"})
    reset = call("POST", "/v1/emails", json={name: LINKED[name] for name in ("from", "to", "subject", "text")})

    assert (offers.json["status"], reset.json["status"]) == ("queued", "queued")
    leave(db, "campaigns")
    assert call("POST", "/v1/emails", json=LINKED | {"topic": "offers"}).json["status"] == "suppressed"


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"topic": "nothing"}, {"topic"}),
        ({"text": "Hello", "html": ""}, {"text"}),
        ({"html": "<p>Hello</p>"}, {"html"}),
        ({"to": ["bo@example.org", "di@example.org"]}, {"topic"}),
        ({"cc": ["di@example.org"]}, {"topic"}),
        ({"headers": {"list-unsubscribe": "<https://example.com>"}}, {"headers.list-unsubscribe"}),
    ],
)
def test_what_would_leave_a_reader_without_a_way_out_is_refused(
    call: Caller, db: Db, changes: dict[str, Any], paths: set[str]
) -> None:
    a_topic(db)

    answer = call("POST", "/v1/emails", json=LINKED | changes)

    assert answer.status_code == 422
    assert set(problems(answer)) == paths
    assert db.emails.count_documents({}) == 0


def test_a_topics_footer_is_added_to_a_body_without_a_link(call: Caller, db: Db) -> None:
    a_topic(db, footer=True, postal_address="Shop Ltd, Rome")

    taken = call("POST", "/v1/emails", json=MAIL | {"text": "Hello", "html": "<p>Hello</p>"})

    shown = call("GET", f"/v1/emails/{taken.json['id']}?include=body").json
    link = shown["headers"]["List-Unsubscribe"][1:-1]
    assert shown["text"] == f"Hello\n\n-- \nShop Ltd, Rome\nUnsubscribe: {link}\n"
    assert f'href="{link}"' in shown["html"]


def test_the_same_request_again_is_the_same_mail_and_another_topic_is_another_request(call: Caller, db: Db) -> None:
    a_topic(db)
    a_topic(db, "offers")
    key = {"Idempotency-Key": "news-1"}

    first = call("POST", "/v1/emails", json=LINKED, headers=key)
    again = call("POST", "/v1/emails", json=LINKED, headers=key)
    other = call("POST", "/v1/emails", json=LINKED | {"topic": "offers"}, headers=key)

    assert first.json["id"] == again.json["id"]
    assert (other.status_code, other.json["code"]) == (422, "idempotency_mismatch")


def test_it_waits_until_every_sender_knows_topics(call: Caller, db: Db) -> None:
    a_topic(db)
    old = {"_id": "old-1", "kind": "sender", "protocol": 1, "lanes": [], "checked_in_at": server_now(db)}
    db.workers.insert_one(old)

    assert call("POST", "/v1/emails", json=LINKED).json["code"] == "senders_too_old"


def test_it_may_also_be_left_by_mail_where_a_mailbox_is_set(system: System) -> None:
    a_topic(system.db)
    mailbox = {"MAILROOM_UNSUBSCRIBE_MAILTO": "leave@mg.example.com"}
    settings = read_settings(system.environment | mailbox, dotenv=None)
    call = Caller(create_app(build_api_services(settings, app="tests")).test_client(), system.token)

    taken = call("POST", "/v1/emails", json=LINKED)

    header = call("GET", f"/v1/emails/{taken.json['id']}?include=body").json["headers"]["List-Unsubscribe"]
    found = re.fullmatch(r"<http\S+/u/(\S+)>, <mailto:leave@mg\.example\.com\?subject=unsubscribe-(\S+)>", header)
    assert found
    assert found[1] == found[2]


def test_a_campaigns_mail_carries_both_links_of_its_reader(db: Db) -> None:
    links = UnsubscribeLinks("https://mail.example.com", ["a-key-of-16-bytes"], mailbox="leave@mg.example.com")
    a_topic(db)
    claimed = a_claim(db, 2, topic="newsletter", **BODIES)

    (built,) = Preparing(db, {"mailgun": ADAPTER}, links=links).build([claimed]).ready.values()
    request = cast(Request, built)

    assert b"<%recipient.u%>%recipient.m%" in request.body
    assert request.body.count(b"mailto:leave@mg.example.com?subject=unsubscribe-") == 2
