"""`mailroom rate-limits`: how fast mail may go. Senders follow within seconds."""

from typing import Any

import click

from cli.answers import Body, answer
from cli.command_table import Noun
from cli.common import actor, services
from cli.paging import choice_of
from cli.tables import Columns, in_words, print_rows
from mailroom.domain.errors import LimitNotFound
from mailroom.domain.rates import LimitKind, Per
from mailroom.services.operations import rate_limits
from scheduler_api.schemas import rate_limits as schemas


@click.group("rate-limits", cls=Noun)
def rate_limits_() -> None:
    """How fast mail may go, by provider and by domain."""


@rate_limits_.command("list")
def list_limits() -> None:
    """Every limit, with its rate in force."""
    made = services()
    answer(schemas.Limits, {"items": [schemas.limit(one) for one in rate_limits.listing(made.db, made.rates)]}, _show)


@rate_limits_.command("set")
@click.argument("kind", type=choice_of(LimitKind))
@click.argument("name")
@click.option("--mails", type=int, required=True)
@click.option("--per", type=choice_of(Per), required=True)
@click.option("--warm-up", default="", help="Mails for the first day, the second...: 50,100,400")
def set_limit(kind: str, name: str, mails: int, per: str, warm_up: str) -> None:
    """Limit a provider, or a recipients' domain."""
    made = services()
    draft = {"mails": mails, "per": per, "warm_up": rate_limits.read_warm_up(warm_up)}
    stored = rate_limits.put(made.db, made.rates, made.settings.sending.providers, kind, name, draft, by=actor())

    def show(body: Body) -> None:
        click.echo(f"{_id(body)}: {in_words(body['mails_now'])} per {body['per']} from now on")

    answer(schemas.LimitOut, schemas.limit(stored), show)


@rate_limits_.command("remove")
@click.argument("kind", type=choice_of(LimitKind))
@click.argument("name")
def remove_limit(kind: str, name: str) -> None:
    """Remove a limit: mail goes as fast as the provider takes it."""
    made = services()
    known = {one.limit.id: one for one in rate_limits.listing(made.db, made.rates)}
    id_ = f"{kind}/{name.strip().lower()}"
    if id_ not in known:
        raise LimitNotFound(id_)
    rate_limits.remove(made.db, made.rates, kind, name, by=actor())
    answer(schemas.LimitOut, schemas.limit(known[id_]), lambda _: click.echo(f"{id_} has no limit"))


def _show(body: Body) -> None:
    columns: Columns = {
        "of": _id,
        "mails": lambda one: f"{in_words(one['mails'])} per {one['per']}",
        "warm-up": "warm_up",
    }
    print_rows(body["items"], {**columns, "now": _now})


def _id(limit: Any) -> str:
    return f"{limit['kind']}/{limit['name']}"


def _now(limit: Any) -> str:
    slowed = f", times {limit['factor']:g}" if limit["factor"] and limit["factor"] < 1 else ""
    return f"{in_words(limit['mails_now'])} per {limit['per']}{slowed}"
