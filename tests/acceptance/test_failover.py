"""A provider goes down, the next one takes over, and it is handed back: nothing lost, nothing doubled."""

import itertools
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.campaigns import a_campaign, dispatch_states, finished, marks
from tests.support.emails import hand_in, shown, status
from tests.support.failover import QUICK
from tests.support.smtp import Script, SmtpServer
from tests.support.system import System, wait_for

numbers = itertools.count()


@pytest.fixture
def post() -> Iterator[SmtpServer]:
    made = SmtpServer().start()
    yield made
    made.stop()


def start(system: System, post: SmtpServer, *, senders: int = 2, **settings: str) -> None:
    system.environment |= {**QUICK, "SMTP_URL": post.url(), **settings}
    system.start_simulator()
    system.start_api(webhooks=False)
    system.start_senders(senders)


def went_out(system: System, post: SmtpServer) -> Counter[str]:
    """Every copy, over both providers' records together."""
    by_smtp = [recipient for got in post.post.got for recipient in got.recipients]
    return Counter([mail["recipient"] for mail in system.simulator.mails()] + by_smtp)


def hand_in_some(system: System, beginning: str, count: int) -> list[str]:
    return [hand_in(system, to=[f"{beginning}-{n}@example.org"]) for n in range(count)]


def all_sent(system: System, ids: list[str]) -> bool:
    return {status(system, id_) for id_ in ids} == {"sent"}


@pytest.mark.parametrize("how", ["it is down", "it answers errors", "it never answers"])
def test_the_backup_sends_while_the_primary_is_down_and_hands_back(system: System, post: SmtpServer, how: str) -> None:
    start(system, post)
    first = hand_in_some(system, "first", 3)
    wait_for(lambda: all_sent(system, first), within_s=20, what="the primary sends")
    assert not post.post.got

    if how == "it is down":
        system.children[0].kill()
    else:
        system.simulator.turn(hang_s=4)
        system.simulator.fail_next("500_before" if how == "it answers errors" else "hang_after", times=0)
    during = hand_in_some(system, "during", 12)
    # Where it cannot even be reached, the backup has all of it before a circuit has counted enough.
    left = lambda: circuit(system) == "open" or all_sent(system, during)  # noqa: E731
    wait_for(left, within_s=40, what="the primary is left")
    later = hand_in_some(system, "later", 5)
    wait_for(lambda: len(post.post.got) >= 1, within_s=40, what="the backup sends")
    if how == "it is down":
        system.children[0] = system.start_simulator()
    else:
        system.simulator.heal()
    both = during + later
    wait_for(lambda: all_sent(system, both), within_s=60, what="what was in doubt is settled with the primary")
    wait_for(lambda: handed_back(system), within_s=60, what="the primary is healthy again")

    last = hand_in_some(system, "last", 5)

    wait_for(lambda: all_sent(system, last), within_s=30, what="the primary sends again")
    by_primary = {mail["recipient"] for mail in system.simulator.mails()}
    assert {f"last-{n}@example.org" for n in range(5)} <= by_primary
    wanted = [("first", 3), ("during", 12), ("later", 5), ("last", 5)]
    copies = went_out(system, post)
    assert {f"{name}-{n}@example.org" for name, count in wanted for n in range(count)} <= copies.keys()
    assert set(copies.values()) == {1}


def handed_back(system: System) -> bool:
    """Mails are handed in until all of some go by the primary, whichever sender has them, and its circuit is closed."""
    name = f"probe-{next(numbers)}"
    probes = hand_in_some(system, name, 8)
    wait_for(lambda: all_sent(system, probes), within_s=30, what="they are sent")
    by_primary = {mail["recipient"] for mail in system.simulator.mails()}
    return {f"{name}-{n}@example.org" for n in range(8)} <= by_primary and circuit(system) == "closed"


def circuit(system: System) -> str:
    """The primary's."""
    return str(system.call("GET", "/v1/providers").json()["items"][0]["circuit"]["state"])


def test_a_primary_that_takes_connections_and_says_nothing_delays_a_single_mail_by_seconds(
    system: System, post: SmtpServer
) -> None:
    """However little there is to send: too little for a circuit that counts failures."""
    silent = Script(lambda _file, _sock: threading.Event().wait(60))
    system.environment |= {"MAILROOM_PROVIDERS": "smtp,mailgun", "SMTP_URL": f"smtp://127.0.0.1:{silent.port}?tls=none"}
    system.start_simulator()
    system.start_api(webhooks=False)
    (sender,) = system.start_senders(1)
    try:
        reset = hand_in(system, priority="high")

        wait_for(lambda: status(system, reset) == "sent", within_s=10, what="the backup sends")
        assert len(system.simulator.mails()) == 1
        assert "lease_let_go" not in sender.tail(500)
    finally:
        sender.kill()
        silent.close()


def test_what_is_in_doubt_stays_with_its_provider(system: System, post: SmtpServer) -> None:
    start(system, post, senders=1)
    system.simulator.fail_next("500_after", times=0)

    ids = hand_in_some(system, "doubted", 3)

    wait_for(lambda: all_sent(system, ids), within_s=40, what="the doubts are settled")
    assert set(went_out(system, post).values()) == {1}
    assert not {got.recipients[0] for got in post.post.got} & {f"doubted-{n}@example.org" for n in range(3)}


def test_an_account_that_is_refused_lets_the_next_provider_send_at_once(system: System, post: SmtpServer) -> None:
    start(system, post, senders=1)
    system.simulator.fail_next("401", times=0)

    ids = hand_in_some(system, "reader", 3)

    wait_for(lambda: all_sent(system, ids), within_s=20, what="the backup sends")
    assert len(post.post.got) == 3
    assert not system.simulator.mails()
    (recipient,) = shown(system, ids[0])["recipients"]
    assert recipient["tries"] == 1


def test_a_campaign_that_moves_to_a_provider_with_smaller_batches_is_split_and_goes_out_once(
    system: System, post: SmtpServer
) -> None:
    start(system, post, senders=2)
    system.simulator.fail_next("401", times=0)
    schedule = a_campaign(system, 120)

    wait_for(lambda: finished(system, schedule), within_s=60, what="the run is finished")

    subjects = Counter(got.message["Subject"] for got in post.post.got)
    assert subjects == {f"mark-{n}": 1 for n in range(120)}
    assert not marks(system)
    assert dispatch_states(system) == {"split": 1, "accepted": 120}


def test_providers_are_enabled_and_reordered_at_run_time(system: System, post: SmtpServer) -> None:
    start(system, post, senders=1)

    assert system.call("PUT", "/v1/providers", json={"order": ["smtp", "mailgun"]}).status_code == 200
    wait_for(lambda: hand_in_and_wait(system) and post.post.got, within_s=20, what="smtp goes first")
    assert system.call("PATCH", "/v1/providers/smtp", json={"enabled": False}).status_code == 200
    wait_for(lambda: hand_in_and_wait(system) and system.simulator.mails(), within_s=20, what="mailgun sends")
    by_smtp, by_mailgun = len(post.post.got), len(system.simulator.mails())
    for _ in range(3):
        hand_in_and_wait(system)

    shown_ = system.call("GET", "/v1/providers").json()["items"]
    assert [(one["name"], one["enabled"]) for one in shown_] == [("smtp", False), ("mailgun", True)]
    assert (len(post.post.got), len(system.simulator.mails())) == (by_smtp, by_mailgun + 3)
    assert system.call("PATCH", "/v1/providers/pigeon", json={"enabled": False}).status_code == 404
    assert system.call("PUT", "/v1/providers", json={"order": ["smtp"]}).status_code == 422


def hand_in_and_wait(system: System) -> bool:
    email = hand_in(system)
    wait_for(lambda: status(system, email) == "sent", within_s=20, what="it is sent")
    return True


def test_a_lost_answer_of_a_provider_that_cannot_be_asked_is_unknown_and_waits_for_a_person(
    system: System, post: SmtpServer
) -> None:
    start(system, post, senders=1, MAILROOM_PROVIDERS="smtp")
    post.post.at_data = ["999 what"]

    email = hand_in(system)

    wait_for(lambda: status(system, email) == "unknown", within_s=20, what="nobody can know")
    assert not post.post.got
    dispatch = system.db.dispatches.find_one({"run_id": email})
    assert dispatch
    system.call("POST", f"/v1/dispatches/{dispatch['_id']}/resolve", json={"verdict": "send_again"}).raise_for_status()
    wait_for(lambda: status(system, email) == "sent", within_s=20, what="it is sent again")
    assert len(post.post.got) == 1


def test_recipients_that_the_server_refuses_end_by_themselves_and_the_others_have_the_mail(
    system: System, post: SmtpServer
) -> None:
    start(system, post, senders=1, MAILROOM_PROVIDERS="smtp", MAILROOM_RETRY_DELAYS="1,1")
    post.post.at_rcpt = {"b@example.org": "550 5.1.1 no such user", "c@example.org": "450 4.2.1 later"}

    email = hand_in(system, to=["a@example.org", "b@example.org", "c@example.org"])

    wait_for(lambda: len(post.post.got) == 1, within_s=20, what="one has it")
    post.post.at_rcpt = {}
    wait_for(lambda: len(post.post.got) == 2, within_s=20, what="another one has it, later")
    states = {one["address"]: (one["status"], one["code"]) for one in shown(system, email)["recipients"]}
    assert states["b@example.org"] == ("failed", 550)
    assert [got.recipients for got in post.post.got] == [["a@example.org"], ["c@example.org"]]
    again = hand_in(system, to=["b@example.org"])
    wait_for(lambda: status(system, again) == "suppressed", within_s=20, what="it gets nothing more")


def test_a_server_sees_no_more_sessions_at_a_time_than_it_is_said_to_bear(system: System, post: SmtpServer) -> None:
    start(system, post, senders=1, MAILROOM_PROVIDERS="smtp", SMTP_URL=post.url() + "&connections=2")

    ids = hand_in_some(system, "reader", 40)

    wait_for(lambda: all_sent(system, ids), within_s=30, what="all are sent")
    assert set(went_out(system, post).values()) == {1}
    assert post.post.most_sessions <= 2
