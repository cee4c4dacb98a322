"""`mailroom doctor`: is everything there and set up as it must be; does it balance; what to do after a restore."""

import sys
from collections.abc import Callable
from datetime import timedelta

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mailroom.assembly import Back, build_back
from mailroom.coordination.redis_client import RedisWrites
from mailroom.domain.errors import CannotBeKnown, MailroomError, Unavailable
from mailroom.services.common import sending_switch
from mailroom.services.common.clock import read_clocks
from mailroom.services.operations import ledger, providers, restore, undrained_lanes
from mailroom.services.operations import metrics as service_metrics
from mailroom.services.operations.restore import Hold

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

    back = build_back(settings_or_exit(), sender="doctor")
    try:
        if restored:
            _after_restore(back, even_so=even_so)
        elif balance:
            _balance(back, hours, without_provider=without_provider)
        else:
            _check_up(back)
    except MailroomError as error:
        raise click.ClickException(str(error)) from None
    finally:
        back.leases.close()


def _check_up(back: Back) -> None:
    rows = [_checked(name, look, back) for name, look in _CHECKS.items()]
    table = Table("", "part", "what was found", box=None)
    for well, name, words in rows:
        table.add_row("[green]ok[/]" if well else "[red]no[/]", name, escape(words))
    console.print(table)
    sys.exit(0 if all(well for well, _, _ in rows) else 1)


def _checked(name: str, look: Callable[[Back], tuple[bool, str]], back: Back) -> tuple[bool, str, str]:
    try:
        well, words = look(back)
    except MailroomError as error:
        return False, name, str(error)
    return well, name, words


def _mongodb(back: Back) -> tuple[bool, str]:
    service_metrics.check_store(back.db)
    lifetime_s = service_metrics.transaction_lifetime_s(back.db)
    if lifetime_s is not None and lifetime_s > back.settings.sending.lease_ttl_s:
        return False, f"transactionLifetimeLimitSeconds is {lifetime_s}: a killed sender's lanes stay locked so long"
    return True, "it takes writes, as a replica set"


def _memory(back: Back) -> tuple[bool, str]:
    found = restore.look(back.db, back.mirror)
    if isinstance(found, Hold):
        return False, f"it was put back to {_copy(found)}; senders hold: run doctor --after-restore"
    return True, "it is not an older copy"


def _copy(hold: Hold) -> str:
    return f"a copy of {hold.copied_at}" if hold.copied_at else "a copy from before senders first ran, or an empty one"


def _redis(back: Back) -> tuple[bool, str]:
    RedisWrites(back.settings.stores.redis_url).check()
    back.fences.check_eviction()
    return True, "it takes writes, and throws nothing away"


def _etcd(back: Back) -> tuple[bool, str]:
    back.leases.begin()
    back.leases.end()
    return True, "it grants leases"


def _clock(back: Back) -> tuple[bool, str]:
    clocks = read_clocks(back.db)
    return clocks.trustworthy, f"this host is {clocks.host_ahead.total_seconds():+.3f} s from MongoDB"


def _provider(back: Back) -> tuple[bool, str]:
    said = []
    for name, adapter in back.adapters.items():
        if not adapter.askable:
            said.append(f"{name} cannot be asked")
            continue
        adapter.ask(adapter.account, [], "nothing")
        said.append(f"{name} answers questions about {adapter.account}")
    return True, "; ".join(said)


def _senders(back: Back) -> tuple[bool, str]:
    count = back.leases.senders()
    return count > 0, f"{count} running" if count else "none is running: nothing is sent"


def _lanes(back: Back) -> tuple[bool, str]:
    found = undrained_lanes.undrained(back.db)
    if not found:
        return True, "a sender drains every lane with work"
    named = ", ".join(f"{one.lane} (for {one.age.total_seconds():.0f} s)" for one in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return False, f"no sender drains {named}{more}: start one, or look why those that run do not take them"


def _enabled(back: Back) -> tuple[bool, str]:
    shown = providers.listing(back.db, back.circuits, list(back.adapters))
    working = [one.name for one in shown if one.enabled]
    off = [one.name for one in shown if not one.enabled]
    faults = [f"{one.name} takes nothing: {one.fault.why}" for one in shown if one.enabled and one.fault]
    if faults:
        return False, "; ".join(faults)
    if not working:
        return False, f"none gets new work: {', '.join(off)} switched off"
    return True, f"new work goes to {', '.join(working)}" + (f"; switched off: {', '.join(off)}" if off else "")


def _sending(back: Back) -> tuple[bool, str]:
    now = sending_switch.switch(back.db, back.holds, back.fences)
    if not now.sending:
        return False, f"{sending_switch.in_words(now.hold)}; to go on: mailroom sending start"
    paused = len(sending_switch.look(back.db, back.holds).runs)
    return True, "it is not stopped" + (f"; paused runs: {paused:,}" if paused else "")


def _doubts(back: Back) -> tuple[bool, str]:
    counts = service_metrics.counts(back.db)["dispatches"]
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


def _after_restore(back: Back, *, even_so: bool) -> None:
    try:
        with console.status("replaying the fences"):
            done = restore.after_restore(back.db, back.mirror, list(back.adapters.values()), even_so=even_so)
    except CannotBeKnown as error:
        words = "Nothing is sent meanwhile. Cancel what must not go out twice, then say --even-so."
        raise click.ClickException(f"{error}.\n{words}") from None
    if done is None:
        console.print("MongoDB is not an older copy: there is nothing to put right.")
        return
    console.print(f"MongoDB was put back to {_copy(done.hold)}, and knew nothing up to {done.hold.lost_at}.")
    console.print(f"{done.fences:,} fences replayed: {done.accepted:,} dispatches had been accepted since,")
    console.print(f"{done.unknown_to_copy:,} are not in the copy; their runs are planned again and recognised.")
    now = sending_switch.switch(back.db, back.holds, back.fences)
    if now.sending:
        console.print("Senders go on now.")
    else:
        console.print(f"{escape(sending_switch.in_words(now.hold))}.")
        console.print("It stays stopped until: mailroom sending start")


def _balance(back: Back, hours: int, *, without_provider: bool) -> None:
    since = read_clocks(back.db).now - timedelta(hours=hours)
    with console.status("holding everything to account"):
        made = ledger.check(
            back.db,
            since=since,
            fences=back.fences,
            adapters=() if without_provider else [one for one in back.adapters.values() if one.askable],
            settle=back.policy.timing.settle,
        )
    try:
        ledger.keep(back.db, made)
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
