"""The settings of a command."""

import sys

import click

from cli.kept_settings import hint_without_settings
from config.settings import BadSettings, Settings, read_settings


def settings_or_exit() -> Settings:
    """The settings; or every fault on standard error, and exit 2."""
    try:
        return read_settings()
    except BadSettings as error:
        click.echo("Mailroom cannot start:", err=True)
        for fault in error.faults:
            click.echo(f"  {fault}", err=True)
        if hint := hint_without_settings():
            click.echo(hint, err=True)
        sys.exit(2)
