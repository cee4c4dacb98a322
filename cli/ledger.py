"""`mailroom doctor --ledger`: whether everything balances."""

import sys
from dataclasses import asdict
from datetime import timedelta

import click

from cli.answers import Body, answer_plainly
from cli.progress import progress
from cli.tables import print_rows
from mailroom.assembly.sender import SenderServices
from mailroom.domain.errors import Unavailable
from mailroom.services.common.clock import read_clocks
from mailroom.services.operations import ledger
from scheduler_api.schemas.instants import iso


def balance(services: SenderServices, hours: int, *, without_provider: bool) -> None:
    """Make the ledger of so many hours, keep its result, and answer with it; exit 1 if it does not balance."""
    since = read_clocks(services.db).now - timedelta(hours=hours)
    with progress("Holding everything to account") as advance:
        made = ledger.check(
            services.db,
            since=since,
            fences=services.fences,
            adapters=() if without_provider else [one for one in services.adapters.values() if one.askable],
            settle=services.policy.timing.settle,
            advance=advance,
        )
    try:
        ledger.keep(services.db, made)
    except Unavailable as error:
        click.echo(f"not kept: {error}", err=True)
    body = {
        "since": iso(made.since),
        "until": iso(made.until),
        "logs_until": iso(made.logs_until),
        "counted": dict(made.counted),
        "wrong": made.wrong,
        "imbalances": [asdict(one) for one in made.imbalances],
    }

    def show(body: Body) -> None:
        print_rows(
            [{"of": name, "count": count} for name, count in made.counted.items()], {"counted": "of", "": "count"}
        )
        if made.wrong:
            print_rows(body["imbalances"], {"kind": "kind", "id": "id", "what does not balance": "words"})
            click.echo(f"{made.wrong:,} things do not balance. {_not_looked_at(made)}")
        else:
            click.echo(f"It balances, {hours} hours back. {_not_looked_at(made)}")

    answer_plainly(body, show)
    if made.wrong:
        sys.exit(1)


def _not_looked_at(made: ledger.Ledger) -> str:
    """A sentence about the times that the ledger leaves out."""
    young = f"Not looked at: what came after {made.until:%H:%M:%S} UTC"
    if made.logs_until is None:
        return f"{young}, and the providers' logs."
    return f"{young}, and the providers' logs after {made.logs_until:%H:%M:%S}: they are not complete yet."
