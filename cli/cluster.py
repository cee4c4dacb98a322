"""`mailroom cluster`: the secrets of docker-compose.cluster.yml, and the replica set at its first start."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.answers import answer_plainly
from cli.command_table import Noun
from cli.replica_set import form
from config.cluster import cluster_secrets

_READABLE = 0o444  # by the users of the containers; the folder keeps all others out
_SETTINGS = "settings"


@click.group(cls=Noun)
def cluster() -> None:
    """Clusters by docker-compose.cluster.yml: make secrets, form the replica set."""


@cluster.command("secrets")
@click.option("--folder", default="secrets", show_default=True, type=click.Path(path_type=Path), help="Where they go.")
@click.option(
    "--settings",
    default=".env",
    show_default=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The settings, which are copied each time.",
)
def make_secrets(folder: Path, settings: Path) -> None:
    """Make passwords, certificates and URLs, once, and copy the settings beside them, each time. Prints the folder."""
    keep_secrets(folder, settings, now=datetime.now(UTC))
    answer_plainly({"path": str(folder)}, lambda body: click.echo(body["path"]))


def keep_secrets(folder: Path, settings: Path, *, now: datetime) -> None:
    """Fill the folder once; copy the settings each time. Raises ClickException where some secrets are there and others
    are not: the stores know the old ones."""
    made = cluster_secrets(now=now)
    missing = [name for name in made if not (folder / name).exists()]
    if missing and len(missing) < len(made):
        raise click.ClickException(f"not in {folder}: {', '.join(sorted(missing))}; put them back from your copy")
    if missing:
        _fill(folder, made)
    beside = folder / f"{_SETTINGS}.new"
    shutil.copyfile(settings, beside)
    beside.chmod(_READABLE)
    beside.replace(folder / _SETTINGS)


def _fill(folder: Path, made: dict[str, str]) -> None:
    """All of the files, or none: a crash leaves a folder of another name."""
    beside = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700, parents=True)
    for name, content in made.items():
        (beside / name).write_text(content)
        (beside / name).chmod(_READABLE)
    beside.replace(folder)


@cluster.command("replica-set")
@click.argument("members", nargs=-1, required=True)
@click.option(
    "--secrets",
    "folder",
    default="/run/secrets",
    show_default=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the files of `cluster secrets` are.",
)
def form_replica_set(members: tuple[str, ...], folder: Path) -> None:
    """Make MEMBERS (HOST or HOST:PORT) one replica set, and its users, unless they are that already."""
    form(members, folder)
    answer_plainly({"members": members}, lambda body: click.echo(f"one replica set: {', '.join(body['members'])}"))
