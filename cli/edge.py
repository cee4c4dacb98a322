"""`mailroom edge`: writes what HAProxy needs to stand before API, pages and webhooks."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from cli.answers import answer_plainly
from cli.command_table import Answering
from cli.settings import settings_or_exit
from config.certificates import fits, self_signed
from config.edge import Edge, EdgePart, haproxy_config
from config.settings import Settings
from local.binaries import HAPROXY, find
from local.private_files import write_private

_ALWAYS: Final = ("localhost", "127.0.0.1")


@click.command(cls=Answering)
@click.option(
    "--folder", default="data/edge", show_default=True, type=click.Path(path_type=Path), help="Where the files go."
)
@click.option("--api", default="127.0.0.1", show_default=True, help="The host of the API's processes.")
@click.option("--web", default="127.0.0.1", show_default=True, help="The host of the pages' processes.")
@click.option("--webhooks", default="127.0.0.1", show_default=True, help="The host of the processes of webhooks-in.")
@click.option("--run", is_flag=True, help="Then become HAProxy. SIGUSR1 lets it answer what is in hand, and end.")
@click.option("--dns", is_flag=True, help="Each host is a name that stands for any number of processes.")
def edge(folder: Path, api: str, web: str, webhooks: str, run: bool, dns: bool) -> None:
    """Write haproxy.cfg and its certificate. Without a given certificate a self-signed one is made, once."""
    hosts = {"api": api, "web": web, "webhooks": webhooks}
    path = write_edge(folder, settings_or_exit(), hosts=hosts, by_dns=dns, now=datetime.now(UTC))
    if run:
        program = str(find(HAPROXY))
        os.execv(program, [program, "-db", "-f", str(path)])  # noqa: S606 - no shell
    answer_plainly({"path": str(path)}, lambda body: click.echo(body["path"]))


def write_edge(
    folder: Path, settings: Settings, *, hosts: Mapping[str, str], now: datetime, by_dns: bool = False
) -> Path:
    """Write both files, for nobody else to read. `hosts`: of `api`, `web` and `webhooks`. Returns the path of
    haproxy.cfg. Raises BadSettings for a given certificate that cannot be used."""
    web = settings.web
    ports = {"api": web.api_port, "web": web.web_port, "webhooks": web.webhooks_port}
    parts = {name: EdgePart(name, host, ports[name], by_dns=by_dns) for name, host in hosts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    certificate = _certificate(folder.absolute() / "edge.pem", settings, now=now)
    edge_config = Edge(
        bind=web.bind,
        api_port=settings.edge.api_port,
        web_port=settings.edge.web_port,
        status_port=settings.edge.status_port,
        certificate=certificate,
        api=parts["api"],
        web=parts["web"],
        webhooks=parts["webhooks"],
    )
    return write_private(folder.absolute() / "haproxy.cfg", haproxy_config(edge_config))


def _certificate(path: Path, settings: Settings, *, now: datetime) -> Path:
    """The given one, or ours of an earlier start, or a new one."""
    if settings.edge.certificate:
        return write_private(path, Path(settings.edge.certificate).read_text())
    names = list(dict.fromkeys([*_ALWAYS, urlsplit(settings.web.public_url).hostname or _ALWAYS[0]]))
    if path.exists() and fits(path.read_text(), names, now=now):
        return path
    return write_private(path, self_signed(names, now=now))
