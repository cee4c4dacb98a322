"""`python -m tests.chaos`: break it for minutes, then count. Exit 1 if anything is doubled, lost or unknown, or a lane
with work waits for nobody.

--seed N        the order of faults; a failing run can be repeated with its seed
--schedules, --recipients   what is asked: schedules x recipients mails, two a dispatch
--mails         single mails, to two recipients each
--faults N      how many faults at least
--json FILE     where the verdict goes
--only WORDS    only faults whose name holds these words
--clusters N    three members of each store, Redis under Sentinels; each kind of fault to N leaders and N followers
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from rich.console import Console

from local.servers import Servers
from tests.chaos import draining, faults, members, verdict
from tests.chaos.asking import Asking
from tests.chaos.draining import Calm
from tests.chaos.members import Card, Played
from tests.chaos.points import POINTS
from tests.chaos.telling import say_what_became_of_the_unknown, send_failed_again
from tests.chaos.verdict import Injected, Verdict
from tests.chaos.world import CLUSTER_SETTINGS, LATENCY_S, SETTINGS, SETTLE_S, World
from tests.support.clusters import Clusters
from tests.support.smtp_backup import SmtpBackup
from tests.support.system import a_system
from tests.support.vendors import SendGrid

console = Console(stderr=True)
_QUIET_S = 300.0
SECOND: Final = {"sendgrid": SendGrid, "smtp": SmtpBackup}
_MIXED = 0.3
_CARDS_A_CALM = 6  # faults of members, between two calms in which lanes are looked at
_MEANWHILE = 0.5
_MAILS_A_CALM = 48  # so that there is work in most lanes of single mails


def run(
    folder: Path,
    *,
    seed: int,
    schedules: int,
    recipients: int,
    mails: int,
    least_faults: int,
    senders: int = 4,
    only: str = "",
    most_s: float = 3_600.0,
    least_hits: int = 0,
    cards: Sequence[Card] = (),
    second: str = "sendgrid",
) -> Verdict:
    """One run: ask, break, heal, wait until all is quiet, count. With `cards` each store is a cluster of three, and
    these faults are done to their members."""
    rng = random.Random(seed)
    settings = SETTINGS | (CLUSTER_SETTINGS if cards else {})
    with (
        closing(SECOND[second](latency_s=LATENCY_S)) as backup,
        (Clusters if cards else Servers).start(folder / "servers") as servers,
        a_system(folder / "system", servers, database="chaos", **(settings | backup.settings)) as system,
    ):
        system.start_simulator()
        system.start_api(webhooks=False)
        system.simulator.turn(event_lag_s=SETTLE_S / 2, idle_limit_s=3.0, hang_s=3.0, latency_s=LATENCY_S)
        world = World(folder, servers, system, backup, senders=senders, rng=rng, steady=max(1, senders // 2))
        try:
            world.asks.prepare_mails(mails)
            world.asks.prepare(schedules=schedules, recipients=recipients)
            world.start_senders()
            world.telling.start()
            world.living.prepare()
            world.living.start()
            asking = Asking(world.asks)
            asking.start()
            calms: list[Calm] = []
            played: list[Played] = []
            if cards:
                injected = _break_members(world, asking, calms, played, cards, most_s=most_s)
            else:
                injected = _break(
                    world, asking, least_faults=least_faults, least_hits=least_hits, only=only, most_s=most_s
                )
            asking.progress = 1.0
            asking.join(120)
            world.living.end()
            calms.append(_calm(world, asking))
            heal(world)
            world.telling.finish()
            return verdict.judge(world, injected, seed=seed, calms=calms, played=played)
        finally:
            world.close()


def _break_members(
    world: World, asking: Asking, calms: list[Calm], played: list[Played], cards: Sequence[Card], *, most_s: float
) -> list[Injected]:
    """Each fault of a member, other faults before and during some of them, and calms between."""
    left, injected = list(cards), []
    usual = {name: parts for name, (_, parts) in faults.ALL.items() if name not in faults.OF_SINGLE_STORES}
    quick = {name: parts for name, parts in usual.items() if name in faults.QUICK}
    whole, until = len(left), time.monotonic() + most_s
    with console.status("breaking") as status:
        while (left or not asking.through) and time.monotonic() < until:
            if not left:  # what is asked for in the end is asked among the other faults
                asking.progress = 1.0
                injected.append(_inject(world, _any_of(world, usual)))
                world.keep_senders()
                continue
            card = left.pop(0)
            asking.progress = 1 - len(left) / whole
            status.update(f"{len(left)} of {whole} left, {len(world.asked.answered)} runs asked: {card.name}")
            world.asks.beat()
            injected.append(_inject(world, _any_of(world, usual)))
            world.keep_senders()
            began = time.time()
            meanwhile = world.rng.random() < _MEANWHILE
            played.append(
                members.play(
                    world, card, lambda meanwhile=meanwhile: meanwhile and _inject(world, _any_of(world, quick))
                )
            )
            injected.append(Injected(card.name, began, time.time(), 1))
            world.keep_senders()
            if len(left) % _CARDS_A_CALM == 0 and left:
                calms.append(_calm(world, asking))
    return injected


def _any_of(world: World, chosen: dict[str, int]) -> str:
    return world.rng.choices(list(chosen), weights=list(chosen.values()))[0]


def _calm(world: World, asking: Asking) -> Calm:
    """Nothing is broken for as long as a lane may wait. Whoever would kill himself is replaced before; senders that
    lived through the faults are left as they are."""
    asking.paused = True
    faults.primary_well(world)
    world.system.simulator.turn(latency_s=0.02)
    world.backup.heal()
    world.backup.latency_s = 0.02
    world.servers.wait_until_healthy()
    world.disarm()
    world.asks.hand_in_more(_MAILS_A_CALM)
    calm = draining.watch(world)
    world.system.simulator.turn(latency_s=LATENCY_S)
    world.backup.latency_s = LATENCY_S
    asking.paused = False
    return calm


def _break(
    world: World, asking: Asking, *, least_faults: int, least_hits: int, only: str, most_s: float
) -> list[Injected]:
    """Faults, one after the other, while there is work; work goes on meanwhile."""
    chosen = {name: parts for name, (_, parts) in faults.ALL.items() if only in name}
    injected: list[Injected] = []
    until = time.monotonic() + most_s
    with console.status("breaking") as status:
        while time.monotonic() < until:
            done = sum(one.count for one in injected)
            hits = world.hits()
            hit = sum(min(hits[point.name], least_hits) for point in POINTS) / max(1, least_hits * len(POINTS))
            asking.progress = min(done / least_faults, hit) if least_hits else done / least_faults
            if asking.progress >= 1 and asking.through:
                break
            world.asks.beat()
            name = _any_of(world, chosen)
            status.update(f"{done} faults, {len(world.asked.answered)} runs asked, {hit:.0%} of the steps hit: {name}")
            if not only and world.rng.random() < _MIXED:  # faults come together
                injected.append(_inject(world, next(iter(faults.ALL))))
            injected.append(_inject(world, name))
            world.keep_senders()
    return injected


def _inject(world: World, name: str) -> Injected:
    began = time.time()
    count = faults.ALL[name][0](world)
    return Injected(name, began, time.time(), count)


def heal(world: World) -> None:
    """No more faults, and time for doubts to settle; by the senders that there are: they were disarmed."""
    world.keeping = False
    world.system.simulator.turn(latency_s=0.0)
    world.backup.heal()
    deadline = time.monotonic() + _QUIET_S
    with console.status("until all is quiet") as status:
        while time.monotonic() < deadline:
            open_ = world.what_is_open()
            if not open_ and not send_failed_again(world) and not say_what_became_of_the_unknown(world):
                return
            status.update(f"until all is quiet: {open_}")
            time.sleep(0.5)
    console.print(f"[red]it did not become quiet[/]: {open_}")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument("--schedules", type=int, default=110)
    arguments.add_argument("--recipients", type=int, default=400)
    arguments.add_argument("--mails", type=int, default=3_000, help="single mails, to two recipients each")
    arguments.add_argument("--faults", type=int, default=500)
    arguments.add_argument("--hits", type=int, default=10)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--clusters", type=int, default=0, metavar="N")
    arguments.add_argument("--second", choices=SECOND, default="sendgrid", help="the provider beside Mailgun")
    arguments.add_argument("--json", type=Path, default=Path("data/chaos.json"))
    options = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mailroom-chaos-"))
    found = run(
        folder,
        seed=options.seed,
        schedules=options.schedules,
        recipients=options.recipients,
        mails=options.mails,
        least_faults=options.faults,
        least_hits=options.hits,
        only=options.only,
        cards=members.deck(options.clusters, random.Random(options.seed)),
        second=options.second,
    )
    for table in verdict.tables(found):
        console.print(table)
    wrong = {"doubled": found.doubled, "lost": found.lost, "unknown": found.unknown, "undrained": found.undrained}
    for word, ids in wrong.items():
        for id_ in ids[:20]:
            console.print(f"[red]{word}[/] {id_}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(verdict.as_json(found))
    if found.holds:
        shutil.rmtree(folder)
    else:
        console.print(f"logs and stores are kept in {folder}")
    return 0 if found.holds else 1


if __name__ == "__main__":
    sys.exit(main())
