"""Bounces of mail by SMTP through whole processes: a real IMAP server, senders that are killed, and the reports."""

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from local.children import Child
from mailroom.domain.ids import RunId, ScheduleId
from tests.support.campaigns import a_campaign, finished
from tests.support.dovecot import Dovecot
from tests.support.emails import hand_in, shown
from tests.support.returned_mails import dsn, letter
from tests.support.smtp import SmtpServer
from tests.support.system import System, wait_for
from tests.support.topics import LINKED, a_topic

RETURN_PATH = {"MAILROOM_SMTP_RETURN_PATH": "bounces@example.org", "MAILROOM_MAILBOX_EVERY": "1"}


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    made = SmtpServer().start()
    yield made
    made.stop()


def start(system: System, server: SmtpServer, *, senders: int = 1, **settings: str) -> None:
    system.environment |= {"MAILROOM_PROVIDERS": "smtp", "SMTP_URL": server.url(), **settings}
    system.start_api(webhooks=False)
    system.start_senders(senders)


def report(system: System, run: RunId) -> dict[str, Any]:
    return dict(system.call("GET", f"/v1/runs/{run}/report").json())


def sent_run(system: System, count: int) -> RunId:
    schedule: ScheduleId = a_campaign(system, count)
    return wait_for(lambda: finished(system, schedule), within_s=60, what="the run is sent").id


def return_paths(server: SmtpServer) -> dict[str, str]:
    """By recipient, as the server got them."""
    return {got.recipients[0]: got.sender for got in server.post.got}


def logs_of(children: Sequence[Child]) -> str:
    return "".join(child.tail(2_000) for child in children)


def test_every_bounce_counts_once_though_the_senders_that_read_them_are_killed(
    system: System, server: SmtpServer, dovecot: Dovecot
) -> None:
    start(system, server, MAILROOM_MAILBOXES=dovecot.url(tls="implicit"), **RETURN_PATH)
    run = sent_run(system, 300)
    paths = return_paths(server)
    assert len(set(paths.values())) == 300
    assert report(system, run)["bounced"] == 0

    bounced = random.Random(1).sample(sorted(paths), 120)
    dovecot.put(*(dsn(paths[to], words=f"550 5.1.1 <{to}>: User unknown") for to in bounced))
    for _ in range(3):
        seen = system.db.events.count_documents({})
        wait_for(lambda seen=seen: system.db.events.count_documents({}) > seen, within_s=120, what="some are read")
        system.children[-1].kill()
        system.db.cluster.update_one({"_id": {"$regex": "^mailbox/"}}, {"$unset": {"holder": "", "until": ""}})
        system.start_senders(1)
        if system.db.events.count_documents({}) == 120:
            break

    wait_for(lambda: {"\\Seen"} == set().union(*dovecot.flags()), within_s=60, what="all are marked")
    wait_for(lambda: report(system, run)["bounced"] == 120, within_s=30, what="the report has them all")
    assert system.db.events.count_documents({}) == 120
    assert dovecot.flags() == [{"\\Seen"}] * 120
    assert {doc["_id"] for doc in system.db.suppressions.find()} == set(bounced)


def test_bounces_are_not_measured_without_a_mailbox_and_never_shown_as_none(system: System, server: SmtpServer) -> None:
    start(system, server, MAILROOM_SMTP_RETURN_PATH="bounces@example.org")

    run = sent_run(system, 5)

    found = report(system, run)
    assert (found["sent"], found["bounced"], found["bounces_unmeasured"]) == (5, None, 5)


def test_a_mail_to_several_has_a_return_path_for_each_and_a_bounce_blames_one(
    system: System, server: SmtpServer, dovecot: Dovecot
) -> None:
    start(system, server, MAILROOM_MAILBOXES=dovecot.url(), **RETURN_PATH)
    people = ["a@example.org", "b@example.org", "c@example.org"]
    mail = hand_in(system, to=people)
    wait_for(lambda: len(server.post.got) == 3, within_s=30, what="each has a copy")

    dovecot.put(dsn(return_paths(server)["b@example.org"]))

    wanted = {"a@example.org": "sent", "b@example.org": "bounced", "c@example.org": "sent"}
    wait_for(
        lambda: {one["address"]: one["status"] for one in shown(system, mail)["recipients"]} == wanted,
        within_s=30,
        what="one is bounced",
    )


def test_a_reader_leaves_by_the_mailto_link_of_the_mail_that_they_got(
    system: System, server: SmtpServer, dovecot: Dovecot
) -> None:
    mailto = {"MAILROOM_UNSUBSCRIBE_MAILTO": "leave@example.org"}
    start(system, server, MAILROOM_MAILBOXES=dovecot.url(tls="starttls"), **RETURN_PATH, **mailto)
    a_topic(system.db)
    schedule = a_campaign(system, 3, topic="newsletter", **LINKED)
    run = wait_for(lambda: finished(system, schedule), within_s=60, what="the run is sent")
    got = server.post.got[0]
    link = re.search(r"<mailto:([^?>]+)\?subject=([^>]+)>", got.message["List-Unsubscribe"])
    assert link

    dovecot.put(letter(link[1], link[2], sender=got.recipients[0]))

    wait_for(lambda: report(system, run.id)["unsubscribed"] == 1, within_s=30, what="it is counted")
    (entry,) = system.db.suppressions.find()
    assert entry["_id"] == got.recipients[0]
    contact = system.call("GET", f"/v1/contacts/{got.recipients[0]}").json()
    assert [(one["act"], one["scope"], one["by"]) for one in contact["consent"]] == [("left", "newsletter", "mail")]


def test_senders_wait_for_a_mail_server_that_is_away_and_read_when_it_is_back(
    system: System, server: SmtpServer, dovecot: Dovecot
) -> None:
    start(system, server, senders=2, MAILROOM_MAILBOXES=dovecot.url(), **RETURN_PATH)
    mail = hand_in(system)
    wait_for(lambda: server.post.got, within_s=30, what="it is sent")
    path = return_paths(server)["bo@example.org"]
    dovecot.stop()
    senders = [child for child in system.children if child.name.startswith("sender")]
    wait_for(
        lambda: any("mailbox_cannot_be_read" in child.tail(500) for child in senders), within_s=60, what="it is told"
    )

    dovecot.start().put(dsn(path))

    wait_for(lambda: shown(system, mail)["recipients"][0]["status"] == "bounced", within_s=30, what="it is read")
    wait_for(lambda: "mailbox_read_again" in logs_of(senders), within_s=30, what="that is told")
    logs = logs_of(senders)
    assert logs.count("mailbox_cannot_be_read") == 1
    assert logs.count("mailbox_read_again") == 1
