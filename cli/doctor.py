"""`mailroom doctor`: is everything there and set up as it must be; does it balance; what to do after a restore."""

import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import click
from rich.table import Table
from rich.text import Text

from cli.after_restore import copy_of, put_right
from cli.answers import Body, answer_plainly
from cli.command_table import Answering
from cli.common import settings_or_exit
from cli.failures import away
from cli.ledger import balance
from cli.tables import print_table, printable
from mailroom.assembly.providers import build_sending_domains
from mailroom.assembly.sender import SenderServices, build_sender_services
from mailroom.coordination.redis_client import RedisWrites
from mailroom.domain.errors import MailroomError, TakesNoWrites, Unavailable
from mailroom.domain.sending_domains import Verdict
from mailroom.services.common import hold_mirror, sending_switch
from mailroom.services.common.clock import read_clocks
from mailroom.services.operations import metrics as service_metrics
from mailroom.services.operations import older_copy, providers, sending_domains, undrained_lanes, workers
from mailroom.services.operations.older_copy import OlderCopy
from mailroom.services.operations.sending_domains import CheckedDomain
from mailroom.services.operations.workers import WorkerView
from mailroom.storage.providers import ProviderFault

_NAMED = 10
_MOST_WAITING = 1_000
Look = Callable[[SenderServices], tuple[bool, str]]


@click.command(cls=Answering)
@click.option("--ledger", "balanced", is_flag=True, help="Hold every instant, mail and acceptance to account.")
@click.option("--after-restore", "restored", is_flag=True, help="Put a MongoDB right that was put back to a copy.")
@click.option("--even-so", is_flag=True, help="With --after-restore: go on though some may be sent twice.")
@click.option("--hours", default=24, show_default=True, type=click.IntRange(1, 24 * 90), help="How far back to look.")
@click.option("--without-provider", is_flag=True, help="Leave the provider's log out of the ledger.")
def doctor(balanced: bool, restored: bool, even_so: bool, hours: int, without_provider: bool) -> None:
    """Look at every part; exit 1 if something is wrong."""
    services = build_sender_services(settings_or_exit(), sender="doctor")
    try:
        if restored:
            put_right(services, even_so=even_so)
        elif balanced:
            balance(services, hours, without_provider=without_provider)
        else:
            _check_up(services)
    finally:
        services.leases.close()


def _check_up(services: SenderServices) -> None:
    parts = list(_checked(services))
    well = all(part["ok"] for part in parts)
    answer_plainly({"ok": well, "parts": parts}, _show)
    sys.exit(0 if well else 1)


def _checked(services: SenderServices) -> Iterator[dict[str, Any]]:
    """Look at each part, except parts that need a store that is away: each would wait for the store again."""
    gone: set[str] = set()
    for name, (look, needs) in _CHECKS.items():
        if missing := [store for store in needs if store in gone]:
            well, words = False, f"not looked at: {' and '.join(missing)} did not answer"
        else:
            try:
                well, words = look(services)
            except Unavailable as error:
                if not isinstance(error, TakesNoWrites):
                    gone.add(name)
                well, words = False, away(error)
            except MailroomError as error:
                well, words = False, str(error)
        yield {"part": name, "ok": well, "found": words}


def _show(body: Body) -> None:
    table = Table("", "part", "what was found", box=None)
    for part in body["parts"]:
        table.add_row("[green]ok[/]" if part["ok"] else "[red]no[/]", part["part"], Text(printable(part["found"])))
    print_table(table)


def _mongodb(services: SenderServices) -> tuple[bool, str]:
    service_metrics.check_store(services.db)
    lifetime_s = service_metrics.transaction_lifetime_s(services.db)
    if lifetime_s is not None and lifetime_s > services.settings.sending.lease_ttl_s:
        return False, f"transactionLifetimeLimitSeconds is {lifetime_s}: a killed sender's lanes stay locked so long"
    return True, f"it takes writes, as a replica set{_of_history(services)}"


def _of_history(services: SenderServices) -> str:
    kept_s = service_metrics.long_history_s(services.db)
    return (
        f"; with a lower minSnapshotHistoryWindowInSeconds than {kept_s} what is due is found faster" if kept_s else ""
    )


def _bodies(services: SenderServices) -> tuple[bool, str]:
    return True, services.bodies.check()


def _memory(services: SenderServices) -> tuple[bool, str]:
    found = older_copy.look(services.db, services.mirror)
    if isinstance(found, OlderCopy):
        return False, f"MongoDB was put back to {copy_of(found)}; senders hold: run doctor --after-restore"
    return True, "MongoDB is not an older copy"


def _redis(services: SenderServices) -> tuple[bool, str]:
    RedisWrites(services.settings.stores.redis_url).check()
    services.fences.check_server()
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


def _workers(services: SenderServices) -> tuple[bool, str]:
    silent = workers.silent(services.db)
    if not silent:
        at_work = [f"{count} {kind}" for kind, count in sorted(workers.at_work(services.db).items())]
        return True, f"all check in: {', '.join(at_work)}" if at_work else "none has checked in"
    named = ", ".join(map(_silent, silent[:_NAMED]))
    more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
    return False, f"silent: {named}{more}: killed, hanging, or cut off from MongoDB; forgotten after an hour"


def _silent(view: WorkerView) -> str:
    return f"{view.worker.kind} {view.worker.id} (for {view.quiet_for.total_seconds():.0f} s)"


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
    faults = [_fault(one.name, one.fault) for one in shown if one.enabled and one.fault]
    if faults:
        return False, "; ".join(faults)
    if not working:
        return False, f"none gets new work: {', '.join(off)} switched off"
    return True, f"new work goes to {', '.join(working)}" + (f"; switched off: {', '.join(off)}" if off else "")


def _fault(name: str, fault: ProviderFault) -> str:
    return f"{name} is slow: {fault.why}" if fault.slow else f"{name} takes nothing: {fault.why}"


def _mailboxes(services: SenderServices) -> tuple[bool, str]:
    if not services.letterboxes:
        unread = "smtp" in services.adapters
        return True, "none is set" + ("; bounces of mail by SMTP are not measured" if unread else "")
    said = []
    for box in services.letterboxes:
        with box.folder.open() as folder:
            waiting = len(folder.new_mails(limit=_MOST_WAITING))
        said.append(f"{box.folder} can be read; {waiting}{'+' if waiting == _MOST_WAITING else ''} new mails in it")
    return True, "; ".join(said)


def _dns(services: SenderServices) -> tuple[bool, str]:
    settings = services.settings
    domains = build_sending_domains(settings)
    checked = sending_domains.check(domains, settings.sending.dns_servers)
    unnamed = [name for name in services.adapters if name not in {known.provider for known in domains}]
    words = [_found_in_dns(one) for one in checked]
    words += [f"{name}: no domain of it in MAILROOM_SENDING_DOMAINS, so not looked at" for name in unnamed]
    bad = {finding.verdict for one in checked for finding in one.findings} & {Verdict.WRONG, Verdict.UNKNOWN}
    return not bad, "; ".join(words)


def _found_in_dns(checked: CheckedDomain) -> str:
    name = f"{checked.known.domain} ({checked.known.provider})"
    if checked.known.reserved:
        return f"{name} is a name for examples, in no DNS"
    notes = [f"{one.what}: {one.words}" for one in checked.findings if one.verdict is not Verdict.OK]
    return f"{name}: {'; '.join(notes)}" if notes else f"{name} has SPF, DKIM, DMARC and MX"


def _sending(services: SenderServices) -> tuple[bool, str]:
    now = sending_switch.switch(services.db, services.holds, services.fences)
    if not now.sending:
        return False, f"{sending_switch.in_words(now.hold)}; to go on: mailroom sending start"
    paused = len(hold_mirror.look(services.db, services.holds).runs)
    return True, "it is not stopped" + (f"; paused runs: {paused:,}" if paused else "")


def _doubts(services: SenderServices) -> tuple[bool, str]:
    counts = service_metrics.counts(services.db)["dispatches"]
    return not counts["unknown"], f"{counts['in_doubt']} in doubt, {counts['unknown']} unknown"


# Each part with the stores that it cannot be looked at without.
_CHECKS: Final[dict[str, tuple[Look, tuple[str, ...]]]] = {
    "MongoDB": (_mongodb, ()),
    "Redis": (_redis, ()),
    "etcd": (_etcd, ()),
    "bodies": (_bodies, ()),
    "memory": (_memory, ("MongoDB", "Redis")),
    "clock": (_clock, ("MongoDB",)),
    "provider": (_provider, ()),
    "providers": (_enabled, ("MongoDB",)),
    "mailboxes": (_mailboxes, ()),
    "DNS": (_dns, ()),
    "senders": (_senders, ("etcd",)),
    "workers": (_workers, ("MongoDB",)),
    "sending": (_sending, ("MongoDB",)),
    "lanes": (_lanes, ("MongoDB",)),
    "dispatches": (_doubts, ("MongoDB",)),
}
