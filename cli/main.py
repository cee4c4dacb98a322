"""`mailroom`: start the parts, look at what is sent, and change it.

The commands that serve are here. Those that answer have modules of their own, imported when they are called.
"""

import sys
import threading
from pathlib import Path
from typing import Any, Final

import click

from cli.command_table import CommandTable, TableEntry
from cli.freed_memory import keep_little
from cli.logs import set_up_logs, set_up_logs_of_a_command, show_held_back
from cli.settings import settings_or_exit
from cli.uncollected import uncollected
from mailroom.domain.workers import WorkerKind

SERVING: Final = ("up", "api", "web", "webhooks-in", "sender", "api+sender", "simulator")
ANSWERING: Final = {
    "audiences": TableEntry("cli.audiences:audiences", "Audiences: lists of recipients."),
    "backup": TableEntry("cli.backups:backup", "Copy the database into a new FOLDER, as it stands at one moment."),
    "cluster": TableEntry(
        "cli.cluster:cluster", "Clusters by docker-compose.cluster.yml: make secrets, form the replica set."
    ),
    "completion": TableEntry("cli.completion:completion", "Print the script that completes commands in this shell."),
    "dead-letters": TableEntry("cli.dead_letters:dead_letters_", "Mails that failed for good: list, send again, drop."),
    "dispatches": TableEntry("cli.dispatches:dispatches", "Dispatches: one call to a provider each."),
    "doctor": TableEntry("cli.doctor:doctor", "Look at every part; exit 1 if something is wrong."),
    "contacts": TableEntry("cli.contacts:contacts_", "Addresses: what goes to them, and what their readers left."),
    "edge": TableEntry("cli.edge:edge", "Write haproxy.cfg and its certificate."),
    "emails": TableEntry("cli.emails:emails_", "Single mails: list, show, cancel, send again."),
    "messages": TableEntry("cli.messages:messages_", "What was sent to a person."),
    "providers": TableEntry(
        "cli.providers:providers_", "Providers: their order, whether each is enabled, their circuits."
    ),
    "rate-limits": TableEntry("cli.rate_limits:rate_limits_", "How fast mail may go, by provider and by domain."),
    "refusals": TableEntry("cli.refusals:refusals_", "Refused requests, newest first, with their reasons."),
    "restore": TableEntry(
        "cli.backups:restore", "Fill an empty database with the backup in FOLDER; senders then hold."
    ),
    "runs": TableEntry("cli.runs:runs_", "Runs: list, show, pause, resume, cancel, send again."),
    "schedules": TableEntry("cli.schedules:schedules", "Schedules: make, list, show, change, run, pause, archive."),
    "segments": TableEntry("cli.segments:segments_", "Segments: some contacts of an audience, by a filter."),
    "send": TableEntry("cli.send:send", "Hand a single mail in."),
    "sending": TableEntry("cli.sending:sending_", "The one switch for all sending: campaigns, single mails, retries."),
    "suppressions": TableEntry("cli.suppressions:suppressions_", "Addresses that get no mail, or none of campaigns."),
    "templates": TableEntry("cli.templates:templates_", "Stored templates."),
    "token": TableEntry("cli.tokens:token", "Tokens for the API and the pages."),
    "topics": TableEntry("cli.topics:topics_", "What readers get and may leave, such as a newsletter."),
    "webhooks": TableEntry("cli.webhooks:webhooks", "Where the providers send their webhooks."),
    "workers": TableEntry("cli.workers:workers_", "The processes that work here, and which are silent."),
    "logs": TableEntry("cli.log_level:logs_", "The level of detail in the logs."),
}


class _Mailroom(CommandTable):
    """A command that Mailroom refuses, or that fails, ends with the reason in a line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        finally:
            show_held_back()

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, OSError, EOFError):
            raise  # click ends these by itself
        except Exception as error:
            from cli.failures import refusal_of

            raise refusal_of(error) from error


@click.group(
    cls=_Mailroom,
    entries=ANSWERING,
    aliases={"tokens": "token"},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="mailroom", message="mailroom %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Mailroom: scheduled mail campaigns, each message sent once."""
    if ctx.invoked_subcommand in SERVING:
        keep_little()
        set_up_logs()
    else:
        set_up_logs_of_a_command()


@main.command()
@click.option("--senders", default=3, show_default=True, type=click.IntRange(0, 64), help="How many sender processes.")
@click.option(
    "--data", default="data", show_default=True, type=click.Path(path_type=Path), help="Where all data stays."
)
@click.option("--no-simulator", is_flag=True, help="Use the Mailgun account of the settings instead of the simulator.")
@click.option("--edge", is_flag=True, help="Put HAProxy with TLS before API, pages and webhooks.")
def up(senders: int, data: Path, no_simulator: bool, edge: bool) -> None:
    """Start everything on this machine, on real embedded servers. Ctrl-C ends it; the data stays."""
    with uncollected():
        from cli.up.run import run_all

    sys.exit(run_all(data, senders=senders, simulator=not no_simulator, edge=edge))


@main.command()
def api() -> None:
    """The JSON API and the webhooks' intake, on MAILROOM_API_PORT."""
    with uncollected():
        from cli.checked_in import serve_checked_in
        from mailroom.assembly.database import prepare_database, require_readable_database
        from scheduler_api.app import create_app

    settings = settings_or_exit()
    require_readable_database(settings)  # here a refusal is one line; in gunicorn's worker it would be a traceback
    serve_checked_in(
        WorkerKind.API,
        create_app,
        settings,
        port=settings.web.api_port,
        before=lambda: prepare_database(settings),
    )


@main.command()
def web() -> None:
    """The pages, on MAILROOM_WEB_PORT."""
    with uncollected():
        from cli.checked_in import serve_checked_in
        from mailroom.assembly.database import require_readable_database
        from web.app import create_app

    settings = settings_or_exit()
    require_readable_database(settings)
    serve_checked_in(WorkerKind.WEB, create_app, settings, port=settings.web.web_port)


@main.command("webhooks-in")
def webhooks_in() -> None:
    """The webhooks' intake alone, on MAILROOM_WEBHOOKS_PORT, so that it scales apart from the API."""
    with uncollected():
        from cli.checked_in import serve_checked_in
        from mailroom.assembly.database import prepare_database, require_readable_database
        from scheduler_api.webhooks_in import create_app

    settings = settings_or_exit()
    require_readable_database(settings)
    serve_checked_in(
        WorkerKind.WEBHOOKS,
        create_app,
        settings,
        port=settings.web.webhooks_port,
        before=lambda: prepare_database(settings),
    )


@main.command()
def sender() -> None:
    """One sender process; start as many as you like, anywhere. SIGTERM drains it."""
    with uncollected():
        from cli.signals import stop_on_signals
        from mailroom.assembly.database import prepare_database
        from sender.process import run_sender

    settings = settings_or_exit()
    stop = threading.Event()
    stop_on_signals(stop)
    prepare_database(settings)
    run_sender(settings, stop)


@main.command("api+sender")
def api_and_sender() -> None:
    """The API and a sender in one process. SIGTERM lets requests be answered, then drains the sender."""
    with uncollected():
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
@click.option("--webhooks", default="", help="A URL that gets every webhook, beside those that are set.")
def simulator(
    port: int, data: Path, domain: str, api_key: str, signing_key: str, host: str, names: tuple[str, ...], webhooks: str
) -> None:
    """A local Mailgun with an inbox page at /inbox."""
    with uncollected():
        from simulator.app import run

    signing_key, _, _ = signing_key.partition(",")  # the first of several signs
    run(
        host=host,
        port=port,
        names=names,
        folder=data,
        domain=domain,
        api_key=api_key,
        signing_key=signing_key,
        webhooks=webhooks,
    )


if __name__ == "__main__":
    main()
