"""`mailroom`: start the parts, make tokens, look at what is sent."""

import sys
import threading
from pathlib import Path
from typing import Any

import click

from cli import audiences, dead_letters, looking, mails, providers, refusals, runs, sending, suppressions, tokens
from cli.doctor import doctor
from cli.logs import set_up_logs
from config.settings import BadSettings, Settings, read_settings
from mailroom.domain.errors import MailroomError


def settings_or_exit() -> Settings:
    """The settings; or every fault on standard error, and exit 2."""
    try:
        return read_settings()
    except BadSettings as error:
        click.echo("Mailroom cannot start:", err=True)
        for fault in error.faults:
            click.echo(f"  {fault}", err=True)
        sys.exit(2)


class _Telling(click.Group):
    """What Mailroom refuses, or cannot do while a store is away, is told in a line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MailroomError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Telling, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Mailroom: scheduled mail campaigns, each message sent once."""
    set_up_logs()


@main.command()
@click.option("--senders", default=3, show_default=True, type=click.IntRange(0, 64), help="How many sender processes.")
@click.option(
    "--data", default="data", show_default=True, type=click.Path(path_type=Path), help="Where all data stays."
)
@click.option("--no-simulator", is_flag=True, help="Use the Mailgun account of the settings instead of the simulator.")
def up(senders: int, data: Path, no_simulator: bool) -> None:
    """All of it on this machine, on real embedded servers. Ctrl-C ends it; the data stays."""
    from cli.up import run_all

    sys.exit(run_all(data, senders=senders, simulator=not no_simulator))


@main.command()
def api() -> None:
    """The JSON API and the webhooks' intake, on MAILROOM_API_PORT."""
    from cli.serving import serve
    from mailroom.assembly import build_api_services, prepare_database
    from scheduler_api.app import create_app

    settings = settings_or_exit()
    serve(
        lambda: create_app(build_api_services(settings, app="api")),
        settings.web,
        port=settings.web.api_port,
        before=lambda: prepare_database(settings),
    )


@main.command()
def web() -> None:
    """The pages, on MAILROOM_WEB_PORT."""
    from cli.serving import serve
    from mailroom.assembly import build_api_services
    from web.app import create_app

    settings = settings_or_exit()
    serve(lambda: create_app(build_api_services(settings, app="web")), settings.web, port=settings.web.web_port)


@main.command()
def sender() -> None:
    """One sender process; start as many as you like, anywhere. SIGTERM drains it."""
    from cli.signals import stop_on_signals
    from mailroom.assembly import prepare_database
    from sender.process import run_sender

    settings = settings_or_exit()
    stop = threading.Event()
    stop_on_signals(stop)
    prepare_database(settings)
    run_sender(settings, stop)


@main.command("api+sender")
def api_and_sender() -> None:
    """Both in one process. SIGTERM answers what was asked, then drains the sender."""
    from cli.api_and_sender import run

    run(settings_or_exit())


@main.command()
@click.option("--port", default=8025, show_default=True)
@click.option("--data", default="data/simulator", show_default=True, type=click.Path(path_type=Path))
@click.option("--domain", envvar="MAILGUN_DOMAIN", required=True)
@click.option("--api-key", envvar="MAILGUN_API_KEY", required=True)
@click.option("--signing-key", envvar="MAILGUN_SIGNING_KEY", required=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--name", "names", multiple=True, help="A name with dots that it answers to.")
def simulator(
    port: int, data: Path, domain: str, api_key: str, signing_key: str, host: str, names: tuple[str, ...]
) -> None:
    """A local Mailgun with an inbox page at /inbox."""
    from simulator.app import run

    run(host=host, port=port, folder=data, domain=domain, api_key=api_key, signing_key=signing_key, names=names)


main.add_command(tokens.token)
main.add_command(looking.schedules)
main.add_command(looking.dispatches)
main.add_command(looking.webhooks)
main.add_command(mails.send)
main.add_command(audiences.audiences)
main.add_command(runs.runs_)
main.add_command(runs.emails_)
main.add_command(sending.sending_)
main.add_command(dead_letters.dead_letters_)
main.add_command(providers.providers_)
main.add_command(providers.rate_limits_)
main.add_command(refusals.refusals_)
main.add_command(suppressions.suppressions_)
main.add_command(doctor)

if __name__ == "__main__":
    main()
