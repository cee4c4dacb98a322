"""A whole sender and an SMTP server that answers as servers really do, judged by the server's own record."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.providers.smtp_rows import ANSWERS
from tests.support.emails import hand_in, shown, status
from tests.support.scripted_smtp import SILENCE, STEPS, Said, ScriptedSmtp, at_most
from tests.support.system import System, wait_for

QUICK = {"MAILROOM_PROVIDERS": "smtp", "MAILROOM_RETRY_DELAYS": "1,1", "MAILROOM_CALL_TIMEOUT": "2"}


@pytest.fixture
def servers_made() -> Iterator[list[ScriptedSmtp]]:
    made: list[ScriptedSmtp] = []
    yield made
    for server in made:
        server.stop()


def start(system: System, server: ScriptedSmtp, credentials: str = "", **settings: str) -> ScriptedSmtp:
    server.start()
    system.environment |= {**QUICK, "SMTP_URL": server.url(credentials), **settings}
    system.start_api(webhooks=False)
    system.start_senders(1)
    return server


def hand_in_some(system: System, count: int) -> list[str]:
    mails = [
        {"from": "s@mg.example.com", "to": [f"p{n}@example.org"], "subject": "Hi", "text": "x"} for n in range(count)
    ]
    ids: list[str] = []
    for at in range(0, count, 50):
        answer = system.call("POST", "/v1/emails/batch", json={"emails": mails[at : at + 50]})
        ids += [item["id"] for item in answer.json()["items"]]
    return ids


def states(system: System) -> dict[str, int]:
    found = system.db.dispatches.aggregate([{"$group": {"_id": "$state", "count": {"$sum": 1}}}])
    return {doc["_id"]: doc["count"] for doc in found}


def recipients(system: System, email_id: str) -> dict[str, str]:
    return {one["address"]: one["status"] for one in shown(system, email_id)["recipients"]}


@pytest.mark.parametrize("spent", ["452 4.4.5 too many in this session", "450 4.7.0 later", "421 4.7.0 closing"])
def test_a_server_that_takes_twenty_messages_a_session_gets_all_of_them(
    system: System, servers_made: list[ScriptedSmtp], spent: str
) -> None:
    server = ScriptedSmtp(per_session=20, spent=spent)
    servers_made.append(server)
    start(system, server)

    hand_in_some(system, 200)

    wait_for(lambda: states(system) == {"accepted": 200}, within_s=60, what="all are sent")
    assert set(server.copies().values()) == {1}
    assert len(server.copies()) == 200
    assert not list(system.db.dispatches.find({"tries": {"$gt": 0}, "state": {"$ne": "accepted"}}))


@pytest.mark.parametrize("who", [0, 1, 2])
def test_a_recipient_refused_before_the_line_drops_fails_and_the_others_get_the_mail(
    system: System, servers_made: list[ScriptedSmtp], who: int
) -> None:
    people = [f"{name}@example.org" for name in "abc"]
    server = ScriptedSmtp()
    servers_made.append(server)
    server.script(Said("rcpt", "550 5.1.1 nobody", drops=True, who=people[who], times=100))
    start(system, server)

    mail = hand_in(system, to=people)

    others = set(people) - {people[who]}
    wait_for(lambda: others <= server.copies().keys(), within_s=20, what="the others have it")
    wanted = dict.fromkeys(others, "sent") | {people[who]: "failed"}
    wait_for(lambda: recipients(system, mail) == wanted, within_s=10, what="it is told")
    assert server.copies() == dict.fromkeys(others, 1)


def test_a_password_that_is_refused_is_tried_ever_less_and_shown_where_a_person_looks(
    system: System, servers_made: list[ScriptedSmtp]
) -> None:
    server = ScriptedSmtp(password="p")
    servers_made.append(server)
    server.script(Said("auth", "535 5.7.8 wrong password", times=1_000_000))
    start(system, server, "ann:p@")

    mail = hand_in(system)
    why = wait_for(lambda: shown(system, mail)["recipients"][0].get("reason"), within_s=15, what="the mail says why")
    time.sleep(5)
    before = server.commands["AUTH"]
    time.sleep(5)
    after = server.commands["AUTH"]

    assert "535 5.7.8 wrong password" in why
    assert status(system, mail) == "queued"
    assert after - before <= 4  # PLAIN and LOGIN, twice at most
    fault = system.call("GET", "/v1/providers").json()["items"][0]["fault"]
    assert "535 5.7.8 wrong password" in fault["why"]
    doctor = subprocess.run(
        [sys.executable, "-m", "cli.main", "doctor"],
        env=system.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert doctor.returncode == 1
    assert "535 5.7.8 wrong password" in " ".join(doctor.stdout.split())
    assert system.children[-1].log.read_text().count("provider_not_reached") <= 2
    server.script()
    wait_for(lambda: status(system, mail) == "sent", within_s=40, what="it goes once the password is right")
    assert system.call("GET", "/v1/providers").json()["items"][0]["fault"] is None


@pytest.mark.parametrize("said", ["554 5.7.1 go away", "421 4.7.0 not now"])
def test_a_greeting_that_refuses_us_is_asked_ever_less(
    system: System, servers_made: list[ScriptedSmtp], said: str
) -> None:
    server = ScriptedSmtp()
    servers_made.append(server)
    server.script(Said("connect", said, drops=True, times=1_000_000))
    start(system, server)

    mail = hand_in(system)
    wait_for(
        lambda: "takes nothing" in (shown(system, mail)["recipients"][0].get("reason") or ""), within_s=15, what="why"
    )
    before = server.sessions
    time.sleep(5)

    assert server.sessions - before <= 4
    server.script()
    wait_for(lambda: status(system, mail) == "sent", within_s=30, what="it goes")


def test_a_server_that_takes_ten_a_second_gets_its_pace_and_everything_arrives(
    system: System, servers_made: list[ScriptedSmtp]
) -> None:
    server = ScriptedSmtp(pace=at_most(10))
    servers_made.append(server)
    start(system, server)
    began = time.monotonic()

    hand_in_some(system, 100)

    wait_for(lambda: states(system) == {"accepted": 100}, within_s=90, what="all are sent")
    took_s = time.monotonic() - began
    assert set(server.copies().values()) == {1}
    assert took_s < 70, took_s
    assert server.refused["pace"] < 60


def test_a_server_that_answers_anything_at_any_step_gets_each_mail_once_or_it_is_in_doubt(
    system: System, servers_made: list[ScriptedSmtp]
) -> None:
    rng = random.Random(11)
    server = ScriptedSmtp()
    servers_made.append(server)
    start(system, server, MAILROOM_CALL_TIMEOUT="1")
    steps = [step for step in STEPS if step not in ("starttls", "auth")]

    for _ in range(6):
        script = [
            Said(
                step,
                answer,
                rng.random() < 0.5,
                skip=rng.randint(0, 6),
                times=rng.randint(1, 3),
                keeps=rng.random() < 0.5,
            )
            for step in steps
            for answer in rng.sample([a for a in ANSWERS if a != SILENCE or step == "dot"], 2)
        ]
        server.script(*[one for one in script if one.step != "dot" or one.answer[:1] not in "45" or not one.keeps])
        hand_in_some(system, 25)
        time.sleep(1.5)
    server.script()

    open_: dict[str, Any] = {"state": {"$in": ["pending", "sending", "in_doubt"]}}
    wait_for(lambda: not system.db.dispatches.count_documents(open_), within_s=120, what="nothing is left waiting")
    copies = server.copies()
    assert not [to for to, count in copies.items() if count > 6]  # each address was named by six mails
    told = system.db.messages.aggregate([{"$group": {"_id": {"to": "$address", "state": "$state"}, "n": {"$sum": 1}}}])
    by_state: dict[str, dict[str, int]] = {}
    for doc in told:
        by_state.setdefault(doc["_id"]["to"], {})[doc["_id"]["state"]] = doc["n"]
    for to, counts in by_state.items():
        sent, unknown = counts.get("sent", 0), counts.get("unknown", 0)
        assert sent <= copies[to] <= sent + unknown, (to, counts, copies[to])
