"""The end of a command that cannot do its work: the reason on standard error, and an exit code.

1: it is refused, there is no such thing, or a server is away. 2: the input is wrong; each fault has the path of its
field.
"""

from collections.abc import Sequence
from typing import IO, Any, Final
from urllib.parse import urlsplit

import click
import structlog

from cli.kept_settings import hint_at_other_value
from cli.tables import printable
from config.settings import BadSettings, read_settings
from config.stores import Stores
from mailroom.domain.errors import Fault, InvalidInput, MailroomError, TakesNoWrites, Unavailable

log = structlog.get_logger()
_SETTINGS: Final = {  # by the first word of an Unavailable: what names the server
    "MongoDB": "MAILROOM_MONGO_URL",
    "Redis": "MAILROOM_REDIS_URL",
    "etcd": "MAILROOM_ETCD_URL",
}


class BadInput(click.ClickException):
    """The input is wrong, and nothing of it was stored."""

    exit_code = 2

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in faults))
        self._faults = faults

    def show(self, file: IO[Any] | None = None) -> None:
        many = f"{len(self._faults):,} things are" if len(self._faults) > 1 else "This is"
        click.echo(f"Error: {many} wrong, and nothing was done:", file=file, err=True)
        for fault in self._faults:
            click.echo(printable(f"  {fault.path}: {fault.message}"), file=file, err=True)


def refusal_of(error: Exception) -> click.ClickException:
    """The end of a command by this error. An unforeseen error is logged with its traceback."""
    if isinstance(error, InvalidInput):
        return BadInput(error.faults)
    if isinstance(error, Unavailable):
        return click.ClickException(away(error))
    if isinstance(error, MailroomError):
        return click.ClickException(printable(str(error)))
    log.error("command_failed", exc_info=error)
    first_line = str(error).partition("\n")[0].partition(", full error:")[0]
    return click.ClickException(printable(f"{type(error).__name__}: {first_line}"))


def away(error: Unavailable) -> str:
    """A line that names the server that is away, its address without a password, and what to do."""
    store = str(error).partition(" ")[0]
    try:
        stores = read_settings().stores
    except BadSettings:
        return str(error)
    if store not in _SETTINGS:
        return str(error)
    why = " ".join(str(error).split())
    if isinstance(error, TakesNoWrites):
        return f"{why} ({store} at {address(store, stores)})"
    known = f"{store} at {address(store, stores)} does not answer"
    do = f"Start it, or correct {_SETTINGS[store]}.{hint_at_other_value(_SETTINGS[store])}"
    return f"{known}. {do} ({why})"


def address(store: str, stores: Stores) -> str:
    """Where a store is, without user and password."""
    urls = {"MongoDB": [stores.mongo_url], "Redis": [stores.redis_url], "etcd": stores.etcd_urls}[store]
    return ", ".join(_without_password(url) for url in urls)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parts.path  # a path: Redis' socket
