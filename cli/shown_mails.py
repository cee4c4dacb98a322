"""A mail as its reader sees it, on a terminal."""

import click

from cli.answers import Body
from cli.tables import printable


def print_mail(body: Body, *, to: str) -> None:
    """Print its headers and its bodies."""
    for name, value in body["headers"].items():
        click.echo(printable(f"{name}: {value}"))
    click.echo(printable(f"To: {to}"))
    click.echo(printable(f"Subject: {body['subject']}"))
    if body.get("preheader"):
        click.echo(printable(f"Preheader: {body['preheader']}"))
    for part in ("text", "html"):
        if body[part]:
            click.echo(f"\n--- {part}\n{body[part]}")
