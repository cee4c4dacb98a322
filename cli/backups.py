"""`mailroom backup` and `mailroom restore`: the database in a folder, and back."""

from pathlib import Path

import click

from cli.answers import Body, answer_plainly
from cli.command_table import Answering
from cli.common import services, settings_or_exit
from cli.progress import progress
from cli.questions import asks, confirm
from mailroom.assembly.database import prepare_database
from mailroom.assembly.sender import build_sender_services
from mailroom.domain.backups import Manifest
from mailroom.domain.words import counted
from mailroom.services.operations import backup as backups
from mailroom.services.operations import restore_backup

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(cls=Answering)
@click.argument("folder", type=_FOLDER)
def backup(folder: Path) -> None:
    """Copy the database into a new FOLDER, as it stands at one moment. All parts may run during the copy."""
    db = services().db
    with progress("Copying", backups.size(db)) as advance:
        made = backups.back_up(db, folder, advance=advance)
    answer_plainly(_body(made), lambda _: click.echo(f"{_in_words(made)} are in {folder}."))


@click.command(cls=Answering)
@click.argument("folder", type=_FOLDER)
@asks
def restore(folder: Path) -> None:
    """Fill an empty database with the backup in FOLDER; senders then hold. Nothing else may run."""
    settings = settings_or_exit()
    made = build_sender_services(settings, sender="restore")
    try:
        found = restore_backup.read_manifest(folder)
        restore_backup.require_empty(made.db)
        confirm(f"Restore {_in_words(found)} into the database {made.db.name}?")
        with progress("Checking the backup") as _:
            restore_backup.check(folder, found)
        with progress("Restoring", found.documents) as advance:
            restore_backup.restore(made.db, made.mirror, folder, found, advance=advance)
        prepare_database(settings)
    finally:
        made.leases.close()

    def show(_: Body) -> None:
        click.echo(f"{_in_words(found)} are restored. Senders hold, and send nothing.")
        click.echo("Next: start everything, then mailroom doctor --after-restore.")

    answer_plainly(_body(found), show)


def _in_words(manifest: Manifest) -> str:
    return f"{counted(manifest.documents, 'document')} of {manifest.copied_at:%Y-%m-%d %H:%M:%S} UTC"


def _body(manifest: Manifest) -> Body:
    return {
        "database": manifest.database,
        "copied_at": manifest.copied_at.isoformat(),
        "schema": manifest.schema,
        "version": manifest.version,
        "documents": manifest.documents,
        "collections": {name: copied.documents for name, copied in manifest.collections.items()},
    }
