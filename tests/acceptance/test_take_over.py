"""How soon a lane moves again when its holder goes away."""

import math
from datetime import UTC, datetime

from local.children import Child
from mailroom.domain.ids import ScheduleId
from tests.support.campaigns import a_campaign, finished, holder_name, marks, the_holder
from tests.support.system import System, wait_for

TTL_S = 3
_TRIES = 3


def first_claim_of_another(system: System, holder: str, schedule: ScheduleId) -> datetime | None:
    """When the first dispatch of this campaign was claimed by anybody else."""
    of_others = {"schedule_id": schedule, "claimed_at": {"$exists": True}, "sender": {"$ne": holder}}
    found = system.db.dispatches.find_one(of_others, sort=[("claimed_at", 1)])
    return found["claimed_at"] if found else None


def test_the_lanes_of_a_killed_sender_move_again_within_the_leases_time_and_two_seconds(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=0.3)
    senders = system.start_senders(3, MAILROOM_SENDER_CONCURRENCY="1", MAILROOM_LEASE_TTL=str(TTL_S))
    schedule = a_campaign(system, 40_000)
    wait_for(lambda: len(system.simulator.calls()) >= 2, within_s=30, what="some calls were made")
    holder = the_holder(system, senders)
    name = holder_name(holder)

    holder.kill()
    killed_at = datetime.now(UTC)

    claimed_at = wait_for(
        lambda: first_claim_of_another(system, name, schedule), within_s=20, what="another one claims"
    )
    assert (claimed_at - killed_at).total_seconds() <= TTL_S + 2


def test_the_lanes_of_a_sender_told_to_stop_move_within_a_second_of_its_last_call(system: System) -> None:
    """Tried again where a busy machine was late."""
    system.start_simulator()
    system.simulator.turn(latency_s=0.5)
    senders = system.start_senders(3, MAILROOM_SENDER_CONCURRENCY="1", MAILROOM_LEASE_TTL=str(TTL_S))
    seconds: list[float] = []
    while len(seconds) < _TRIES and min(seconds, default=math.inf) > 1:
        schedule = a_campaign(system, 12_000)
        seconds.append(until_another_claims(system, senders, schedule))
        wait_for(lambda schedule=schedule: finished(system, schedule), within_s=40, what="the others finished the run")

    assert min(seconds) <= 1
    assert max(marks(system).values()) == len(seconds)  # the same readers get each campaign once


def until_another_claims(system: System, senders: list[Child], schedule: ScheduleId) -> float:
    """Tell the holder of this campaign to stop. Seconds from its last call until another sender claims."""
    calls = len(system.simulator.calls())
    wait_for(lambda: len(system.simulator.calls()) >= calls + 2, within_s=30, what="some calls were made")
    holder = the_holder(system, senders)
    name = holder_name(holder)
    senders.remove(holder)

    holder.process.terminate()

    claimed_at = wait_for(
        lambda: first_claim_of_another(system, name, schedule), within_s=20, what="another one claims"
    )
    calls_of_holder = system.db.dispatches.find({"sender": name, "schedule_id": schedule, "state": "accepted"})
    return (claimed_at - max(doc["accepted"][0]["at"] for doc in calls_of_holder)).total_seconds()
