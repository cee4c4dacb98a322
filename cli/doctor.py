"""`mailroom doctor`: is everything there and set up as it must be; does it balance; what to do after a restore."""

import sys
from collections.abc import Callable
from datetime import timedelta

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mailroom.assembly import SenderServices, build_sender_services
from mailroom.coordination.redis_client import RedisWrites
from mailroom.domain.errors import CannotBeKnown, MailroomError, Unavailable
from mailroom.services.common import sending_switch
from mailroom.services.common.clock import read_clocks
from mailroom.services.operations import ledger, providers, restore, undrained_lanes
from mailroom.services.operations import metrics as service_metrics
from mailroom.services.operations.restore import OlderCopy

console = Console()
_NAMED = 10


@click.command()
@click.option("--ledger", "balance", is_flag=True, help="Hold every instant, mail and acceptance to account.")
@click.option("--after-restore", "restored", is_flag=True, help="Put a MongoDB right that was put back to a copy.")
@click.option("--even-so", is_flag=True, help="With --after-restore: go on though some may be sent twice.")
@click.option("--hours", default=24, show_default=True, type=click.IntRange(1, 24 * 90), help="How far back to look.")
@click.option("--without-provider", is_flag=True, help="Leave the provider's log out of the ledger.")
def doctor(balance: bool, restored: bool, even_so: bool, hours: int, without_provider: bool) -> None:
    """Look whether all is well; exit 1 if it is not."""
    from cli.main import settings_or_exit

    services = build_sender_services(settings_or_exit(), sender="doctor")
    try:
        if restored:
            _after_restore(services, even_so=even_so)
        elif balance:
            _balance(services, hours, without_provider=without_provider)
        else:
            _check_up(services)
    except MailroomError as error:
        raise click.ClickException(str(error)) from None
    finally:
        services.leases.close()


def _check_up(services: SenderServices) -> None:
    rows = [_checked(name, look, services) for name, look in _CHECKS.items()]
    table = Table("", "part", "what was found", box=None)
    for well, name, words in rows:
        table.add_row("[green]ok[/]" if well else "[red]no[/]", name, escape(words))
    console.print(table)
    sys.exit(0 if all(well for well, _, _ in rows) else 1)


def _checked(
    name: str, look: Callable[[SenderServices], tuple[bool, str]], services: SenderServices
) -> tuple[bool, str, str]:
    try:
        well, words = look(services)
    except MailroomError as error:
        return False, name, str(error)
    return well, name, words


def _mongodb(services: SenderServices) -> tuple[bool, str]:
    service_metrics.check_store(services.db)
    lifetime_s = service_metrics.transaction_lifetime_s(services.db)
    if lifetime_s is not None and lifetime_s > services.settings.sending.lease_ttl_s:
        return False, f"transactionLifetimeLimitSeconds is {lifetime_s}: a killed sender's lanes stay locked so long"
    return True, "it takes writes, as a replica set"


def _memory(services: SenderServices) -> tuple[bool, str]:
    found = restore.look(services.db, services.mirror)
    if isinstance(found, OlderCopy):
        return False, f"it was put back to {_copy(found)}; senders hold: run doctor --after-restore"
    return True, "it is not an older copy"


def _copy(hold: OlderCopy) -> str:
    return f"a copy of {hold.copied_at}" if hold.copied_at else "a copy from before senders first ran, or an empty one"


def _redis(services: SenderServices) -> tuple[bool, str]:
    RedisWrites(services.settings.stores.redis_url).check()
    services.fences.check_eviction()
    return True, "it takes writes, and throws nothing away"


def _etcd(services: SenderServices) -> tuple[bool, str]:
    services.leases.begin()
    services.leases.end()
    return True, "it grants leases"


def _clock(services: SenderServices) -> tuple[bool, str]:
    clocks = read_clocks(services.db)
    return clocks.trustworthy, f"this host is {clocks.host_ahead.total_seconds():+.3f} s from MongoDB"


def _provider(services: SenderServices) -> tuple[bool, str]:
    said = []
    for name, adapter in services.adapters.items():
        if not adapter.askable:
            said.append(f"{name} cannot be asked")
            continue
        adapter.ask(adapter.account, [], "nothing")
        said.append(f"{name} answers questions about {adapter.account}")
    return True, "; ".join(said)


def _senders(services: SenderServices) -> tuple[bool, str]:
    count = services.leases.senders()
    return count > 0, f"{count} running" if count else "none is running: nothing is sent"


def _lanes(services: SenderServices) -> tuple[bool, str]:
    found = undrained_lanes.undrained(services.db)
    if not found:
        return True, "a sender drains every lane with work"
    named = ", ".join(f"{one.lane} (for {one.age.total_seconds():.0f} s)" for one in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return False, f"no sender drains {named}{more}: start one, or look why those that run do not take them"


def _enabled(services: SenderServices) -> tuple[bool, str]:
    shown = providers.listing(services.db, services.circuits, list(services.adapters))
    working = [one.name for one in shown if one.enabled]
    off = [one.name for one in shown if not one.enabled]
    faults = [f"{one.name} takes nothing: {one.fault.why}" for one in shown if one.enabled and one.fault]
    if faults:
        return False, "; ".join(faults)
    if not working:
        return False, f"none gets new work: {', '.join(off)} switched off"
    return True, f"new work goes to {', '.join(working)}" + (f"; switched off: {', '.join(off)}" if off else "")


def _sending(services: SenderServices) -> tuple[bool, str]:
    now = sending_switch.switch(services.db, services.holds, services.fences)
    if not now.sending:
        return False, f"{sending_switch.in_words(now.hold)}; to go on: mailroom sending start"
    paused = len(sending_switch.look(services.db, services.holds).runs)
    return True, "it is not stopped" + (f"; paused runs: {paused:,}" if paused else "")


def _doubts(services: SenderServices) -> tuple[bool, str]:
    counts = service_metrics.counts(services.db)["dispatches"]
    return not counts["unknown"], f"{counts['in_doubt']} in doubt, {counts['unknown']} unknown"


_CHECKS = {
    "MongoDB": _mongodb,
    "its memory": _memory,
    "Redis": _redis,
    "etcd": _etcd,
    "clock": _clock,
    "provider": _provider,
    "providers": _enabled,
    "senders": _senders,
    "sending": _sending,
    "lanes": _lanes,
    "dispatches": _doubts,
}


def _after_restore(services: SenderServices, *, even_so: bool) -> None:
    try:
        with console.status("replaying the fences"):
            done = restore.after_restore(
                services.db, services.mirror, list(services.adapters.values()), even_so=even_so
            )
    except CannotBeKnown as error:
        words = "Nothing is sent meanwhile. Cancel what must not go out twice, then say --even-so."
        raise click.ClickException(f"{error}.\n{words}") from None
    if done is None:
        console.print("MongoDB is not an older copy: there is nothing to put right.")
        return
    console.print(f"MongoDB was put back to {_copy(done.hold)}, and knew nothing up to {done.hold.lost_at}.")
    console.print(f"{done.fences:,} fences replayed: {done.accepted:,} dispatches had been accepted since,")
    console.print(f"{done.unknown_to_copy:,} are not in the copy; their runs are planned again and recognised.")
    now = sending_switch.switch(services.db, services.holds, services.fences)
    if now.sending:
        console.print("Senders go on now.")
    else:
        console.print(f"{escape(sending_switch.in_words(now.hold))}.")
        console.print("It stays stopped until: mailroom sending start")


def _balance(services: SenderServices, hours: int, *, without_provider: bool) -> None:
    since = read_clocks(services.db).now - timedelta(hours=hours)
    with console.status("holding everything to account"):
        made = ledger.check(
            services.db,
            since=since,
            fences=services.fences,
            adapters=() if without_provider else [one for one in services.adapters.values() if one.askable],
            settle=services.policy.timing.settle,
        )
    try:
        ledger.keep(services.db, made)
    except Unavailable as error:
        console.print(f"[yellow]not kept: {escape(str(error))}[/]")
    counted = Table("counted", "", box=None)
    for name, count in made.counted.items():
        counted.add_row(name, f"{count:,}")
    console.print(counted)
    if not made.wrong:
        console.print(f"[green]It balances[/], {hours} hours back. {_not_looked_at(made)}")
        return
    wrong = Table("kind", "id", "what does not balance", box=None)
    for one in made.imbalances:
        wrong.add_row(one.kind, one.id, escape(one.words))
    console.print(wrong)
    console.print(f"[red]{made.wrong:,} things do not balance.[/] {_not_looked_at(made)}")
    sys.exit(1)


def _not_looked_at(made: ledger.Ledger) -> str:
    """A sentence about the times that the ledger leaves out."""
    young = f"Not looked at: what came after {made.until:%H:%M:%S} UTC"
    if made.logs_until is None:
        return f"{young}, and the providers' logs."
    return f"{young}, and the providers' logs after {made.logs_until:%H:%M:%S}: they are not complete yet."
