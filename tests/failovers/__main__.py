"""`python -m tests.failovers`: each store fails over under load. Exit 1 if a mail is doubled, lost or unknown.

--times N       how often each store fails over
--only STORE    redis, etcd or mongo alone
--json          print the figures as JSON in the place of the table
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress

from tests.chaos import members, verdict
from tests.chaos.driving import heal
from tests.chaos.world import World
from tests.failovers import telling
from tests.failovers.breaking import WAYS, break_store, wait_for_another_leader, wait_for_quorum
from tests.failovers.load import RECIPIENTS, Load, campaigns_for
from tests.failovers.probes import Probes
from tests.failovers.telling import Found, Timed
from tests.support.clusters import Clusters
from tests.support.system import a_system, wait_for
from tests.support.vendors import SendGrid

console = Console(stderr=True)
SENDERS: Final = 3
LATENCY_S: Final = 0.25  # so slow is the provider that senders have calls in flight
_IDLE_LIMIT_S: Final = 12
_SETTLE_S: Final = 6
# Leases are as by default; only what would make a run last for hours is shorter.
SETTINGS: Final = {
    "MAILROOM_LEASE_TTL": "10",
    "MAILROOM_CALL_TIMEOUT": "5",
    "MAILROOM_IDLE_LIMIT": str(_IDLE_LIMIT_S),
    "MAILROOM_SETTLE": str(_SETTLE_S),
    "MAILROOM_RETRY_DELAYS": ",".join(["1"] * 20),
    "MAILROOM_BATCH_SIZE": "5",
    "MAILROOM_PROVIDERS": "mailgun",
}
_MOST_A_TIME_S: Final = 75.0


def run(folder: Path, store: str, ways: Sequence[str], *, seed: int, progress: Progress) -> Found:
    """Fail a store over in each of these ways, in turn."""
    task = progress.add_task(f"{store}: starting", total=len(ways))
    with (
        closing(SendGrid()) as unused,
        Clusters.start(folder / "servers") as servers,
        a_system(folder / "system", servers, database="failovers", **SETTINGS) as system,
    ):
        system.start_simulator()
        system.start_api(webhooks=False)
        knobs = {"event_lag_s": _SETTLE_S / 2, "idle_limit_s": _IDLE_LIMIT_S * 0.75, "latency_s": LATENCY_S}
        system.simulator.turn(**knobs)
        world = World(folder, servers, system, unused, senders=SENDERS, rng=random.Random(seed), steady=SENDERS)
        world.asks.prepare(schedules=campaigns_for(_MOST_A_TIME_S * len(ways)), recipients=RECIPIENTS)
        load, probes = Load(world.asks), Probes(world.asks, system.simulator)
        try:
            world.start_senders()
            load.start()
            probes.start()
            probes.wait_until_whole(time.time())
            timed = []
            for way in ways:
                progress.update(task, description=f"{store}: {way}")
                timed.append(_one(world, probes, store, way))
                progress.advance(task)
                progress.console.print(f"{store}: {way}, whole again after {timed[-1].whole_s:.1f} s")
            progress.update(task, description=f"{store}: until all is quiet")
            load.end()
            probes.end()
            heal(world)
            return Found(store, timed, probes.normal_s(), verdict.judge(world, [], seed=seed))
        finally:
            world.close()


def _one(world: World, probes: Probes, store: str, way: str) -> Timed:
    """One fail-over with calls in flight, until all is whole; then the members that were away come back."""
    clusters = world.servers
    assert isinstance(clusters, Clusters)
    in_flight = members.with_calls_in_flight(world)
    broken = break_store(world, store, way)
    since = broken.at
    if store == "etcd":
        time.sleep(world.lease_ttl_s + world.rng.uniform(2, 6))  # nobody's lease outlives this
        broken.bring_back()
        since = wait_for_quorum(clusters)
        elected = since
    else:
        elected = wait_for_another_leader(clusters, broken.leader)
    taken_in, _ = probes.wait_until_whole(broken.at)
    _, whole = probes.wait_until_whole(since)
    found = Timed(way, in_flight, elected - broken.at, taken_in - broken.at, whole - since, probes.disturbed(broken.at))
    if store != "etcd" and broken.away:
        broken.bring_back()
        returned = time.time()
        _, again = probes.wait_until_whole(returned)
        found.returned_s = again - returned
    clusters.wait_until_healthy()
    wait_for(lambda: not world.asks.much_waits(), within_s=60, what="the load is worked off")
    return found


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--times", type=int, default=10)
    arguments.add_argument("--only", choices=WAYS, metavar="STORE")
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mailroom-failovers-"))
    found = []
    with Progress(console=console) as progress:
        for store in [options.only] if options.only else WAYS:
            ways = list(islice(cycle(WAYS[store]), options.times))
            found.append(run(folder / store, store, ways, seed=options.seed, progress=progress))
    print(telling.as_json(found) if options.json else telling.as_tables(found))
    if all(one.counted.holds for one in found):
        shutil.rmtree(folder)
        return 0
    for one in found:
        for line in (*one.counted.doubled, *one.counted.lost, *one.counted.unknown):
            console.print(f"[red]{one.store}[/] {line}")
    console.print(f"logs and stores are kept in {folder}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
