"""One run of chaos: ask, break, heal, wait until all is quiet, count."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from rich.console import Console

from local.servers import Servers
from tests.chaos import draining, members, staging, time_zones, verdict
from tests.chaos.asking import Asking
from tests.chaos.draining import Calm
from tests.chaos.faults import providers, table
from tests.chaos.made import Injected
from tests.chaos.members import Card, Played
from tests.chaos.points import POINTS
from tests.chaos.telling import say_what_became_of_the_unknown, send_failed_again
from tests.chaos.verdict import Verdict
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
    breaks: str = "",
) -> Verdict:
    """One run: ask, break, heal, wait until all is quiet, count. With `cards` each store is a cluster of three, and
    these faults are done to their members. `breaks`: a promise that is switched off in all senders."""
    rng = random.Random(seed)
    settings = SETTINGS | (CLUSTER_SETTINGS if cards else {})
    settings |= {"PYTHONTZPATH": time_zones.written_to(folder / "zones")}
    with (
        closing(SECOND[second](latency_s=LATENCY_S)) as backup,
        staging.mailbox_for(folder, backup) as mailbox,
        (Clusters if cards else Servers).start(folder / "servers") as servers,
        a_system(
            folder / "system", servers, database="chaos", **(settings | backup.settings | staging.settings_for(mailbox))
        ) as system,
    ):
        system.start_simulator()
        system.start_api(webhooks=False)
        system.simulator.turn(event_lag_s=SETTLE_S / 2, idle_limit_s=3.0, hang_s=3.0, latency_s=LATENCY_S)
        steady = max(1, senders // 2)
        world = World(folder, servers, system, backup, senders=senders, rng=rng, steady=steady, mailbox=mailbox)
        world.breaks, world.stories = breaks, staging.stories_of(world)
        try:
            _prepare(world, schedules=schedules, recipients=recipients, mails=mails)
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
            _come_to_rest(world, asking, calms)
            found = verdict.judge(world, injected, seed=seed, calms=calms, played=played)
            system.keeps_database = not found.holds
            return found
        finally:
            world.close()


def _prepare(world: World, *, schedules: int, recipients: int, mails: int) -> None:
    world.asks.prepare_mails(mails)
    world.asks.prepare(schedules=schedules, recipients=recipients)
    world.start_senders()
    world.telling.start()
    for story in world.stories:
        story.prepare()
        story.start()


def _come_to_rest(world: World, asking: Asking, calms: list[Calm]) -> None:
    """No more faults: what was asked for comes to its end."""
    asking.progress = 1.0
    asking.join(120)
    for story in world.stories:
        story.end()
    calms.append(_calm(world, asking))
    heal(world)
    world.telling.finish()


def _break_members(
    world: World, asking: Asking, calms: list[Calm], played: list[Played], cards: Sequence[Card], *, most_s: float
) -> list[Injected]:
    """Each fault of a member, other faults before and during some of them, and calms between."""
    left, injected = list(cards), []
    usual = {name: parts for name, parts in table.in_parts(world).items() if name not in table.OF_SINGLE_STORES}
    quick = {name: parts for name, parts in usual.items() if name in table.QUICK}
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
            world.beat()
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
    providers.primary_well(world)
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
    chosen = {name: parts for name, parts in table.in_parts(world).items() if only in name}
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
            world.beat()
            name = _any_of(world, chosen)
            status.update(f"{done} faults, {len(world.asked.answered)} runs asked, {hit:.0%} of the steps hit: {name}")
            if not only and world.rng.random() < _MIXED:  # faults come together
                injected.append(_inject(world, next(iter(table.ALL))))
            injected.append(_inject(world, name))
            world.keep_senders()
    return injected


def _inject(world: World, name: str) -> Injected:
    began = time.time()
    count = table.ALL[name][0](world)
    return Injected(name, began, time.time(), count)


def heal(world: World) -> None:
    """No more faults, and time for doubts to settle; by the senders that there are: they were disarmed."""
    world.keeping = False
    world.system.simulator.turn(latency_s=0.0)
    world.backup.heal()
    deadline = time.monotonic() + _QUIET_S
    with console.status("until all is quiet") as status:
        while (left := _left(world)) and time.monotonic() < deadline:
            status.update(f"until all is quiet: {left}")
            time.sleep(0.5)
    for story in world.stories:
        story.finish()
    if left:
        console.print(f"[red]it did not become quiet[/]: {left}")


def _left(world: World) -> Counter[str]:
    """What is still to come, once a person has done their part."""
    waiting = world.stories_waiting()  # first: a story's last step may be a run, which is open then
    if open_ := world.what_is_open():
        return open_
    done = {"sent again": send_failed_again(world), "resolved": say_what_became_of_the_unknown(world)}
    return +Counter(done) or waiting
