"""How soon a lane moves again when its holder goes away."""

import time
from datetime import UTC, datetime

from tests.support.campaigns import a_campaign, finished, holder_name, marks, the_holder
from tests.support.system import System, wait_for

TTL_S = 3


def first_claim_of_another(system: System, holder: str) -> datetime | None:
    """When the first dispatch was claimed by anybody else."""
    found = system.db.dispatches.find_one(
        {"claimed_at": {"$exists": True}, "sender": {"$ne": holder}}, sort=[("claimed_at", 1)]
    )
    return found["claimed_at"] if found else None


def test_the_lanes_of_a_killed_sender_move_again_within_the_leases_time_and_two_seconds(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=0.3)
    senders = system.start_senders(3, MAILROOM_SENDER_CONCURRENCY="1", MAILROOM_LEASE_TTL=str(TTL_S))
    a_campaign(system, 40_000)
    wait_for(lambda: len(system.simulator.calls()) >= 2, within_s=30, what="some calls were made")
    holder = the_holder(system, senders)
    name = holder_name(holder)

    holder.kill()
    killed_at = datetime.now(UTC)

    claimed_at = wait_for(lambda: first_claim_of_another(system, name), within_s=20, what="another one claims")
    assert (claimed_at - killed_at).total_seconds() <= TTL_S + 2


def test_the_lanes_of_a_sender_told_to_stop_move_within_a_second_of_its_last_call(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=0.5)
    senders = system.start_senders(3, MAILROOM_SENDER_CONCURRENCY="1", MAILROOM_LEASE_TTL=str(TTL_S))
    schedule = a_campaign(system, 12_000)
    wait_for(lambda: len(system.simulator.calls()) >= 2, within_s=30, what="some calls were made")
    holder = the_holder(system, senders)
    name = holder_name(holder)

    holder.process.terminate()
    began = time.monotonic()

    claimed_at = wait_for(lambda: first_claim_of_another(system, name), within_s=20, what="another one claims")
    last_call = max(
        doc["accepted"][0]["at"] for doc in system.db.dispatches.find({"sender": name, "state": "accepted"})
    )
    assert (claimed_at - last_call).total_seconds() <= 1
    assert time.monotonic() - began < 5
    wait_for(lambda: finished(system, schedule), within_s=40, what="the others finished the run")
    assert max(marks(system).values()) == 1
