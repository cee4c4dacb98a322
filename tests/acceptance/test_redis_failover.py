"""Redis' master is lost while a campaign goes out: nothing is lost and nothing doubled, whatever the replica had not
been told.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.servers import Servers
from tests.support.campaigns import a_campaign, dispatch_states, finished, marks
from tests.support.emails import hand_in, status
from tests.support.member import Member
from tests.support.sentinels import Sentinels
from tests.support.system import System, a_system, wait_for

QUICK = {
    "MAILROOM_LEASE_TTL": "3",
    "MAILROOM_CALL_TIMEOUT": "2",
    # A connection is retired at half of it. On a busy machine a claim takes a second until its call: with less time no
    # connection lives until then, and the mail comes back again and again.
    "MAILROOM_IDLE_LIMIT": "8",
    "MAILROOM_SETTLE": "2",
    "MAILROOM_RETRY_DELAYS": "1,1,1,1,1",
    "MAILROOM_BATCH_SIZE": "5",
    "MAILROOM_SENDER_CONCURRENCY": "4",
}
MAILS = 600


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Sentinels]:
    with Sentinels.of(tmp_path / "group") as made:
        yield made


@pytest.fixture
def system(servers: Servers, tmp_path: Path, group: Sentinels) -> Iterator[System]:
    settings = QUICK | {"MAILROOM_REDIS_URL": group.url}
    with a_system(tmp_path / "system", servers, database=f"failover_{tmp_path.name[-12:]}", **settings) as made:
        made.start_simulator()
        made.simulator.turn(latency_s=0.2, idle_limit_s=6)
        made.start_api()
        yield made


def lose(group: Sentinels, how: str) -> Member:
    """The master, lost; another one is named."""
    master = group.master
    match how:
        case "killed":
            master.kill()
        case "replaced and does not know it":
            group.part(master)
    group.wait_for_another(master)
    return master


def bring_back(group: Sentinels, master: Member, how: str) -> None:
    match how:
        case "killed":
            master.start()
        case _:
            group.heal(master)
    group.wait_until_well()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", ["killed", "replaced and does not know it"])
def test_each_mail_of_a_campaign_goes_out_once_while_redis_fails_over(
    system: System, group: Sentinels, how: str
) -> None:
    senders = system.start_senders(2)
    schedule = a_campaign(system, MAILS)
    wait_for(lambda: len(system.simulator.calls()) >= 8, within_s=60, what="some calls were made")

    master = lose(group, how)
    late = system.start_senders(1)  # it connects to the new master
    senders[0].kill()  # with dispatches in hand: whoever takes over asks Redis about them
    mail = hand_in(system, priority="high")
    wait_for(lambda: status(system, mail) == "delivered", within_s=60, what="a single mail goes out meanwhile")
    bring_back(group, master, how)

    wait_for(lambda: finished(system, schedule), within_s=120, what="the run is finished")
    assert {mark: n for mark, n in marks(system).items() if mark.startswith("mark-")} == {
        f"mark-{n}": 1 for n in range(MAILS)
    }
    assert dispatch_states(system).keys() == {"accepted"}
    assert all(sender.alive() for sender in (senders[1], *late))
