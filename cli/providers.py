"""`mailroom providers`: order, enable and disable providers. Senders follow within seconds."""

from typing import Any

import click

from cli.answers import Body, answer
from cli.command_table import Noun
from cli.common import actor, services
from cli.tables import print_rows
from mailroom.assembly.api import ApiServices
from mailroom.services.operations import providers
from scheduler_api.schemas import providers as schemas


@click.group("providers", cls=Noun)
def providers_() -> None:
    """Providers: their order, whether each is enabled, their circuits."""


@providers_.command("list")
def list_providers() -> None:
    """In the order in force: the first that works gets new work."""
    made = services()

    def show(body: Body) -> None:
        enabled = {"name": "name", "gets new work": "enabled"}
        shares = {"share": _shares} if made.shares.providers else {}
        print_rows(body["items"], {**enabled, **shares, "circuit": _circuit, "why": _why})

    _answer(made, show)


@providers_.command("enable")
@click.argument("name")
def enable(name: str) -> None:
    """Give a provider new work again, and close its circuit."""
    _enable(name, True)


@providers_.command("disable")
@click.argument("name")
def disable(name: str) -> None:
    """Give a provider no new work; its doubts are still asked about."""
    _enable(name, False)


@providers_.command("order")
@click.argument("names", nargs=-1, required=True)
def order(names: tuple[str, ...]) -> None:
    """Set the order; name each provider once."""
    made = services()
    providers.reorder(made.db, made.settings.sending.providers, names, by=actor())
    _answer(made, lambda _: click.echo(" before ".join(names)))


def _enable(name: str, enabled: bool) -> None:
    made = services()
    left = providers.enable(made.db, made.circuits, made.settings.sending.providers, name, enabled, by=actor())
    _answer(made, lambda _: click.echo(f"{name} gets {'new work' if enabled else 'no new work'}"))
    if not left:
        click.echo("No provider is enabled now: nothing is sent until one is.", err=True)


def _answer(made: ApiServices, show: Any) -> None:
    found = providers.listing(made.db, made.circuits, made.settings.sending.providers, made.shares)
    answer(schemas.Providers, schemas.listing(found), show)


def _shares(provider: Any) -> str:
    of_others = [str(provider["share"])] if provider["share"] else []
    return "; ".join([*of_others, *(f"{domain}: {weight}" for domain, weight in provider["shares_by_domain"].items())])


def _circuit(provider: Any) -> str:
    return provider["circuit"]["state"] if provider["circuit"] else "Redis does not answer"


def _why(provider: Any) -> str:
    if provider["fault"]:
        return str(provider["fault"]["why"])
    return provider["circuit"]["why"] if provider["circuit"] else ""
