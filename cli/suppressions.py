"""`mailroom suppressions`: who gets no mail, looked up, added and lifted."""

from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from cli.looking import services, show, told, who
from mailroom.domain.suppressions import SCOPES, Suppression
from mailroom.services.feedback import suppressions as suppression_lists

_SCOPE = click.option("--scope", type=click.Choice(SCOPES), help="All mail, or that of campaigns alone.")
_A_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("suppressions")
def suppressions_() -> None:
    """Addresses that get no mail, or none of campaigns."""


@suppressions_.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
def list_(limit: int) -> None:
    """The newest first."""
    with told():
        _show(suppression_lists.page(services().db, before=None, limit=limit))


@suppressions_.command("show")
@click.argument("address")
def show_(address: str) -> None:
    """What stands against an address."""
    with told():
        _show([suppression_lists.get(services().db, address)])


@suppressions_.command("add")
@click.argument("address")
@click.option("--reason", default="", help="Such as bounced, complained, unsubscribed; manual if left out.")
@_SCOPE
def add(address: str, reason: str, scope: str | None) -> None:
    """Send no mail to an address."""
    with told():
        _show([suppression_lists.add(services().db, {"address": address, "reason": reason, "scope": scope}, by=who())])


@suppressions_.command("import")
@click.argument("file", type=_A_FILE)
def import_(file: Path) -> None:
    """A CSV file with a column `address`, and perhaps `reason` and `scope`; or one address a line. Exit 1 where a row
    was refused; the others are taken."""
    with told():
        done = suppression_lists.add_file(services().db, _text(file), by=who())
    for row in done.refused:
        click.echo(f"line {row.row}: {row.address or '(no address)'}: {row.message}", err=True)
    click.echo(f"{done.added} added, {done.unchanged} there already, {done.refused_count} refused")
    if done.refused_count:
        raise SystemExit(1)


@suppressions_.command("remove")
@click.argument("addresses", nargs=-1)
@click.option("--file", type=_A_FILE, help="One address a line.")
@_SCOPE
def remove(addresses: tuple[str, ...], file: Path | None, scope: str | None) -> None:
    """Let these addresses be mailed to again."""
    lines = _text(file).splitlines() if file else []
    wanted = [*addresses, *(line.strip() for line in lines if line.strip())]
    if not wanted:
        raise click.ClickException("name an address, or --file")
    with told():
        removed, missing = suppression_lists.remove_many(services().db, wanted, scope=scope)
    for address in missing:
        click.echo(f"{address} was not suppressed", err=True)
    click.echo(f"{removed} removed")


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise click.ClickException(f"{file.name} is not UTF-8") from None


def _show(found: list[Suppression]) -> None:
    table = Table("address", "scope", "reason", "since", "note", box=None)
    for one in found:
        for entry in one.entries:
            since = entry.since.isoformat(timespec="seconds")
            table.add_row(escape(one.address), entry.scope, escape(entry.reason), since, escape(entry.note))
    show(table)
