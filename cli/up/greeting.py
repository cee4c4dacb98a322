"""What `mailroom up` says once all parts are up: the addresses, and how to sign in."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from cli.first_token import first_token
from cli.up.console import console
from cli.up.environment import LocalSystem
from config.reading import dotenv_of
from mailroom.services.operations import sign_in_links
from mailroom.services.operations.token_check import token_id_of
from mailroom.storage.database import Db


def warn_of_dotenv(system: LocalSystem) -> None:
    """Who tries Mailroom out may have made a `.env` for Compose, and forgotten it."""
    if not dotenv_of(Path(".env")):
        return
    names = [name for name in system.settings.sending.providers if not (system.simulator and name == "mailgun")]
    leaves = f", and mail may leave this machine by {', '.join(names)}" if names else ""
    console.print(f"[yellow]The settings in .env are used too{leaves}.[/yellow]")


def greet(system: LocalSystem, db: Db) -> None:
    data = system.data
    token = first_token(data / "admin-token", db, name="mailroom up")
    pages, api = _addresses(system)
    rows = [("Pages", pages), ("API", f"{api}/v1"), ("API docs", f"{api}/docs")]
    if system.simulator:
        rows.append(("Inbox", f"http://localhost:{system.simulator_port}/inbox"))
    rows += [
        ("Senders", str(system.senders)),
        ("Data", str(data)),
        ("Logs", str(data / "logs")),
        *_ways_in(db, token, pages),
    ]
    console.print("\nMailroom is up.\n", style="bold green")
    for name, value in rows:
        console.print(f"  {name:8} {value}", soft_wrap=True)
    console.print(f"\n  {token}\n", style="bold", soft_wrap=True)
    console.print(f"`mailroom` commands find this system in a terminal after:  . {data / 'env'}", soft_wrap=True)
    console.print("Ctrl-C ends it; the data stays.\n")


def _addresses(system: LocalSystem) -> tuple[str, str]:
    """Of the pages and the API, for a browser on this machine."""
    edge, web = system.settings.edge, system.settings.web
    if system.edge:
        return f"https://localhost:{edge.web_port}", f"https://localhost:{edge.api_port}"
    return f"http://localhost:{web.web_port}", f"http://localhost:{web.api_port}"


def _ways_in(db: Db, token: str, pages: str) -> list[tuple[str, str]]:
    """How to sign in: by a link, only where a person reads this at a terminal, or by the token that follows. A link in
    a log file would sign in the first reader of the file."""
    if not sys.stderr.isatty():
        return [("Sign in", "with this token:")]
    secret = sign_in_links.create(db, token_id_of(token), now=datetime.now(UTC))
    minutes = int(sign_in_links.LIFETIME.total_seconds() / 60)
    return [
        ("Sign in", f"{pages}/sign-in/link?secret={secret}"),
        ("", f"(works once, within {minutes} minutes), or with this token:"),
    ]
