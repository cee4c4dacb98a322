"""`mailroom providers`, `mailroom rate-limits`: who carries the mail, and how fast. Senders follow within seconds."""

import click
from rich.markup import escape
from rich.table import Table

from cli.looking import services, show, told, who
from mailroom.domain.rates import LimitKind, Per
from mailroom.services.operations import providers, rate_limits


@click.group("providers")
def providers_() -> None:
    """Who carries the mail: order, enabled or not, circuits."""


@providers_.command("list")
def list_providers() -> None:
    """In the order in force: the first that works gets new work."""
    found = services()
    table = Table("name", "gets new work", "circuit", "why", box=None)
    for one in providers.listing(found.db, found.circuits, found.settings.sending.providers):
        circuit = one.circuit
        state = circuit.state if circuit else "Redis does not answer"
        why = one.fault.why if one.fault else circuit.why if circuit else ""
        table.add_row(one.name, "yes" if one.enabled else "no", state, escape(why))
    show(table)


@providers_.command("enable")
@click.argument("name")
def enable(name: str) -> None:
    """Give it new work again; its circuit is closed."""
    _enable(name, True)


@providers_.command("disable")
@click.argument("name")
def disable(name: str) -> None:
    """Give it no new work; what it has in doubt is still asked about."""
    _enable(name, False)


@providers_.command("order")
@click.argument("names", nargs=-1, required=True)
def order(names: tuple[str, ...]) -> None:
    """Set the order; name each of them once."""
    found = services()
    with told():
        providers.reorder(found.db, found.settings.sending.providers, names, by=who())
    click.echo(" before ".join(names))


def _enable(name: str, enabled: bool) -> None:
    found = services()
    with told():
        left = providers.enable(found.db, found.circuits, found.settings.sending.providers, name, enabled, by=who())
    click.echo(f"{name} gets {'new work' if enabled else 'no new work'}")
    if not left:
        click.echo("No provider is enabled now: nothing is sent until one is.", err=True)


@click.group("rate-limits")
def rate_limits_() -> None:
    """How fast mail may go, by provider and by recipients' domain."""


@rate_limits_.command("list")
def list_limits() -> None:
    """Each with what of it is in force."""
    found = services()
    table = Table("of", "mails", "warm-up", "now", box=None)
    for one in rate_limits.listing(found.db, found.rates):
        limit, level = one.limit, one.level
        now = f"{one.mails_now} per {limit.per}" + (f", times {level.factor:g}" if level and level.factor < 1 else "")
        table.add_row(limit.id, f"{limit.mails} per {limit.per}", ", ".join(map(str, limit.warm_up)), now)
    show(table)


@rate_limits_.command("set")
@click.argument("kind", type=click.Choice([kind.value for kind in LimitKind]))
@click.argument("name")
@click.option("--mails", type=int, required=True)
@click.option("--per", type=click.Choice([span.value for span in Per]), required=True)
@click.option("--warm-up", default="", help="Mails for the first day, the second...: 50,100,400")
def set_limit(kind: str, name: str, mails: int, per: str, warm_up: str) -> None:
    """Limit a provider, or a recipients' domain."""
    found = services()
    with told():
        draft = {"mails": mails, "per": per, "warm_up": rate_limits.read_warm_up(warm_up)}
        stored = rate_limits.put(found.db, found.rates, found.settings.sending.providers, kind, name, draft, by=who())
    click.echo(f"{stored.limit.id}: {stored.mails_now} per {stored.limit.per} from now on")


@rate_limits_.command("remove")
@click.argument("kind", type=click.Choice([kind.value for kind in LimitKind]))
@click.argument("name")
def remove_limit(kind: str, name: str) -> None:
    """As fast as it goes."""
    found = services()
    with told():
        rate_limits.remove(found.db, found.rates, kind, name, by=who())
    click.echo(f"{kind}/{name} has no limit")
